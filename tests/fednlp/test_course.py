"""Batches by examples and by tokens: steps are counted as they will be made."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from harness import command, contents, digests, experiment, run

from fednlp.identity import centralized_identity, federated_identity
from fednlp.plan import plan

TOKENS = {"client.batch_tokens": 300}


@pytest.mark.parametrize("changes", [{}, TOKENS, {"client.batch_tokens": 1}])
@pytest.mark.parametrize("budget", [1, 24, 25, 60])
def test_steps_are_those_that_are_made(changes, budget, small_config):
    parts = experiment(small_config(changes))
    examples = parts.union[:24]
    participation = parts.trainer().participate(
        examples, parts.initial_weights, round=1, client=2, budget=budget
    )
    work = participation.advance()
    course = parts.trainer().course(examples, budget, round=1, client=2)
    assert work.steps == course.steps and work.examples >= budget
    batches = course.batches()
    made = [next(batches).examples for _ in range(work.steps)]
    assert sum(made) == work.examples and sum(made[:-1]) < budget


def test_a_schedule_ends_at_zero_whatever_the_batches(small_config):
    changes = {**TOKENS, "client.schedule": "linear", "client.schedule_span": "participation"}
    parts = experiment(small_config(changes))
    participation = parts.trainer().participate(
        parts.union[:40], parts.initial_weights, round=0, client=0
    )
    steps = participation.advance().steps
    rates = participation.rates
    assert steps == len(rates) > 2 and rates[0] == parts.config.client.lr
    assert rates[-1] == pytest.approx(rates[0] / steps)


def test_a_token_budget_is_another_run_and_repeats(small_config, tmp_path):
    by_examples, by_tokens = small_config(), small_config(TOKENS)
    ids = [
        f(experiment(c)).id
        for f in (federated_identity, centralized_identity)
        for c in (by_examples, by_tokens, small_config({**TOKENS, "client.batch_size": 3}))
    ]
    assert ids[1] == ids[2] != ids[0] and ids[4] == ids[5] != ids[3]
    runs = [run(by_tokens, tmp_path / name) for name in ("one", "again")]
    assert contents(runs[0].path) == contents(runs[1].path)
    assert digests(runs[0]) != digests(run(by_examples, tmp_path / "examples"))


def test_the_plan_predicts_steps(small_config, tmp_path):
    config = small_config(TOKENS)
    predicted = plan(experiment(config)).steps
    made = run(config, tmp_path).result.costs.steps
    assert abs(predicted - made) <= 0.35 * made


BY_CLASS = {"client.order": "by_class"}


def test_by_class_is_one_class_after_another_and_another_run(small_config, tmp_path):
    parts = experiment(small_config(BY_CLASS))
    store, examples = parts.stores["train"], parts.union[::-1]
    course = parts.trainer().course(examples, round=0, client=1)
    seen = np.concatenate([planned.rows for planned in course.epoch(0)])
    classes = store.columns["label"][seen].tolist()
    assert classes == sorted(classes) and len(set(classes)) > 1
    assert sorted(seen) == sorted(examples) and [*seen] != [*course.epoch(1).rows]
    shuffled = small_config()
    for identity in (federated_identity, centralized_identity):
        assert identity(parts).id != identity(experiment(shuffled)).id
        assert "order" not in identity(experiment(shuffled)).content["client"]
    assert digests(run(parts.config, tmp_path)) != digests(run(shuffled, tmp_path))


def test_the_reference_can_be_shuffled_where_clients_are_not(small_config):
    changes = {**BY_CLASS, "centralized.client.order": "shuffled"}
    ids = [centralized_identity(experiment(small_config(c))).id for c in ({}, BY_CLASS, changes)]
    assert ids[0] == ids[2] != ids[1]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"client.batch_tokens": 100}, "goes with batch_size only"),
        ({"dataset.name": "synthetic_events"}, "sequence_tagging has no single class"),
    ],
)
def test_by_class_where_it_cannot_be_is_one_line(changes, words, small_data, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(small_data({**BY_CLASS, **changes})))
    message = command("run", path, "--out", tmp_path / "runs").one_line()
    assert "client.order" in message and words in message
