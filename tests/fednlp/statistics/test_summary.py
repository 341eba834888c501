"""Means, deviations and intervals, against numbers of others and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from fednlp.errors import UserError
from fednlp.statistics import summary

pytestmark = pytest.mark.filterwarnings("error")
# Student's ten patients: hours of sleep gained under one drug minus under the other (1908)
SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]


def test_students_own_example():
    """As R's t.test prints it: 1.58, 95 % interval 0.7001142 to 2.4598858."""
    found = summary(SLEEP)
    assert found.seeds == 10 and found.mean == pytest.approx(1.58)
    assert found.std == pytest.approx(1.229995, abs=1e-6)
    assert found.t_interval == pytest.approx((0.7001142, 2.4598858), abs=1e-6)
    assert found.note == ""


def test_three_values_by_hand():
    """Mean 0.12, deviation 0.02, and t(2 degrees, 97.5 %) = 4.302653."""
    found = summary([0.10, 0.14, 0.12])
    half = 4.302653 * 0.02 / 3**0.5
    assert found.t_interval == pytest.approx((0.12 - half, 0.12 + half), abs=1e-7)
    assert found.bootstrap_interval is None


def test_one_seed_has_a_mean_and_nothing_else():
    found = summary([-0.05])
    assert (found.seeds, found.mean) == (1, -0.05)
    assert found.std is found.t_interval is found.bootstrap_interval is None
    assert found.note == "one seed: no interval"


@pytest.mark.parametrize("value", [0.0, 0.1, -0.3, 1 / 3])
@pytest.mark.parametrize("count", [2, 7, 12])
def test_equal_values_have_no_interval(value, count):
    """Their mean is that value; sums of 0.1 are no multiples of it, which is no variation."""
    found = summary([value] * count)
    assert found.mean == pytest.approx(value) and found.std == 0.0
    assert found.t_interval is found.bootstrap_interval is None
    assert found.note == f"equal in all {count} seeds: no interval"
    assert summary([0.1 + 0.2, 0.3] * count).std == 0.0


@pytest.mark.parametrize(("count", "bootstrapped"), [(9, False), (10, True)])
def test_the_bootstrap_begins_at_ten(count, bootstrapped):
    values = np.random.default_rng(0).normal(size=count)
    assert (summary(values).bootstrap_interval is not None) == bootstrapped


def test_the_bootstrap_is_the_same_twice_and_in_any_order():
    values = np.random.default_rng(1).normal(size=15)
    first = summary(values)
    assert summary(values[::-1]) == first == summary(list(values))


def test_the_bootstrap_leans_to_the_long_tail():
    """The t-interval is symmetric; BCa's reaches further where the data do (Efron 1987)."""
    values = np.random.default_rng(2).exponential(size=30)
    low, high = summary(values).bootstrap_interval
    mean = values.mean()
    assert high - mean > mean - low > 0
    mirrored = summary(-values).bootstrap_interval
    assert mirrored == pytest.approx((-high, -low), rel=0.05)


def test_the_bootstrap_is_not_the_percentiles():
    """For a long right tail BCa moves both ends to the right, here by a sixth of the error."""
    values = np.random.default_rng(2).exponential(size=30)
    drawn = values[np.random.default_rng(9).integers(30, size=(20_000, 30))].mean(1)
    moved = np.subtract(summary(values).bootstrap_interval, np.quantile(drawn, [0.025, 0.975]))
    assert (moved > 0.1 * values.std() / 30**0.5).all()


def test_one_other_value_among_ten_is_enough():
    found = summary([0.5] * 9 + [0.6])
    low, high = found.bootstrap_interval
    assert 0.5 <= low < high <= 0.6


@pytest.mark.parametrize("values", [[], [0.1, float("nan")], [float("inf")], [1e300, 2e300]])
def test_what_is_no_number_is_refused(values):
    with pytest.raises(UserError):
        summary(values)


@pytest.mark.parametrize("count", [2, 5, 20])
def test_the_t_interval_covers_the_mean_in_95_of_100(count):
    rng, times = np.random.default_rng(count), 1000
    intervals = [summary(rng.normal(0.3, 0.1, count)).t_interval for _ in range(times)]
    share = np.mean([low <= 0.3 <= high for low, high in intervals])
    assert share == pytest.approx(0.95, abs=3.5 * (0.95 * 0.05 / times) ** 0.5)


def test_the_bootstrap_interval_covers_nearly_as_often():
    """BCa is known to fall short of 95 % in small samples: about 90 % at ten values."""
    rng, times = np.random.default_rng(3), 400
    intervals = [summary(rng.normal(0.3, 0.1, 10)).bootstrap_interval for _ in range(times)]
    share = np.mean([low <= 0.3 <= high for low, high in intervals])
    assert 0.85 <= share <= 0.96
