"""How many clients are trained at once, and what a run records of it."""

from __future__ import annotations

import json

import pytest
import torch
import yaml
from harness import command, digests, final_state, run

import fednlp.together.choice as choice
from fednlp.experiment import Experiment
from fednlp.together.module import NotTogether

ALONE = {"centralized.budget": "none"}
LARGE = {"partition.clients": 64, "sampling.clients_per_round": 64}
MANY = {"partition.clients": 8, "sampling.clients_per_round": 6}


@pytest.mark.parametrize(
    ("changes", "clients"),
    [
        ({}, 8),
        ({"partition.clients": 90, "sampling.clients_per_round": 90}, 11),
        ({"sampling.clients_per_round": 31}, 1),
        ({"model.name": "mini"}, 1),
        ({"precision": "bf16"}, 1),
        ({"client.batch_size": 96}, 1),
        ({"client.batch_tokens": 400}, 8),
        ({"client.batch_tokens": 2_000}, 1),
        ({"engine.together": 1}, 1),
        ({"engine.together": 4, "model.name": "mini"}, 4),
        ({"engine.together": 100}, 64),
        ({"engine.name": "fedml"}, 1),
    ],
    ids=str,
)
def test_the_number_of_clients(changes, clients, small_config):
    together = Experiment(small_config({**LARGE, **changes})).together
    assert together.clients == clients
    assert (together.trainer is None) == (clients == 1) and together.problem == ""


def test_a_silo_that_is_asked_for_more_says_why_not(small_config):
    wanted = {**LARGE, "engine.name": "fedml", "engine.together": 4}
    together = Experiment(small_config(wanted)).together
    assert together.clients == 1 and together.trainer is None
    assert "silos of the fedml engine train them one by one" in together.problem


def test_on_a_gpu_only_what_is_asked_for(small_config, monkeypatch):
    trainer = Experiment(small_config(MANY)).trainer()
    assert choice.automatic(trainer, cohort=1000) > 1
    monkeypatch.setattr(trainer.model, "device", torch.device("cuda"))
    assert choice.automatic(trainer, cohort=1000) == 1


def test_a_run_ends_near_the_one_by_one(small_config, tmp_path):
    ends = []
    for clients in (1, 3):
        changes = {**MANY, **ALONE, "engine.together": clients, "model.dropout": 0.0}
        made = run(small_config(changes), tmp_path / str(clients))
        (known,) = json.loads((made.path / "environment.json").read_text())
        assert known.get("together", 1) == clients
        ends.append((final_state(made)["weights"], made))
    (one, alone), (other, joint) = ends
    assert alone.result.id == joint.result.id and digests(alone) != digests(joint)
    assert float((one - other).norm()) < 1e-5 * float(one.norm())


def test_a_run_repeats_itself_with_dropout(small_config, tmp_path):
    config = small_config({**MANY, **ALONE, "engine.together": 4, "model.dropout": 0.1})
    first, second = (run(config, tmp_path / name) for name in ("a", "b"))
    assert digests(first) == digests(second)


def test_a_longer_run_continues_a_shorter_bit_for_bit(small_config, tmp_path):
    changes = {**MANY, **ALONE, "engine.together": 4, "model.dropout": 0.1}
    run(small_config({**changes, "rounds": 1}), tmp_path / "a")
    continued = run(small_config({**changes, "rounds": 2}), tmp_path / "a")
    whole = run(small_config({**changes, "rounds": 2}), tmp_path / "b")
    assert digests(continued) == digests(whole)


def test_another_number_is_inexact(small_data, tmp_path):
    config, out = tmp_path / "config.yaml", tmp_path / "runs"
    config.write_text(yaml.safe_dump(small_data(MANY)))

    def go(rounds, clients, *more):
        line = [f"rounds={rounds}", f"engine.together={clients}", "--out", out, *more]
        return command("run", config, *line)

    assert go(1, 2).code == 0
    assert "together 2 -> 3" in go(2, 3).one_line()
    assert go(2, 2).code == 0
    assert go(3, 3, "--allow-inexact").code == 0
    for path in out.glob("*/identity.json"):  # a centralized run has no clients
        kind = json.loads(path.read_text())["content"]["kind"]
        known = json.loads((path.parent / "environment.json").read_text())
        assert known[0].get("together") == (2 if kind == "federated" else None)
        assert len(known) == 1 or kind == "federated"


def test_what_cannot_be_mapped_runs_one_by_one_and_says_so_once(
    small_data, small_config, tmp_path, monkeypatch
):
    expected = run(small_config({**MANY, **ALONE, "engine.together": 1}), tmp_path / "expected")

    def refuse(*_):
        raise NotTogether("encoder.norm is a StrangeNorm")

    monkeypatch.setattr(choice, "TogetherTrainer", refuse)
    config, out = tmp_path / "config.yaml", tmp_path / "runs"
    config.write_text(yaml.safe_dump(small_data({**MANY, **ALONE, "engine.together": 4})))
    answer = command("run", config, "--out", out)
    assert answer.code == 0
    assert (answer.out + answer.err).count("one by one: encoder.norm is a StrangeNorm") == 1
    (path,) = out.glob("*/rounds.jsonl")
    made = [json.loads(line)["weights_sha256"] for line in path.read_text().splitlines()]
    assert made == digests(expected)
