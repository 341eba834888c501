"""A client whose training gives NaN or an infinity: the run stops, or goes on without it."""

from __future__ import annotations

import json
import math
from textwrap import dedent

import pytest
import yaml
from harness import QUIET, command, contents, digests, forked, kill_myself, run

from fednlp.results.reading import load_run
from fednlp.results.run_folder import RunFolder
from fednlp.runs import run_pair

HEAD = """
from dataclasses import dataclass
import torch
from algorithms import FedAvg, Scaffold

def bad(client):
    return client.index in BAD and client.round in ROUNDS

"""
METHODS = {
    "delta": """
        @dataclass(frozen=True)
        class Mine(FedAvg):
            def local_update(self, client):
                payload = super().local_update(client)
                if bad(client):
                    payload["delta"][3] = float("nan")
                return payload
    """,
    "correction": """
        @dataclass(frozen=True)
        class Mine(FedAvg):
            def correct(self, gradient, weights, client):
                return gradient * float("inf") if bad(client) else gradient
    """,
    "extra": """
        @dataclass(frozen=True)
        class Mine(FedAvg):
            def local_update(self, client):
                payload = super().local_update(client)
                payload["extra"] = torch.ones(2) / (0.0 if bad(client) else 1.0)
                return payload
    """,
    "decode": """
        @dataclass(frozen=True)
        class Mine(FedAvg):
            def local_update(self, client):
                payload = super().local_update(client)
                return {"delta": payload["delta"], "fault": torch.tensor(float(bad(client)))}
            def decode(self, payload, weights):
                return {"delta": payload["delta"] / (1 - payload["fault"])}
    """,
    "state": """
        @dataclass(frozen=True)
        class Mine(Scaffold):
            def local_update(self, client):
                payload = super().local_update(client)
                if bad(client):
                    client.state["control"] = client.state["control"] * float("nan")
                return payload
    """,
    "scaffold": """
        @dataclass(frozen=True)
        class Mine(Scaffold):
            def local_update(self, client):
                payload = super().local_update(client)
                if bad(client):
                    payload["control"] = payload["control"] / 0.0
                return payload
    """,
}
NAMED = {
    "delta": "its upload 'delta'",
    "correction": "its upload 'delta'",
    "extra": "its upload 'extra'",
    "decode": "its decoded upload 'delta'",
    "state": "its state 'control'",
    "scaffold": "its upload 'control'",
}


@pytest.fixture
def config(small_config, tmp_path):
    """A function: kind -> a run of 3 rounds of 3 of 4 clients with a method that misbehaves."""

    def make(kind, on="skip", bad=(0, 1), rounds=(1,), **more):
        path = tmp_path / f"{kind}.py"
        head = HEAD + f"BAD, ROUNDS = {tuple(bad)}, {tuple(rounds)}\n"
        path.write_text(head + dedent(METHODS[kind]))
        changes = {
            "algorithm": f"{path}:Mine",
            "client.on_nonfinite": on,
            "centralized.budget": "none",
            "sampling.clients_per_round": 3,
            "rounds": 3,
            **more,
        }
        return small_config(changes)

    return make


@pytest.mark.parametrize("kind", METHODS)
def test_stop_names_client_round_and_what(kind, config, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(config(kind, "stop").resolved(), sort_keys=False))
    line = command("run", path, "--out", tmp_path / "runs").one_line()
    assert f"round 2: {NAMED[kind]} is not finite" in line, line
    assert "client 0," in line or "client 1," in line
    assert "client.on_nonfinite: skip" in line


@pytest.mark.parametrize("kind", METHODS)
def test_skip_is_the_round_without_the_client(kind, config, tmp_path, monkeypatch):
    """The same bits as if the skipped clients had not been drawn; state and costs as they must."""
    skipped = run(config(kind), tmp_path / "runs")
    record = skipped.rounds[1]
    left_out = record["skipped"]
    assert left_out and set(left_out) <= {0, 1} and set(left_out) < set(record["clients"])
    assert [r["skipped"] for r in skipped.rounds] == [[], left_out, []]
    assert skipped.result.skipped_uploads == len(left_out)
    assert any(f"client {left_out[0]}, round 2" in note for note in skipped.result.notes)
    assert math.isfinite(record["train_loss"])
    with RunFolder(skipped.path) as folder:
        for client in folder.manifest.clients:
            for name, tensor in folder.client_state(int(client)).items():
                assert tensor.isfinite().all(), name

    from fednlp.cohorts import Cohorts

    real = Cohorts.draw

    def draw(self, round):
        return [a for a in real(self, round) if round != 1 or a.client not in left_out]

    monkeypatch.setattr(Cohorts, "draw", draw)
    without = run(config(kind, bad=(0, 1)), tmp_path / "without")
    assert digests(without) == digests(skipped)
    assert without.result.selected == skipped.result.selected
    assert without.result.skipped_uploads == 0
    assert record["examples"] > without.rounds[1]["examples"]
    assert record["bytes_up"] > without.rounds[1]["bytes_up"]


