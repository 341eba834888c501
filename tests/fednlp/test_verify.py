"""A run that is what it says is verified, on every task and for methods with state of any kind."""

from __future__ import annotations

import json

import pytest
import yaml
from harness import DATASETS, QUIET, command, forked, kill_myself, run_both
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
    without_weights,
)

from fednlp.flat_model import digest
from fednlp.results import files
from fednlp.results.reading import load_run
from fednlp.results.run_folder import RunFolder
from fednlp.runs import run_pair
from fednlp.verification.remake import Remake
from fednlp.verification.table import verdict

KEPT = {"rounds": 4, "checkpoint.keep_every": 1, "evaluation.min_client_examples": 5}
METHOD = """
from dataclasses import dataclass
from pathlib import Path

from algorithms import FedAvg

Path("executed").touch()


@dataclass(frozen=True)
class Mine(FedAvg):
    mu: float = 0.1

    def correct(self, gradient, weights, client):
        return gradient + self.mu * (weights - client.received["weights"])
"""


@pytest.fixture(scope="module")
def made(small_config, tmp_path_factory):
    """A directory with a federated run, whose rounds are all kept, and its reference."""
    out = tmp_path_factory.mktemp("made")
    run_both(small_config(KEPT), out)
    return out


def test_both_runs_of_a_pair_are_verified(made):
    for folder in (federated_folder(made), centralized_folder(made)):
        report = report_of(folder, rounds=2)
        assert report.verdict == "verified", failures(report) | not_possible(report)
        assert not not_possible(report)
        assert all("same bits" in check.detail for check in report.replays)


@pytest.mark.parametrize("task", list(DATASETS))
def test_every_task_is_replayed(task, small_config, tmp_path):
    changes = {"dataset.name": DATASETS[task], "rounds": 3, "evaluation.min_client_examples": 5}
    run_both(small_config({**changes, "checkpoint.keep_every": 1}), tmp_path)
    for folder in tmp_path.iterdir():
        report = report_of(folder, rounds=2)
        assert report.verdict == "verified", failures(report) | not_possible(report)
        assert not not_possible(report)


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": "scaffold"},
        {"algorithm": "scaffold", "partition.clients": 12},
        {"algorithm": "ditto", "model.dropout": 0.1},
        {"algorithm": "fedadam"},
        {"algorithm": "fednova", "client.epochs": 2},
        {"algorithm": "fedavg", "server": {"optimizer": "sgdm", "momentum": 0.5}},
        {"sampling": {"name": "proportional", "clients_per_round": 3}},
        {"client": {"optimizer": "adamw", "lr": 1e-3, "schedule": "linear", "warmup": 0.1}},
        {"partition": {"name": "dirichlet", "alpha": 0.5, "clients": 5, "held_out": 0.2}},
        {"client.batch_tokens": 200},
        {"evaluation.every": 2, "evaluation.local_only": 2, "rounds": 5},
        {"model.lora": {"r": 2}},
        {"centralized": {"budget": "converged", "epochs": 3}},
        {"engine.together": 2, "sampling.clients_per_round": 4},
        {"engine.workers": 2, "engine.threads": 1},
    ],
    ids=lambda changes: "-".join(f"{k}={v}" for k, v in changes.items())[:60],
)
def test_every_method_is_replayed(changes, small_config, tmp_path):
    kept = {**KEPT, "checkpoint.keep_every": 2, **changes}
    run_both(small_config(kept), tmp_path)
    for folder in tmp_path.iterdir():
        report = report_of(folder, rounds=9)
        assert report.verdict == "verified", failures(report) | not_possible(report)
        # every round was made again
        assert sum(int(check.outcome == "passed") for check in report.replays) >= 1


def test_an_extended_run_and_one_that_was_killed_are_verified(small_config, tmp_path):
    run_both(small_config({**KEPT, "algorithm": "scaffold", "rounds": 2}), tmp_path)
    long = small_config({**KEPT, "algorithm": "scaffold", "rounds": 5})

    def attempt():
        real = RunFolder.commit

        def commit(self, completed, *arguments, **options):
            real(self, completed, *arguments, **options)
            if completed == 4:
                kill_myself()

        RunFolder.commit = commit
        run_pair(long, tmp_path, QUIET)

    assert forked(attempt) < 0
    run_pair(long, tmp_path, QUIET)
    for folder in tmp_path.iterdir():
        report = report_of(folder, rounds=5)
        assert report.verdict == "verified", failures(report) | not_possible(report)


def test_without_stored_weights_the_first_rounds_are_replayed(made, tmp_path):
    folder = copied_runs(made, tmp_path / "runs")
    without_weights(folder)
    report = report_of(folder, rounds=2)
    assert [check.name for check in report.replays] == [
        "replay of rounds 1-2 from the initial weights"
    ]
    assert all(check.holds for check in report.replays)
    assert report.verdict == "scores not verified" and not report.passed
    assert "--rounds 4 does" in not_possible(report)["scores of the last round"]
    assert "not checked: stored weights, scores of the" in verdict(report)


def test_without_stored_weights_scores_are_those_of_replayed_ones(made, tmp_path):
    folder = without_weights(copied_runs(made, tmp_path / "runs"))
    report = report_of(folder, rounds=4)
    assert report.verdict == "verified", failures(report) | not_possible(report)
    assert set(not_possible(report)) == {"stored weights"}
    assert all("replayed weights" in check.detail for check in report.scores)
    assert "have the same bits" in verdict(report)


