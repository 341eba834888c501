"""How many seeds it takes to tell two methods apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fednlp.statistics.rules import ALPHA, CONFIDENCE, INTERVAL_FROM, POWER, TESTS_FROM

MOST = 100_000  # seeds; nobody trains more, so a larger number is only called larger


@dataclass(frozen=True)
class SeedsNeeded:
    """Common seeds that show a true difference as large as the observed one with 80 % power.

    Of the two-sided paired t test at 5 %, for this pair alone; at least 6, below which nothing is
    claimed. None: more than 100,000.

    low, high: the number at the ends of the 95 % chi-square interval of the standard deviation,
    the difference itself taken as known.
    """

    seeds: int | None
    low: int | None
    high: int | None

    def __str__(self) -> str:
        seeds, low, high = (_count(n) for n in (self.seeds, self.low, self.high))
        return f"{seeds} ({low} to {high})"


def _count(seeds: int | None) -> str:
    return f"more than {MOST:,}" if seeds is None else f"{seeds:,}"


def seeds_needed(mean: float, std: float, seeds: int) -> SeedsNeeded | None:
    """From the mean and standard deviation of the differences of `seeds` common seeds.

    None where no number can be told: fewer than 2 seeds, a mean of 0, or no deviation.
    """
    if seeds < INTERVAL_FROM or mean == 0 or std == 0:
        return None
    from scipy.stats import chi2

    tail, free = (1 - CONFIDENCE) / 2, seeds - 1
    smallest = std * math.sqrt(free / chi2.ppf(1 - tail, free))
    largest = std * math.sqrt(free / chi2.ppf(tail, free))
    return SeedsNeeded(*(_needed(abs(mean) / s) for s in (std, smallest, largest)))


def _needed(effect: float) -> int | None:
    """The first number of seeds whose power reaches 80 %; effect: mean / standard deviation > 0."""
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
