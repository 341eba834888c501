"""Seeds needed, against published sample sizes and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.stats.power import TTestPower

from fednlp.statistics import power, seeds_needed

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
        assert power.paired_t_power(effect, seeds) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("effect", [1.6, 2.8, 30.0, 1e9])
def test_never_fewer_than_a_claim_takes(effect):
    assert seeds_needed(effect, 1.0, 50).seeds == 6


@pytest.mark.parametrize(
    ("t", "free", "confidence", "low", "high"),
    [
        (2.83, 126, 0.95, 0.8337503, 4.8153595),  # R's MBESS, conf.limits.nct
        (3.04, 314, 0.99, 0.4429486, 5.632345),  # the R script of Harms 2016
    ],
)
def test_noncentral_t_intervals_of_others(monkeypatch, t, free, confidence, low, high):
    monkeypatch.setattr(power, "CONFIDENCE", confidence)
    root = (free + 1) ** 0.5
    found = power.effect_interval(t / root, free + 1)
    assert np.multiply(found, root) == pytest.approx((low, high), rel=1e-6)


@pytest.mark.parametrize("seeds", [2, 3, 6, 10, 200])
@pytest.mark.parametrize("effect", [0.01, 0.5, 1.0, 4.0])
def test_the_interval_of_the_effect_by_integration(effect, seeds):
    """P(T <= t) for T = (Z + shift) / sqrt(chi-square / free), without a noncentral t."""
    low, high = power.effect_interval(effect, seeds)
    free, t = seeds - 1, effect * seeds**0.5

    def below(shift):
        def given(share):  # of the chi-square distribution, so that the integral is over (0, 1)
            return stats.norm.cdf(t * (stats.chi2.ppf(share, free) / free) ** 0.5 - shift)

        return integrate.quad(given, 0, 1, epsabs=1e-9, limit=200)[0]

    assert below(low * seeds**0.5) == pytest.approx(0.975, abs=2e-6)
    assert below(high * seeds**0.5) == pytest.approx(0.025, abs=2e-6)
    assert low < effect < high


def test_the_interval_is_that_of_the_effect():
    """At d = 1 of ten: 0.21 to 1.75, from 6 seeds to 175; a difference of either sign."""
    found = seeds_needed(-1.0, 1.0, 10)
    low, high = power.effect_interval(1.0, 10)
    assert (low, high) == pytest.approx((0.2136, 1.7513), abs=1e-4)
    assert found.low == seeds_needed(high, 1.0, 10).seeds
    assert found.high == seeds_needed(low, 1.0, 10).seeds
    assert found.low < found.seeds < found.high
    assert str(found) == f"10 ({found.low} to {found.high})"


@pytest.mark.parametrize("seeds", [2, 6, 10, 30])
def test_no_number_is_excluded_where_the_t_test_shows_nothing(seeds):
    """Zero is in the interval of the effect exactly where p is at least 5 %."""
    edge = stats.t.ppf(0.975, seeds - 1) / seeds**0.5
    assert power.effect_interval(edge, seeds)[0] == pytest.approx(0, abs=1e-6)
    found = seeds_needed(0.99 * edge, 1.0, seeds)
    assert found.high is None and str(found).endswith(f"({found.low} or more)")
    assert power.effect_interval(1.01 * edge, seeds)[0] > 0


def test_two_seeds_say_next_to_nothing():
    found = seeds_needed(1.0, 1.0, 2)
    assert (found.low, found.high) == (6, None) and str(found) == "10 (6 or more)"


def test_more_than_anyone_trains():
    found = seeds_needed(1e-9, 1.0, 5)
    assert found.seeds is found.high is None and str(found) == "more than 100,000 (13 or more)"
    found = seeds_needed(1e-9, 1.0, 10**8)
    assert found.seeds is found.low is found.high is None and str(found) == "more than 100,000"
    largest = seeds_needed(0.0089, 1.0, 1000).seeds
    assert largest is not None and 90_000 < largest <= power.MOST


@pytest.mark.parametrize("seeds", [2, 3, 50])
@pytest.mark.parametrize("std", [1e-3, 1e-9, 5e-324])
def test_a_difference_far_beyond_its_deviation_takes_the_fewest(std, seeds):
    assert seeds_needed(0.5, std, seeds) == power.SeedsNeeded(6, 6, 6)


@pytest.mark.parametrize(("mean", "std", "seeds"), [(0.1, 0.0, 9), (0.0, 0.1, 9), (0.1, 0.1, 1)])
def test_none_where_nothing_can_be_told(mean, std, seeds):
    assert seeds_needed(mean, std, seeds) is None


@pytest.mark.parametrize("effect", [0.45, 0.9])
def test_that_many_seeds_show_it_in_80_of_100_and_one_fewer_do_not(effect):
    needed, rng, times = seeds_needed(effect, 1.0, 10).seeds, np.random.default_rng(0), 40_000

    def share(seeds):
        values = rng.normal(effect, 1.0, (times, seeds))
        return np.mean(stats.ttest_1samp(values, 0.0, axis=1).pvalue < 0.05)

    error = 3.5 * (0.8 * 0.2 / times) ** 0.5
    assert share(needed) > 0.8 - error
    assert share(needed - 1) < 0.8 + error


@pytest.mark.parametrize(
    ("effect", "seeds"), [(0.5, 10), (0.5, 6), (0.8, 10), (1.0, 6), (0.8, 30), (0.5, 60)]
)
def test_the_intervals_cover_in_95_of_100(effect, seeds):
    """Difference and deviation are both estimated, of normal differences.

    The interval of the effect covers in 95 of 100. That of the number of seeds, which knows no
    sign, covers more where the sign is in doubt, at most 97.5 as one of its ends never misses, and
    where a number stands for a range of effects.
    """
    rng, times = np.random.default_rng(1), 4000
    values = rng.normal(effect, 1.0, (times, seeds))
    means, stds = values.mean(1), values.std(1, ddof=1)
    ends = np.array(
        [power.effect_interval(*each) for each in zip(means / stds, [seeds] * times, strict=True)]
    )
    own = np.mean((ends[:, 0] <= effect) & (effect <= ends[:, 1]))
    error = 3.5 * (0.95 * 0.05 / times) ** 0.5
    assert own == pytest.approx(0.95, abs=error)
    true = seeds_needed(effect, 1.0, 10).seeds
    found = [seeds_needed(*each, seeds) for each in zip(means, stds, strict=True)]
    share = np.mean([n.low <= true <= (n.high or np.inf) for n in found])
    assert 0.95 - error < share < 0.975 + error
    if effect * seeds**0.5 > 3.5 and true > 30:
        assert share == pytest.approx(0.95, abs=error)