def test_rounds_are_drawn_by_the_seed(made):
    folder = federated_folder(made)
    names = {
        seed: [check.name for check in report_of(folder, rounds=1, seed=seed).replays]
        for seed in range(8)
    }
    assert names[0] == [check.name for check in report_of(folder, rounds=1, seed=0).replays]
    assert len({str(name) for name in names.values()}) > 1


def test_another_environment_has_a_tolerance(small_config, tmp_path, monkeypatch):
    """Clients that were trained together are replayed one by one: other bits, near weights."""
    changes = {**KEPT, "engine.together": 4, "sampling.clients_per_round": 4, "model.dropout": 0.0}
    run_both(small_config(changes), tmp_path)
    folder = federated_folder(tmp_path)
    assert report_of(folder, rounds=4).verdict == "verified"
    monkeypatch.setattr(Remake, "_engine", lambda self: {"together": 1})
    report = report_of(folder, rounds=4)
    assert report.verdict == "verified within the tolerance", failures(report)
    assert "not to the bit" in verdict(report) and report.passed
    assert all(check.outcome == "within tolerance" for check in report.replays)
    assert all("together 4 -> 1" in check.detail for check in report.replays)
    assert all("of the way" in check.detail for check in report.replays)
    name = "checkpoints/round-000002.safetensors"
    manifest = json.loads((folder / MANIFEST).read_text())
    tensors = files.read_tensors(folder / name, manifest["sha256"][name])
    tensors["weights"] = tensors["weights"] * 1.001
    files.write_tensors(folder / name, tensors)
    edit_rounds(folder, lambda r: r[1].update(weights_sha256=digest(tensors["weights"])))
    found = failures(report_of(renew(folder), rounds=4))
    assert "weights of round 2 are" in found["replay of round 2 from checkpoint 1"]


def test_another_environment_does_not_excuse_other_weights(made, tmp_path):
    folder = copied_runs(made, tmp_path / "runs")
    edit(folder / "environment.json", lambda e: e[0].update(torch="1.0"))
    report = report_of(renew(folder), rounds=4)
    assert report.verdict == "verified"
    told = "although said to be made elsewhere (torch 1.0 ->"
    assert all(told in c.detail for c in report.replays)

    def forget(records):
        for record in records:
            record["examples"] += 96

    edit_rounds(folder, forget)
    edit(folder / "result.json", lambda r: r["costs"].update(examples=r["costs"]["examples"] + 384))
    assert "bytes of the method" in failures(report_of(renew(folder), rounds=1))


def test_the_command_tells_its_verdict(made, tmp_path):
    folder = federated_folder(made)
    answer = command("verify", folder, "--rounds", 99, "--seed", 3)
    assert answer.code == 0, answer.err
    all_of_them = f"the run has {len(load_run(folder).rounds)} rounds, so all of them were to be"
    assert answer.out.count(all_of_them) == 2  # of its reference too
    assert f"{folder.name}: verified" in answer.out and "(--seed 3)" in answer.out
    answer = command("verify", folder, "--rounds", 0, "--json")
    both = json.loads(answer.out)
    assert answer.code == 0 and [r["verdict"] for r in both] == ["consistent", "consistent"]
    assert [r["run"] for r in both] == [folder.name, centralized_folder(made).name]
    assert not any(r["replays"] or r["scores"] for r in both)
    copy = copied_runs(made, tmp_path / "runs")
    edit(copy / "result.json", lambda r: r.update(seed=1))
    answer = command("verify", copy, "--rounds", 0)
    assert answer.code == 1 and "not that of its checksum" in " ".join(answer.out.split())
    (copy / "result.json").unlink()
    assert "holds no finished run" in command("verify", copy).one_line()
    assert "is no run folder" in command("verify", made).one_line()
    assert "no such directory" in command("verify", tmp_path / "nothing").one_line()


def test_a_third_partys_method_is_executed_on_demand_only(small_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    method, out = tmp_path / "mine.py", tmp_path / "runs"
    method.write_text(METHOD)
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(small_data(KEPT, algorithm={"name": f"{method}:Mine"})))
    assert command("run", config, "--out", out).code == 0
    folder = federated_folder(out)
    executed = tmp_path / "executed"
    executed.unlink()
    report = report_of(folder, rounds=1)
    assert report.verdict == "not verified" and not executed.exists()
    assert "--trust-code" in not_possible(report)["identity made again"]
    assert command("verify", folder, "--rounds", 1).code == 1
    central = report_of(centralized_folder(out), rounds=1)  # needs no code of the method
    assert central.verdict == "verified" and not executed.exists()
    assert report_of(folder, rounds=1, trust_code=True).verdict == "verified"
    executed.unlink()
    method.write_text(METHOD.replace("gradient + self.mu", "gradient + 2 * self.mu"))
    report = report_of(folder, rounds=1, trust_code=True)
    assert not executed.exists()
    assert "is not executed" in failures(report)["identity made again"]
    method.write_text(METHOD.replace("Path(", "# a comment\nPath("))
    assert report_of(folder, rounds=1, trust_code=True).verdict == "verified"