def test_all_skipped_is_one_line(config, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(config("delta", bad=range(4)).resolved(), sort_keys=False))
    line = command("run", path, "--out", tmp_path / "runs").one_line()
    assert "round 2: no client of 3 is left" in line and "its upload 'delta'" in line


def test_where_nothing_happens_both_ways_are_one_run(config, tmp_path, monkeypatch):
    stop = run(config("delta", "stop", bad=()), tmp_path)
    monkeypatch.setattr(RunFolder, "log", lambda *_: pytest.fail("trained again"))
    assert run(config("delta", "skip", bad=()), tmp_path).path == stop.path
    assert stop.result.skipped_uploads == 0


def test_a_stopped_run_goes_on_where_it_may_skip_and_not_back(config, tmp_path):
    path, out = tmp_path / "run.yaml", tmp_path / "runs"
    path.write_text(yaml.safe_dump(config("state", "stop").resolved(), sort_keys=False))
    assert "is not finite" in command("run", path, "--out", out).one_line()
    answer = command("run", path, "client.on_nonfinite=skip", "--out", out)
    assert answer.code == 0, answer.err
    (folder,) = out.iterdir()
    whole = run(config("state"), tmp_path / "whole")
    assert whole.path.name == folder.name and contents(whole.path) == contents(folder)
    line = command("run", path, "--out", out).one_line()  # a finished run, but not this one
    assert "round 2: its upload is not finite" in line and folder.name in line
    line = command("run", path, "rounds=4", "--out", out).one_line()  # nor one to continue from
    assert "round 2: its upload is not finite" in line
    assert command("run", path, "rounds=4", "client.on_nonfinite=skip", "--out", out).code == 0


def test_a_killed_run_that_skipped_ends_with_the_same_bits(config, tmp_path):
    settings = config("scaffold", **{"model.dropout": 0.1})
    whole = run(settings, tmp_path / "whole")
    out = tmp_path / "killed"
    out.mkdir()

    def attempt():
        real = RunFolder.commit

        def commit(self, completed, *arguments, **options):
            real(self, completed, *arguments, **options)
            if completed == 2:
                kill_myself()

        RunFolder.commit = commit
        run_pair(settings, out, QUIET)

    assert forked(attempt) < 0
    assert contents(run(settings, out).path) == contents(whole.path)


def test_the_table_says_it(config, small_data, tmp_path):
    path, out = tmp_path / "run.yaml", tmp_path / "runs"
    settings = config("delta", **{"centralized.budget": "matched"})
    path.write_text(yaml.safe_dump(settings.resolved(), sort_keys=False))
    answer = command("run", path, "--out", out)
    assert answer.code == 0, answer.err
    assert "not finite and left" in " ".join(answer.out.split())
    rows = json.loads(command("gap", out, "--format", "json").out)
    assert rows[0]["skipped"] >= 1


def test_a_loss_that_is_not_finite_counts_even_if_the_upload_is(config, small_config, tmp_path):
    """A loss of infinity with finite gradients: the task's own fault is the client's."""
    from tasks.text_classification import TextClassification

    real = TextClassification.loss
    settings = small_config({"centralized.budget": "none", "client.on_nonfinite": "skip"})

    def loss(self, model, batch):
        value = real(self, model, batch)
        return value + float("inf") if model.training else value

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TextClassification, "loss", loss)
        with pytest.raises(ValueError, match=r"round 1: no client of 2 is left.*training loss"):
            run(settings, tmp_path)


def test_the_centralized_run_has_no_such_key(small_data, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(small_data({"centralized.client": {"on_nonfinite": "skip"}})))
    assert "on_nonfinite" in command("show", path).one_line()


def test_a_skipped_state_of_a_first_participation_is_none(config, tmp_path):
    """A client that never took part well has no state, and starts afresh when it is drawn again."""
    made = run(config("state", rounds=(0,)), tmp_path)
    left_out = made.rounds[0]["skipped"]
    assert left_out
    with RunFolder(made.path) as folder:
        later = {k for r in made.rounds[1:] for k in r["clients"]}
        for client in left_out:
            assert (folder.client_state(client) is not None) == (client in later)
    assert load_run(made.path).result.skipped_uploads == len(left_out)
