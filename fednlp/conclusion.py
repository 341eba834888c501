"""The end of a run: test the selected and the last model, score the clients, write the result."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from torch import Tensor

from algorithms.algorithm import State
from fednlp.components import describe
from fednlp.config_schema import central_client
from fednlp.environment import environment_notes, peak_device_memory, peak_memory
from fednlp.evaluation import Evaluator, TestOutcome
from fednlp.experiment import SPLITS, Experiment
from fednlp.flat_model import digest
from fednlp.hooks import Hooks
from fednlp.identity import Identity
from fednlp.local_only import train_alone
from fednlp.partitions.rows import Lost
from fednlp.profile import CHECKPOINT, EVALUATION, clock
from fednlp.results import files
from fednlp.results.run_folder import RunFolder
from fednlp.results.schema import (
    SUMMED,
    ClientScores,
    Costs,
    Data,
    Model,
    Reference,
    Result,
    Score,
    Tuning,
)
from fednlp.results.tuning import tuning_note
from tasks.overlap import repeated
from tasks.plain_files import read_plain
from tasks.unseen_labels import shortened, unseen_labels


def conclude(
    experiment: Experiment,
    folder: RunFolder,
    identity: Identity,
    kind: Literal["federated", "centralized"],
    *,
    budget: Literal["matched", "converged"] | None = None,
    references: list[Reference] | None = None,
    tuning: Tuning | None = None,
) -> Result:
    """Evaluates on test, writes predictions.parquet, clients.csv and, last, result.json."""
    began = time.perf_counter()
    evaluator, manifest, rounds = Evaluator(experiment), folder.manifest, folder.rounds()
    assert manifest.state is not None and manifest.best is not None and manifest.best_round
    last_weights = folder.committed(manifest.state)["weights"]
    best_weights = folder.committed(manifest.best)["weights"]
    last = evaluator.test(last_weights)
    selected = last if manifest.best == manifest.state else evaluator.test(best_weights)
    clients = None
    if kind == "federated":
        clients = _score_clients(experiment, folder, evaluator, best_weights, selected)
    clock.lap(EVALUATION)  # scores of clients, bootstraps
    _write_predictions(experiment, folder, selected, last)
    config = experiment.config
    result = Result(
        kind=kind,
        id=identity.id,
        folder=folder.path.name,
        task=experiment.corpus.task,
        data=Data(
            name=experiment.corpus.name,
            fingerprint=experiment.corpus.fingerprint,
            synthetic=experiment.corpus.synthetic,
            skipped=len(experiment.corpus.skipped),
            examples={split: len(experiment.corpus.splits[split]) for split in SPLITS},
        ),
        model=Model(
            name=experiment.model_card.name,
            trainable=experiment.model.weights.numel(),
            frozen=experiment.model.frozen,
        ),
        partition=_partition_facts(experiment) if kind == "federated" else None,
        algorithm=describe(experiment.algorithm) if kind == "federated" else None,
        client=(config.client if kind == "federated" else central_client(config)).model_dump(),
        seed=config.seed,
        primary_metric=experiment.task.primary_metric,
        floor=evaluator.floor,
        selected=_score(rounds, manifest.best_round, best_weights, selected),
        last=_score(rounds, manifest.completed, last_weights, last),
        correction_ratio=_mean_correction(rounds),
        skipped_uploads=sum(len(r.get("skipped", [])) for r in rounds),
        budget=budget,
        references=references or [],
        tuned=tuning is not None,
        tuning=tuning,
        clients=clients,
        costs=_costs(experiment, rounds, evaluator.seconds, began),
        notes=[
            tuning_note(tuning),
            *_notes(experiment, kind),
            *_skipped(rounds),
            *_absent(rounds),
            *(experiment.engine.notes() if kind == "federated" else []),
            *environment_notes(folder.path),
        ],
        files=sums(folder.path),
    )
    files.write_bytes(folder.path / "result.json", result.as_json())
    clock.lap(CHECKPOINT)
    return result


def sums(folder: Path) -> dict[str, str]:
    """SHA-256 of the files that nothing else vouches for, as far as the folder has them."""
    present = (name for name in SUMMED if files.stands(folder / name))
    return {name: hashlib.sha256(read_plain(folder / name)).hexdigest() for name in present}


def _score(rounds: list[dict[str, Any]], number: int, weights: Tensor, test: TestOutcome) -> Score:
    validation = next(r["validation"] for r in rounds if r["round"] == number)
    return Score(
        round=number,
        weights_sha256=digest(weights),
        validation=validation,
        test=test.scored.metrics,
        test_stderr=test.stderr,
    )


def _mean_correction(rounds: list[dict[str, Any]]) -> float | None:
    steps = sum(r["steps"] for r in rounds)
    total = sum((r["correction_ratio"] or 0.0) * r["steps"] for r in rounds)
    return total / steps if total else None


def _costs(
    experiment: Experiment, rounds: list[dict[str, Any]], testing: float, began: float
) -> Costs:
    """testing: seconds of evaluation after the rounds; began: the clock when the rounds ended."""

    def total(key: str) -> Any:
        return sum(r[key] for r in rounds)

    participants = {client for r in rounds for client in r.get("clients", [])}
    return Costs(
        rounds=len(rounds),
        examples=total("examples"),
        steps=total("steps"),
        real_tokens=total("real_tokens"),
        padded_tokens=total("padded_tokens"),
        padding_waste=total("padded_tokens") / total("real_tokens"),
        bytes_up=total("bytes_up"),
        bytes_down=total("bytes_down"),
        bytes_base=4 * experiment.model.frozen * len(participants),
        device_seconds=total("device_seconds"),
        evaluation_seconds=total("evaluation_seconds") + testing,
        wall_seconds=total("wall_seconds") + time.perf_counter() - began,
        peak_memory_bytes=peak_memory() + experiment.engine.peak_memory,
        peak_device_bytes=peak_device_memory(experiment.device),
    )


def _partition_facts(experiment: Experiment) -> dict[str, Any]:
    partition = experiment.partition
    facts = json.loads(json.dumps(partition.provenance))
    return {**facts, "checksum": partition.checksum, "clients": partition.clients}


def _notes(experiment: Experiment, kind: str) -> list[str]:
    notes = []
    skipped = experiment.corpus.skipped
    if skipped:
        more = f" and {len(skipped) - 1} more" if len(skipped) > 1 else ""
        notes.append(f"bad records left out: {len(skipped)} ({skipped[0]}{more})")
    for reason, count in experiment.corpus.left_out.items():
        notes.append(f"records left out by the data set's options: {count} ({reason})")
    if experiment.corpus.synthetic:
        notes.append("synthetic data: an embedded corpus, not real text")
    if "validation" not in experiment.corpus.card.source_splits:
        notes.append("validation was cut from train before partitioning and is held by the server")
    lost = experiment.partition.provenance.get("lost") if kind == "federated" else None
    if lost:
        notes.append(f"examples of the stored partition that no client has here: {Lost.of(lost)}")
    corpus = experiment.corpus
    train, test = (corpus.splits[split].data.table for split in ("train", "test"))
    unseen = unseen_labels(corpus.task, corpus.labels, train, test)
    if unseen:
        notes.append(f"labels of test that no training example has: {shortened(unseen)}")
    again = repeated(corpus.task, train, test)
    if again:
        notes.append(f"test examples whose input stands in train as well: {again}")
    if kind == "federated":
        tests = len(experiment.corpus.splits["test"])
        left = tests - len(experiment.partition.splits["test"].indices)
        if left:
            notes.append(
                f"{left} of {tests} test examples are in no client's share: no client has their "
                "class or author in train; the pooled test has them all"
            )
    return notes


def _skipped(rounds: list[dict[str, Any]]) -> list[str]:
    places = [f"client {k}, round {r['round']}" for r in rounds for k in r.get("skipped", [])]
    if not places:
        return []
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return [f"uploads that were not finite and left out: {len(places)} ({places[0]}{more})"]


def _absent(rounds: list[dict[str, Any]]) -> list[str]:
    """Clients of a federation that were left out, by what they lacked."""
    told = []
    for name, words in (("missing", "gave no answer"), ("rejected", "gave one that was rejected")):
        places = [
            f"client {k}, round {r['round']}: {why}"
            for r in rounds
            for k, why in r.get(name, {}).items()
        ]
        if places:
            more = f"; and {len(places) - 1} more" if len(places) > 1 else ""
            told.append(
                f"clients that {words} and were left out: {len(places)} ({places[0]}{more})"
            )
    stray = sum(len(r.get("stray", [])) for r in rounds)
    if stray:
        told.append(f"messages to the server that belonged to no client of their round: {stray}")
    return told


# clients ---------------------------------------------------------------------------------------


def _score_clients(
    experiment: Experiment,
    folder: RunFolder,
    evaluator: Evaluator,
    weights: Tensor,
    pooled: TestOutcome,
) -> ClientScores:
    """Scores the selected model on every client's test share and writes clients.csv."""
    partition, settings = experiment.partition, experiment.config.evaluation
    train, test = partition.splits["train"], partition.splits["test"]
    rows: list[dict[str, Any]] = []
    personal = False
    for client in range(partition.clients):
        share = test.client(client)
        row: dict[str, Any] = {
            "client": client,
            "train_examples": len(train.client(client)),
            "test_examples": len(share),
            "held_out": client in partition.held_out,
        }
        if len(share) >= settings.min_client_examples:
            row["score"] = evaluator.primary(pooled.scored, share)
            state = folder.client_state(client, best=True)
            own = personal_weights(experiment, state, client, weights)
            if own is not None:
                personal = True
                row["global_score"] = row["score"]
                scored = evaluator.score("test", own, share)[1]
                row["score"] = scored.metrics[experiment.task.primary_metric]
        rows.append(row)
    table = pd.DataFrame(rows)
    if "score" not in table:
        table["score"] = np.nan
    train_alone(experiment, evaluator, table)
    files.write_bytes(folder.path / "clients.csv", table.to_csv(index=False).encode())
    return summary(table, personal)


