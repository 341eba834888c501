"""How many seeds it takes to tell two methods apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fednlp.statistics.rules import ALPHA, CONFIDENCE, INTERVAL_FROM, POWER, TESTS_FROM
from fednlp.statistics.summary import Interval

MOST = 100_000  # seeds; nobody trains more, so a larger number is only called larger
LARGEST_EFFECT = 100.0  # with two seeds, even the low end of its interval takes the fewest seeds


@dataclass(frozen=True)
class SeedsNeeded:
    """Common seeds that show a true difference as large as the observed one with 80 % power.

    Of the two-sided paired t test at 5 %, for this pair alone; at least 6, below which nothing is
    claimed. None: more than 100,000, or that no number of seeds is excluded.

    low, high: the number at the ends of the 95 % interval of the effect, see `effect_interval`.
    high is None where that interval holds 0, a difference that no number of seeds can show.
    """

    seeds: int | None
    low: int | None
    high: int | None

    def __str__(self) -> str:
        seeds = f"more than {MOST:,}" if self.seeds is None else f"{self.seeds:,}"
        if self.low is None:
            return seeds
        return f"{seeds} ({self.low:,} {'or more' if self.high is None else f'to {self.high:,}'})"


def seeds_needed(mean: float, std: float, seeds: int) -> SeedsNeeded | None:
    """From the mean and standard deviation of the differences of `seeds` common seeds.

    None where no number can be told: fewer than 2 seeds, a mean of 0, or no deviation.
    """
    if seeds < INTERVAL_FROM or mean == 0 or std == 0:
        return None
    effect = min(abs(mean) / std, LARGEST_EFFECT)
    least, most = effect_interval(effect, seeds)
    return SeedsNeeded(*(_needed(size) for size in (effect, most, max(least, 0.0))))


def effect_interval(effect: float, seeds: int) -> Interval:
    """95 % interval of the true effect, mean / standard deviation, of normal differences.

    Its ends are the effects under which the observed t lies at the 97.5 and at the 2.5 % quantile
    of its distribution, a noncentral t (Steiger and Fouladi 1997): both the mean and the deviation
    are estimates. It holds 0 where the t test at 5 % shows nothing.

    Args:
        effect: observed mean / standard deviation; at most 100 in size.
        seeds: at least 2.
    """
    from scipy.special import nctdtrinc

    tail, root = (1 - CONFIDENCE) / 2, math.sqrt(seeds)
    low, high = (float(nctdtrinc(seeds - 1, p, effect * root)) for p in (1 - tail, tail))
    return low / root, high / root


def _needed(effect: float) -> int | None:
    """The first number of seeds whose power reaches 80 %; effect: mean / standard deviation >= 0.

    None: more than 100,000.
    """
    if effect == 0:
        return None
    from scipy.special import ndtri

    # as many as the normal test needs, which is never more than the t test does
    normal = (ndtri(1 - ALPHA / 2) + ndtri(POWER)) / effect
    if normal > math.sqrt(MOST):
        return None
    if normal < 1:  # the least number has far more power than asked for
        return TESTS_FROM
    seeds = max(TESTS_FROM, math.floor(normal**2))
    while paired_t_power(effect, seeds) < POWER:
        seeds += 1
    return seeds if seeds <= MOST else None


def paired_t_power(effect: float, seeds: int) -> float:
    """Power of the two-sided paired t test at 5 %; effect: mean / standard deviation > 0."""
    from scipy.special import nctdtr, stdtrit

    free, shift = seeds - 1, effect * math.sqrt(seeds)
    critical = stdtrit(free, 1 - ALPHA / 2)
    return float(1 - nctdtr(free, shift, critical) + nctdtr(free, shift, -critical))
