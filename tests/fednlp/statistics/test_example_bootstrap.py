"""The paired bootstrap over test examples, against formulas of the textbook and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from fednlp.errors import UserError
from fednlp.statistics import example_bootstrap
from tasks.metrics_entities import precision_recall_f1

pytestmark = pytest.mark.filterwarnings("error")


def accuracy(run):
    return float(np.mean(run["right"]))


def run(values):
    return {"right": np.asarray(values, float)}


def test_a_mean_has_the_standard_error_of_the_formula():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 400))
    found = example_bootstrap([run(first)], [run(second)], accuracy)
    expected = np.std(first - second, ddof=1) / 20
    assert found.examples == 400
    assert found.difference == pytest.approx(np.mean(first - second))
    assert found.stderr == pytest.approx(expected, rel=0.06)
    low, high = found.interval
    assert (low, high) == pytest.approx(
        (found.difference - 1.96 * expected, found.difference + 1.96 * expected), abs=0.2 * expected
    )


def test_pairing_by_example_takes_out_what_both_share():
    """Hard and easy examples are so for both: unpaired, the error would be ten times as large."""
    rng = np.random.default_rng(1)
    hard = rng.random(300)
    first, second = hard + 0.02 + 0.03 * rng.random(300), hard + 0.03 * rng.random(300)
    found = example_bootstrap([run(first)], [run(second)], accuracy)
    unpaired = (np.var(first) / 300 + np.var(second) / 300) ** 0.5
    assert found.stderr < unpaired / 10
    assert found.p < 0.01 and found.interval[0] > 0


def test_a_metric_of_counts_is_made_from_counts():
    """Micro F1: one long sentence weighs more than many short ones, which a mean would not tell."""
    short, long = np.ones(99, int), [41]
    gold = np.concatenate([short, long])
    first = {"right": gold, "predicted": gold, "gold": gold}
    second = {"right": np.concatenate([short, [0]]), "predicted": gold, "gold": gold}
    found = example_bootstrap([first], [second], lambda counts: precision_recall_f1(counts)["f1"])
    assert found.difference == pytest.approx(1 - 99 / 140)
    # the long sentence is drawn Poisson(1) times: 0, 1, 2 of 41 in 99 to 181 entities
    assert found.interval[0] == pytest.approx(0.0, abs=1e-9)
    assert found.interval[1] == pytest.approx(123 / 220, abs=0.03)
    assert found.p > 0.5  # in 37 of 100 draws it is not there


def test_seeds_are_averaged_on_the_same_draw():
    rng = np.random.default_rng(2)
    firsts, seconds = rng.random((2, 3, 100))
    both = example_bootstrap([run(f) for f in firsts], [run(s) for s in seconds], accuracy)
    means = example_bootstrap([run(firsts.mean(0))], [run(seconds.mean(0))], accuracy)
    assert both.interval == pytest.approx(means.interval)
    assert both.stderr == pytest.approx(means.stderr)


def test_swapped_sides_mirror():
    first, second = np.random.default_rng(3).random((2, 50))
    one = example_bootstrap([run(first)], [run(second)], accuracy)
    other = example_bootstrap([run(second)], [run(first)], accuracy)
    assert other.difference == pytest.approx(-one.difference)
    assert other.interval == pytest.approx((-one.interval[1], -one.interval[0]))
    assert other.p == pytest.approx(one.p)
    assert example_bootstrap([run(first)], [run(second)], accuracy) == one  # made twice, the same


@pytest.mark.parametrize("shift", [0.0, 0.25])
def test_equal_differences_have_no_interval(shift):
    values = np.random.default_rng(4).random(60)
    found = example_bootstrap([run(values + shift)], [run(values)], accuracy)
    assert found.difference == pytest.approx(shift)
    assert found.stderr is found.interval is found.p is None


@pytest.mark.parametrize(("count", "told"), [(1, False), (19, False), (20, True)])
def test_few_examples_have_no_interval(count, told):
    first, second = np.random.default_rng(5).random((2, count))
    found = example_bootstrap([run(first)], [run(second)], accuracy)
    assert (found.interval is not None) == told


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([], []),
        ([run([1, 0])], []),
        ([run([1, 0])], [run([1, 0, 1])]),
        ([run([])], [run([])]),
    ],
)
def test_what_does_not_pair_up_is_refused(first, second):
    with pytest.raises(UserError):
        example_bootstrap(first, second, accuracy)


def test_a_metric_that_is_no_number_is_refused():
    with pytest.raises(UserError, match="found nan"):
        example_bootstrap([run([1] * 30)], [run([0] * 30)], lambda _: float("nan"))


def test_models_alike_differ_in_5_of_100(monkeypatch):
    monkeypatch.setattr("fednlp.statistics.examples.EXAMPLE_RESAMPLES", 399)
    rng, times = np.random.default_rng(6), 80
    found = [
        example_bootstrap(*([run(v)] for v in rng.integers(0, 2, (2, 100))), accuracy)
        for _ in range(times)
    ]
    share = np.mean([one.p < 0.05 for one in found])
    covered = np.mean([one.interval[0] <= 0 <= one.interval[1] for one in found])
    error = 3 * (0.05 * 0.95 / times) ** 0.5
    assert share <= 0.05 + error and covered >= 0.95 - error
