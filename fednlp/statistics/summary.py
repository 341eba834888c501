"""Mean, deviation and intervals of one number over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fednlp.statistics.rules import (
    BOOTSTRAP_FROM,
    BOOTSTRAP_SEED,
    CONFIDENCE,
    INTERVAL_FROM,
    MEAN_RESAMPLES,
)
from fednlp.statistics.values import all_equal, finite

Interval = tuple[float, float]


@dataclass(frozen=True)
class Summary:
    """What the values of some seeds say about their mean; None where they say nothing.

    std: sample standard deviation (n - 1), from 2 seeds; exactly 0 where all values are equal.
    t_interval: 95 %, from 2 seeds whose values are not all equal.
    bootstrap_interval: 95 % BCa, from 10 seeds whose values are not all equal.
    """

    seeds: int
    mean: float
    std: float | None
    t_interval: Interval | None
    bootstrap_interval: Interval | None

    @property
    def note(self) -> str:
        """Why there is no interval, in words; "" where there is one."""
        if self.seeds < INTERVAL_FROM:
            return "one seed: no interval"
        return f"equal in all {self.seeds} seeds: no interval" if self.t_interval is None else ""


def summary(values: Iterable[float]) -> Summary:
    """Summarises values [n], one per seed; their order does not matter.

    Raises:
        UserError: there is no value, or one is not a finite number.
    """
    array = np.sort(finite(values, "values over seeds"))
    count, mean = len(array), math.fsum(array) / len(array)
    if count < INTERVAL_FROM:
        return Summary(count, mean, None, None, None)
    if all_equal(array):
        return Summary(count, mean, 0.0, None, None)
    std = float(np.std(array, ddof=1))
    return Summary(count, mean, std, t_interval(mean, std, count), _bootstrap_interval(array))


def t_interval(mean: float, std: float, count: int) -> Interval:
    """95 % interval of a mean of `count` normal values with standard deviation `std` > 0."""
    from scipy.stats import t

    low, high = t.interval(CONFIDENCE, count - 1, loc=mean, scale=std / math.sqrt(count))
    return float(low), float(high)


def _bootstrap_interval(values: np.ndarray) -> Interval | None:
    """Bias-corrected and accelerated (Efron 1987); values [n] sorted and not all equal."""
    if len(values) < BOOTSTRAP_FROM:
        return None
    from scipy.stats import bootstrap

    found = bootstrap(
        (values,),
        np.mean,
        n_resamples=MEAN_RESAMPLES,
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(BOOTSTRAP_SEED),
    ).confidence_interval
    return float(found.low), float(found.high)
