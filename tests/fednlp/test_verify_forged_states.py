"""Whoever writes a run folder chooses which states it holds; they prove nothing by themselves."""

from __future__ import annotations

import hashlib
import json

import pandas as pd
import pytest
import torch
from harness import command, run_both
from run_tampering import (
    MANIFEST,
    centralized_folder,
    copied_runs,
    edit,
    edit_rounds,
    failures,
    federated_folder,
    not_possible,
    renew,
    report_of,
)

from fednlp.conclusion import summary
from fednlp.flat_model import digest
from fednlp.random_streams import generator
from fednlp.results import files
from fednlp.verification.evidence import Evidence, finished_run
from fednlp.verification.scores import _places, recorded, task_of
from fednlp.verification.starts import segments
from fednlp.verification.table import verdict

ROUNDS = 6
LAST = f"checkpoints/round-{ROUNDS:06d}.safetensors"


@pytest.fixture(scope="module")
def made(small_config, tmp_path_factory):
    """A pair of runs with the default checkpoints: the selected round and the last."""
    out = tmp_path_factory.mktemp("made")
    run_both(small_config({"rounds": ROUNDS, "evaluation.min_client_examples": 5}), out)
    return out


def tensors_of(folder, name):
    return files.read_tensors(
        folder / name, json.loads((folder / MANIFEST).read_text())["sha256"][name]
    )


def centralized_weights_as_the_last_round(folder):
    """With all that follows: scores, predictions, clients, the curve, digests of rounds 3-5."""
    central = centralized_folder(folder.parent)
    theirs = json.loads((central / "result.json").read_text())
    manifest = json.loads((central / MANIFEST).read_text())
    tensors = tensors_of(folder, LAST)
    tensors["weights"] = tensors_of(central, manifest["best"])["weights"]
    files.write_tensors(folder / LAST, tensors)
    for path in (folder / "checkpoints").glob("*.safetensors"):
        if path.name != LAST.rpartition("/")[2]:
            path.unlink()
    validation = theirs["selected"]["validation"]

    def bend(records):
        for record in records[2:5]:
            invented = hashlib.sha256(str(record["round"]).encode())
            record["weights_sha256"] = invented.hexdigest()
        records[-1] |= {"weights_sha256": digest(tensors["weights"]), "validation": validation}

    def forget(manifest):
        manifest.update(best=LAST, best_round=ROUNDS, kept={})
        manifest.update(best_metric=validation["accuracy"], sha256={LAST: manifest["sha256"][LAST]})

    edit_rounds(folder, bend)
    edit(folder / MANIFEST, forget)
    table = pd.read_parquet(central / "predictions.parquet")
    for column in [c for c in table.columns if c.startswith("selected_")]:
        table[column.replace("selected_", "last_")] = table[column]
    table.to_parquet(folder / "predictions.parquet", index=False)
    score = {**theirs["selected"], "round": ROUNDS}
    edit(folder / "result.json", lambda r: r.update(selected=score, last=score))
    evidence = Evidence(finished_run(renew(folder)))
    scored, task = recorded(evidence, "selected"), task_of(evidence)
    clients, share = pd.read_csv(folder / "clients.csv"), evidence.partition.splits["test"]
    clients["score"] = [
        task.aggregate(scored, _places(evidence, share.client(k)))["accuracy"]
        for k in range(len(clients))
    ]
    clients.to_csv(folder / "clients.csv", index=False)
    told = json.loads(summary(clients, False).model_dump_json())
    edit(folder / "result.json", lambda r: r.update(clients=told))
    return renew(folder)


def test_centralized_weights_as_the_last_round_are_never_verified(made, tmp_path):
    folder = centralized_weights_as_the_last_round(copied_runs(made, tmp_path / "runs"))
    assert report_of(folder).verdict == "consistent"  # nothing but training tells
    lucky = report_of(folder, 2, seed_of(folder, lambda last: last < 3))  # one draw in fifteen
    assert lucky.verdict == "scores not verified" and not lucky.passed
    assert f"no replay leads to the stored state of round {ROUNDS}" in verdict(lucky)
    assert f"--rounds {ROUNDS} settles it" in verdict(lucky)
    assert report_of(folder, 2, seed_of(folder, lambda last: last >= 3)).verdict == "failed"
    found = failures(report_of(folder, None))
    (replayed,) = (text for name, text in found.items() if name.startswith("replay of"))
    assert replayed.startswith("round 3: weights_sha256 is")
    assert "but the replayed weights give" in found["scores of the last round"]


def seed_of(folder, wanted):
    """The first seed by which the last of two drawn rounds is a wanted one."""
    evidence = Evidence(finished_run(folder))

    def last(seed):
        rng = generator(seed, f"verify {evidence.result.id}")
        return max(segment.until for segment in segments(evidence, 2, rng))

    return next(seed for seed in range(1000) if wanted(last(seed)))


def test_the_honest_runs_are_verified_by_default(made):
    answer = command("verify", federated_folder(made))
    assert answer.code == 0 and answer.out.count(": verified: ") == 2, answer.out


def test_a_forged_state_of_the_server_is_told_by_a_replay_that_ends_with_it(small_config, tmp_path):
    """Its weights are right, but the momentum would lead the next round elsewhere."""
    method = {"algorithm": "fedavg", "server": {"optimizer": "sgdm", "momentum": 0.5}}
    run_both(small_config({"rounds": 2, **method}), tmp_path)
    folder = federated_folder(tmp_path)
    name = json.loads((folder / MANIFEST).read_text())["state"]
    tensors = tensors_of(folder, name)
    others = [key for key in tensors if key != "weights" and tensors[key].is_floating_point()]
    tensors[others[0]] = tensors[others[0]] + torch.ones(())
    files.write_tensors(folder / name, tensors)
    found = failures(report_of(renew(folder), None))
    assert found == {
        "replay of rounds 1-2 from the initial weights": (
            f"{name} is not the state that the replay ends with"
        )
    }


def test_other_libraries_excuse_other_initial_weights_only_while_bits_differ(made, tmp_path):
    """The identity names initial weights that the run never had, and claims another torch."""
    folder = centralized_folder(copied_runs(made, tmp_path / "runs").parent)

    def forge(identity):
        identity["content"]["initial_weights"] = "0" * 64
        for key, content in (
            ("id", {**identity["content"], "rounds": identity["rounds"]}),
            ("trajectory", identity["content"]),
        ):
            text = json.dumps(content, sort_keys=True).encode()
            identity[key] = hashlib.sha256(text).hexdigest()

    edit(folder / "identity.json", forge)
    identity = json.loads((folder / "identity.json").read_text())
    edit(folder / "result.json", lambda r: r.update(id=identity["id"]))
    edit(folder / "environment.json", lambda e: e[0].update(torch="1.0"))
    report = report_of(renew(folder), 0)
    assert "under other versions (torch 1.0" in not_possible(report)["identity made again"]
    assert "not possible here: identity made again" in verdict(report)
    report = report_of(folder, None)
    words = "config.yaml makes another initial_weights than identity.json has"
    assert failures(report)["identity made again"] == words
