"""Run folders that no training made: the real schema with valid checksums, numbers at random.

For what reads thousands of runs. There are no weights, so a run of them cannot go on.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fednlp.results.schema import ClientScores, Costs, Data, Model, Reference, Result, Score

METHODS = (
    *("FedAvg", "FedProx", "FedAvgM", "FedAdagrad", "FedAdam", "FedYogi"),
    *("SCAFFOLD", "FedNova", "Ditto"),
)
TASKS = {
    "text_classification": ("topics", "accuracy"),
    "sequence_tagging": ("events", "f1"),
    "question_answering": ("facts", "f1"),
    "seq2seq": ("headlines", "rougeL"),
}
CLIENTS = 100


@dataclass(frozen=True)
class Made:
    """What a synthetic run is of. quality: of the method, the share of the gain it keeps."""

    task: str = "text_classification"
    alpha: float = 0.1
    method: str = "FedAvg"
    client_lr: float = 1e-3
    seed: int = 0
    rounds: int = 300
    quality: float = 0.7
    names: dict[str, str] = field(default_factory=dict)  # instead of `data`, `model`, `method`


def write_run(folder: Path, made: Made, kind: str = "federated", noise: int = 0) -> Result:
    """Writes one finished run folder below `folder`; noise: another number gives another result."""
    content = _identity(made, kind)
    hashed = {**content, "rounds": made.rounds}
    run_id = _sha(hashed)
    rng = np.random.default_rng([made.seed, noise, int(run_id[:8], 16)])
    records = _records(made, kind, rng)
    result = _result(made, kind, run_id, records, rng)
    path = folder / result.folder
    (path / "checkpoints").mkdir(parents=True)
    log = "".join(json.dumps(record) + "\n" for record in records).encode()
    (path / "rounds.jsonl").write_bytes(log)
    identity = {"id": run_id, "trajectory": run_id, "rounds": made.rounds, "content": content}
    (path / "identity.json").write_text(json.dumps(identity))
    state = f"checkpoints/round-{made.rounds:06d}.safetensors"
    manifest = {
        "completed": made.rounds,
        "log_bytes": len(log),
        "log_sha256": hashlib.sha256(log).hexdigest(),
        "state": state,
        "sha256": {state: "0" * 64},
    }
    (path / "checkpoints" / "manifest.json").write_text(json.dumps(manifest))
    (path / "config.yaml").write_text(_CONFIG.format(made=made))
    environment = {"device": "cpu", "threads": 1, "processor": "none", "torch": "0", "commit": "0"}
    (path / "environment.json").write_text(json.dumps([{"from_round": 1, **environment}]))
    if kind == "federated":
        scores = np.clip(
            rng.normal(result.selected.test[result.primary_metric], 0.1, CLIENTS), 0, 1
        )
        lines = [f"{k},20,20,False,{score!r}" for k, score in enumerate(scores.tolist())]
        header = "client,train_examples,test_examples,held_out,score"
        (path / "clients.csv").write_text("\n".join([header, *lines]) + "\n")
    (path / "result.json").write_bytes(result.as_json())
    return result


def write_pair(folder: Path, made: Made, noise: int = 0) -> None:
    """A federated run, and its centralized reference unless that is there."""
    reference = _sha({**_identity(made, "centralized"), "rounds": made.rounds})
    if not any(folder.glob(f"*-{reference[:12]}")):
        write_run(folder, made, "centralized")
    write_run(folder, made, noise=noise)


def _identity(made: Made, kind: str) -> dict[str, Any]:
    content: dict[str, Any] = {
        "semantics": 2,
        "data": _sha(made.task),
        "task": made.task,
        "tokenizer": _sha("tokenizer"),
        "model": {"card": {"layers": 2}},
        "initial_weights": _sha(["initial", made.seed]),
        "frozen_weights": "",
        "client": _client(made),
        "seed": made.seed,
        "kind": kind,
        **{key: value for key, value in made.names.items() if key != "method"},
    }
    if kind == "centralized":
        return content | {"budget": "matched", "union": _sha("union")}
    return content | {
        "partition": _sha(["partition", made.alpha]),
        "algorithm": _algorithm(made),
        "algorithm_source": _sha(made.method),
        "sampling": {"name": "uniform", "clients_per_round": 10},
        **{key: value for key, value in made.names.items() if key == "method"},
    }


def _records(made: Made, kind: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    key = TASKS[made.task][1]
    best = 0.85 if kind == "centralized" else 0.2 + 0.65 * made.quality
    steps = np.arange(1, made.rounds + 1)
    curve = 0.2 + (best - 0.2) * (1 - np.exp(-4 * steps / made.rounds))
    curve = np.clip(curve + rng.normal(0, 0.004, made.rounds), 0.0, 1.0)
    sent = 0 if kind == "centralized" else 4_000_000
    return [
        {
            "round": n,
            "examples": 800,
            "steps": 50,
            "real_tokens": 20_000,
            "padded_tokens": 22_000,
            "train_loss": float(2.0 - value),
            "correction_ratio": None,
            "weights_sha256": _sha([made.seed, n, value]),
            "clients": [] if kind == "centralized" else rng.integers(0, CLIENTS, 10).tolist(),
            "skipped": [],
            "bytes_up": sent,
            "bytes_down": sent,
            "device_seconds": 1.5,
            "validation": {key: float(value), "second_metric": float(value) / 2},
            "evaluation_seconds": 0.2,
            "wall_seconds": 1.8,
        }
        for n, value in zip(steps.tolist(), curve.tolist(), strict=True)
    ]


def _result(
    made: Made, kind: str, run_id: str, records: list[dict[str, Any]], rng: np.random.Generator
) -> Result:
    data, key = TASKS[made.task]
    name = made.names.get("data", data)
    federated, best = kind == "federated", max(records, key=lambda r: r["validation"][key])
    reference = _sha({**_identity(made, "centralized"), "rounds": made.rounds})

    def score(record: dict[str, Any]) -> Score:
        test = float(np.clip(record["validation"][key] + rng.normal(0, 0.01), 0, 1))
        return Score(
            round=record["round"],
            weights_sha256=record["weights_sha256"],
            validation=record["validation"],
            test={key: test, "second_metric": test / 2},
            test_stderr=0.012,
        )

    total = {k: sum(r[k] for r in records) for k in _SUMS}
    floor = {key: 0.2, "second_metric": 0.1}
    return Result(
        kind="federated" if federated else "centralized",
        id=run_id,
        folder=f"{data}-{made.method if federated else 'centralized'}-s{made.seed}-{run_id[:12]}",
        task=made.task,
        data=Data(
            name=name,
            fingerprint=_sha(name),
            synthetic=True,
            examples={"train": 2000, "validation": 300, "test": 600},
        ),
        model=Model(name=made.names.get("model", "tiny"), trainable=1_000_000, frozen=0),
        partition={
            "partitioner": "dirichlet",
            "parameters": {"alpha": made.alpha},
            "skew": "label",
            "clients": CLIENTS,
            "seed": 0,
            "achieved": {"js_distance": 0.4},
        }
        if federated
        else None,
        algorithm=_algorithm(made) if federated else None,
        client=_client(made),
        seed=made.seed,
        primary_metric=key,
        floor={"validation": floor, "test": floor},
        selected=score(best),
        last=score(records[-1]),
        budget=None if federated else "matched",
        references=[Reference(id=reference, folder="", budget="matched")] if federated else [],
        clients=ClientScores(clients=CLIENTS, scored=CLIENTS, coverage=1.0, mean=0.5, std=0.1)
        if federated
        else None,
        costs=Costs(
            rounds=made.rounds,
            **total,
            bytes_base=0,
            device_seconds=1.5 * made.rounds,
            evaluation_seconds=0.2 * made.rounds,
            wall_seconds=1.8 * made.rounds,
            peak_memory_bytes=10**9,
        ),
        notes=["untuned: the learning rates were not searched for"],
    )


_SUMS = ("examples", "steps", "real_tokens", "padded_tokens", "bytes_up", "bytes_down")
_CONFIG = """\
dataset: {{name: synthetic_topics}}
model: {{name: tiny}}
partition: {{name: dirichlet, alpha: {made.alpha}, clients: 100}}
algorithm: {{name: {made.method}}}
client: {{optimizer: adamw, lr: {made.client_lr}}}
rounds: {made.rounds}
seed: {made.seed}
"""


def _algorithm(made: Made) -> dict[str, Any]:
    name = made.names.get("method", made.method)
    return {"name": name, "server": {"name": "SGD", "lr": 1.0}}


def _client(made: Made) -> dict[str, Any]:
    return {"optimizer": "adamw", "lr": made.client_lr, "batch_size": 16}


def _sha(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
