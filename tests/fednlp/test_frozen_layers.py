"""Runs whose frozen layers are computed once are the runs they were."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import yaml
from harness import command, digests, final_state, run

from fednlp import config as configuration
from fednlp import frozen_layers, plan
from fednlp.evaluation import predict
from fednlp.experiment import Experiment
from fednlp.results.reading import load_run
from tasks.task import TRUNK

FROZEN = {
    "model": {"name": "tiny", "freeze_embeddings": True, "freeze_layers": 1, "dropout": 0.0},
    "engine.reuse_frozen": True,
}
SIZES = {"train": 120, "validation": 30, "test": 40}
KINDS = {
    "classification": {},
    "tagging": {"dataset": {"name": "synthetic_events", "sizes": SIZES}},
    "answers": {"dataset": {"name": "synthetic_facts", "sizes": SIZES}},
}


def last(finished):
    return final_state(finished)["weights"]


def near(one, other, config):
    """Whether both moved the weights alike."""
    start, a, b = Experiment(config).initial_weights, last(one), last(other)
    return float((a - b).norm()) < 1e-4 * float((b - start).norm())


METHODS = ["SCAFFOLD", "FedProx", "FedNova", "Ditto", "scaffold_gradient"]


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [*((kind, "FedAvg") for kind in KINDS), *(("classification", name) for name in METHODS)],
)
def test_the_same_run(kind, algorithm, small_config, tmp_path):
    changes = {**FROZEN, **KINDS[kind], "algorithm": algorithm, "engine.workers": 1}
    if algorithm == "SCAFFOLD":
        changes["client.optimizer"] = "sgd"
    once = run(small_config(changes), tmp_path / "once")
    again = run(small_config({**changes, "engine.reuse_frozen": False}), tmp_path / "again")
    assert once.result.id == again.result.id
    assert near(once, again, small_config(changes))


@pytest.mark.parametrize("engine", [{"workers": 2}, {"workers": 1, "threads": 1}])
def test_the_same_bits_for_any_number_of_workers(engine, small_config, tmp_path, monkeypatch):
    one = run(small_config({**FROZEN, "engine.workers": 1, "engine.threads": 1}), tmp_path / "1")
    monkeypatch.setenv("FEDNLP_CACHE", str(tmp_path / "an empty cache"))
    changes = {f"engine.{key}": value for key, value in {"threads": 1, **engine}.items()}
    other = run(small_config({**FROZEN, **changes}), tmp_path / "other")
    assert digests(one) == digests(other)


def test_clients_together(small_config, tmp_path):
    alone = run(small_config({**FROZEN, "engine.together": 1}), tmp_path / "alone")
    parts = Experiment(small_config({**FROZEN, "engine.together": 2}))
    assert parts.together.clients == 2 and TRUNK in parts.stores["train"].columns
    joint = run(parts.config, tmp_path / "joint")
    assert near(alone, joint, parts.config)


@pytest.mark.parametrize("changes", [{"precision": "bf16"}, {"engine.compile": True}])
def test_other_arithmetic(changes, small_config, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    changes = {**FROZEN, **changes, "engine.workers": 1}
    once = run(small_config(changes), tmp_path / "once")
    again = run(small_config({**changes, "engine.reuse_frozen": False}), tmp_path / "again")
    start, (a, b) = Experiment(small_config(changes)).initial_weights, map(last, (once, again))
    assert float((a - b).norm()) < 0.02 * float((b - start).norm())


def test_a_longer_run_continues_it_and_it_verifies(small_data, tmp_path):
    config, out = tmp_path / "run.yaml", tmp_path / "runs"
    for rounds in (1, 3):
        changes = {**FROZEN, "rounds": rounds, "centralized.budget": "none"}
        config.write_text(yaml.safe_dump(small_data(changes)))
        assert command("run", config, "--out", out).code == 0
    whole = run(configuration.load(config), tmp_path / "whole")
    (longest,) = (
        p.parent for p in out.glob("*/result.json") if load_run(p.parent).result.costs.rounds == 3
    )
    assert digests(load_run(longest)) == digests(whole)
    answer = command("verify", longest)
    assert answer.code == 0 and "verified" in answer.out


def test_what_is_kept_serves_the_next_run(small_config, monkeypatch, tmp_path):
    monkeypatch.setenv("FEDNLP_CACHE", str(tmp_path))
    first = Experiment(small_config(FROZEN)).stores
    monkeypatch.setattr(frozen_layers.FrozenTrunk, "read", None)
    again = Experiment(small_config({**FROZEN, "seed": 0, "algorithm": "FedProx"})).stores
    assert again["train"].folder == first["train"].folder is not None
    with pytest.raises(TypeError):  # other frozen weights, so it would be read anew
        _ = Experiment(small_config({**FROZEN, "seed": 1})).stores


def test_other_kernels_are_another_entry(small_config, monkeypatch, tmp_path):
    """MiniLM's outputs differ by 1e-5 between ours and torch's, which compiled runs have."""
    monkeypatch.setenv("FEDNLP_CACHE", str(tmp_path))
    changes = [{}, {"engine.compile": True}, {"precision": "bf16"}]
    folders = [Experiment(small_config({**FROZEN, **c})).stores["train"].folder for c in changes]
    assert len({*folders}) == 3


def test_workers_score_with_the_model_that_is_cut(small_config):
    """Whatever is asked for first."""
    parts = Experiment(small_config({**FROZEN, "engine.workers": 2}))
    alone = Experiment(small_config({**FROZEN, "engine.reuse_frozen": False}))
    indices = np.arange(80)
    found = parts.workers.predict("test", alone.initial_weights, indices)
    assert found == predict(alone, "test", alone.initial_weights, indices)


@pytest.mark.parametrize("changes", [{}, {"client.batch_tokens": 200}])
def test_a_plan_of_a_suite_reads_no_text(changes, small_config, monkeypatch):
    monkeypatch.setattr(frozen_layers.FrozenTrunk, "read", None)
    parts, whole = (
        Experiment(small_config({**FROZEN, **changes, "engine.reuse_frozen": reuse}))
        for reuse in (True, False)
    )
    one, other = (plan.counts(each, ask_method=False) for each in (parts, whole))
    assert one.multiplied < other.multiplied and one.steps == other.steps
    assert "stores" not in vars(parts)


@pytest.mark.parametrize(
    "changes, problem",
    [
        ({"engine.reuse_frozen": False}, ""),
        ({"model.freeze_layers": 0}, ""),
        ({"model.freeze_embeddings": False}, "the embeddings are trained"),
        ({"model.dropout": 0.1}, "they have dropout, or are of another architecture"),
    ],
)
def test_what_does_not_apply_is_said(changes, problem, small_config):
    chosen = Experiment(small_config({**FROZEN, **changes})).frozen_layers
    assert (
        chosen.trunk is None and problem in chosen.problem and bool(chosen.problem) == bool(problem)
    )


def test_too_many_texts_are_read_at_every_step(small_config, monkeypatch):
    monkeypatch.setattr(frozen_layers, "MOST_BYTES", 2**20)
    parts = Experiment(small_config(FROZEN))
    assert parts.frozen_layers.trunk is None
    assert parts.frozen_layers.problem.startswith(
        "frozen layers are computed at every step: to keep what they make of"
    )
    assert TRUNK not in parts.stores["train"].columns


def test_it_is_another_environment_and_said_once(small_data, tmp_path):
    config, out = tmp_path / "run.yaml", tmp_path / "runs"
    changes = {**FROZEN, "rounds": 1, "centralized.budget": "none"}
    config.write_text(yaml.safe_dump(small_data(changes)))
    answer = command("run", config, "--out", out)
    assert answer.code == 0
    config.write_text(yaml.safe_dump(small_data({**changes, "rounds": 2})))
    message = command("run", config, "engine.reuse_frozen=false", "--out", out).one_line()
    assert "reuse_frozen 1 -> False" in message and "engine.reuse_frozen" in message
    assert command("run", config, "--out", out).code == 0
