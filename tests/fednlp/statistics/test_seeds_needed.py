"""Seeds needed, against published sample sizes and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from fednlp.statistics import seeds_needed
from fednlp.statistics.power import MOST, paired_t_power

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize(
    ("effect", "pairs"), [(0.2, 199), (0.3, 90), (0.5, 34), (0.8, 15), (1.0, 10)]
)
def test_sample_sizes_of_the_textbooks(effect, pairs):
    """Paired t test, two-sided 5 %, 80 %: as G*Power and R's pwr.t.test have them."""
    assert seeds_needed(effect, 1.0, 10).seeds == pairs
    assert seeds_needed(-effect * 0.01, 0.01, 10).seeds == pairs


@pytest.mark.parametrize("seeds", [2, 6, 34, 5000])
@pytest.mark.parametrize("effect", [0.001, 0.1, 0.5, 2.5])
def test_the_power_is_that_of_statsmodels(effect, seeds):
    if effect * seeds**0.5 < 8:  # above, statsmodels has no number
        expected = TTestPower().power(effect, seeds, 0.05)
        assert paired_t_power(effect, seeds) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("effect", [1.6, 2.8, 30.0, 1e9])
def test_never_fewer_than_a_claim_takes(effect):
    assert seeds_needed(effect, 1.0, 50).seeds == 6


def test_the_interval_is_that_of_the_deviation():
    """Ten values: 0.6878 to 1.8256 times the deviation, as chi-square tables have it."""
    found = seeds_needed(0.5, 1.0, 10)
    assert found.low == seeds_needed(0.5, 0.6878, 10).seeds
    assert found.high == seeds_needed(0.5, 1.8256, 10).seeds
    assert found.low < found.seeds < found.high
    assert str(found) == f"34 ({found.low} to {found.high})"


def test_two_seeds_say_next_to_nothing():
    """0.446 to 31.9 times the deviation: a number of seeds that spans thousands."""
    found = seeds_needed(1.0, 1.0, 2)
    assert found.low == 6 and found.high > 5000


def test_more_than_anyone_trains():
    found = seeds_needed(1e-9, 1.0, 5)
    assert found.seeds is found.low is found.high is None
    assert str(found) == "more than 100,000 (more than 100,000 to more than 100,000)"
    largest = seeds_needed(0.0089, 1.0, 1000).seeds
    assert largest is not None and 90_000 < largest <= MOST


@pytest.mark.parametrize(("mean", "std", "seeds"), [(0.1, 0.0, 9), (0.0, 0.1, 9), (0.1, 0.1, 1)])
def test_none_where_nothing_can_be_told(mean, std, seeds):
    assert seeds_needed(mean, std, seeds) is None


@pytest.mark.parametrize("effect", [0.45, 0.9])
def test_that_many_seeds_show_it_in_80_of_100_and_one_fewer_do_not(effect):
    needed, rng, times = seeds_needed(effect, 1.0, 10).seeds, np.random.default_rng(0), 40_000

    def power(seeds):
        values = rng.normal(effect, 1.0, (times, seeds))
        return np.mean(stats.ttest_1samp(values, 0.0, axis=1).pvalue < 0.05)

    error = 3.5 * (0.8 * 0.2 / times) ** 0.5
    assert power(needed) > 0.8 - error
    assert power(needed - 1) < 0.8 + error


def test_the_interval_covers_the_true_number_in_95_of_100():
    """The true deviation 1 and difference 0.5 take 34 seeds; only the deviation is estimated."""
    rng, times = np.random.default_rng(1), 500
    found = [seeds_needed(0.5, np.std(rng.normal(size=8), ddof=1), 8) for _ in range(times)]
    share = np.mean([one.low <= 34 <= one.high for one in found])
    assert share == pytest.approx(0.95, abs=3.5 * (0.95 * 0.05 / times) ** 0.5)
