"""Batches by examples and by tokens: steps are counted as they will be made."""

from __future__ import annotations

import pytest
from harness import contents, digests, experiment, run

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