def personal_weights(
    experiment: Experiment, state: State | None, client: int, weights: Tensor
) -> Tensor | None:
    """The weights [P] that serve a client; None for the global `weights` [P].

    state: the client's after the selected round; None if it keeps none.
    """
    state = state or {}
    moved = {name: tensor.to(experiment.device) for name, tensor in state.items()}
    method, place = Hooks(experiment.algorithm), f"client {client}, after the last round"
    return method.personal(weights.to(experiment.device), moved, place)


def summary(table: pd.DataFrame, personal: bool) -> ClientScores:
    """What `result.json` says of the clients, from the rows of `clients.csv`."""
    held_out = table.loc[table["held_out"], "score"].dropna()
    table = table[~table["held_out"]]
    scores = np.sort(table["score"].dropna().to_numpy())
    facts: dict[str, Any] = {
        "clients": len(table),
        "scored": len(scores),
        "coverage": len(scores) / len(table),
        "personal": personal,
        "held_out_scored": len(held_out),
        "held_out_mean": float(held_out.mean()) if len(held_out) else None,
    }
    if len(scores):
        worst = scores[: max(1, len(scores) // 10)]
        facts |= {"mean": float(scores.mean()), "worst_decile": float(worst.mean())}
        facts["std"] = float(scores.std(ddof=1)) if len(scores) > 1 else None
    if "local_only" in table:
        alone = table.dropna(subset=["local_only"])
        if len(alone):
            facts |= {
                "local_only_clients": len(alone),
                "local_only_mean": float(alone["local_only"].mean()),
                "federated_mean_same_clients": float(alone["score"].mean()),
            }
    return ClientScores(**facts)


def content_hash(example: dict[str, Any]) -> str:
    """SHA-256 of an example's columns but its row number: finds it again in another copy."""
    content = {name: value for name, value in example.items() if name != "row"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _write_predictions(
    experiment: Experiment, folder: RunFolder, selected: TestOutcome, last: TestOutcome
) -> None:
    examples = experiment.corpus.splits["test"]
    columns: dict[str, Any] = {
        "row": examples["row"][:],
        "content_sha256": [content_hash(example) for example in examples],
    }
    for name, outcome in (("selected", selected), ("last", last)):
        columns[f"{name}_prediction"] = [json.dumps(p) for p in outcome.predictions]
        for key, values in outcome.scored.per_example.items():
            if values.ndim == 1:
                columns[f"{name}_{key}"] = values
    buffer = pd.DataFrame(columns).to_parquet(index=False)
    files.write_bytes(folder.path / "predictions.parquet", buffer)
