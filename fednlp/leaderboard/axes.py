"""Scales of a chart: where a value is drawn, and the numbers along an axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
TIMES = ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


@dataclass(frozen=True)
class Scale:
    """Linear from data [low, high] to pixels [start, end]."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


@lru_cache(maxsize=512)
def ticks(low: float, high: float, most: int = 5, whole: bool = False) -> tuple[float, ...]:
    """Round numbers within [low, high], about `most` of them."""
    from matplotlib.ticker import MaxNLocator

    found = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10], integer=whole).tick_values(low, high)
    slack = 1e-9 * (high - low)
    return tuple(float(value) for value in found if low - slack <= value <= high + slack)


def span(values: Iterable[float], margin: float = 0.04) -> tuple[float, float]:
    """The lowest and highest value with a margin; never empty."""
    known = list(values)
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    width = high - low
    if width <= 1e-12 * max(abs(low), abs(high), 1e-12):
        width = abs(high) or 1.0
        return low - width / 2, high + width / 2
    return low - margin * width, high + margin * width


def unit(largest: float, units: Sequence[tuple[float, str]]) -> tuple[float, str]:
    """The unit in which the largest value is not less than one."""
    return next((pair for pair in units if largest >= pair[0]), units[-1])
