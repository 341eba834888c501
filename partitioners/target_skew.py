"""The alpha that gives a wanted skew: bisection over log alpha, each time on a whole partition.

Skew is what `measure_skew` finds in the split that came out, so it includes what chance, the supply
of each label and a minimum size do to it. It falls as alpha rises, but for the noise of the draw,
and but for `dirichlet_per_class` with an alpha that leaves most clients nothing: they all get their
minimum from the same few donors and are alike. So alpha comes down from 1000 in half decades until
the skew has passed the target, and only that step is bisected: of several alphas, the largest.

    measure, target = parse_target("JSD=0.4")
    alpha, partition = find_alpha(
        lambda alpha: make_partition("dirichlet", {"alpha": alpha}, ...), measure, target
    )
    partition.provenance["achieved"]["js_distance"]      # 0.4, to within 0.005
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable

import numpy as np

from .errors import PartitionError
from .partition import Partition

MEASURES = {"JSD": "js_distance", "TV": "total_variation", "missing": "missing_labels"}
EXPONENTS = np.linspace(3, -3, 13)  # log10 of alpha: from nearly IID to one label per client
STEPS = 25  # alphas closer than 1e-8 draw the same partition
NARROW = 1e-3  # of log10 alpha: from there on, a partition that comes again ends the search
WHERE = "target_skew"


def parse_target(text: str) -> tuple[str, float]:
    """`JSD=0.4` as ("JSD", 0.4); PartitionError for anything but a measure and a skew in [0, 1]."""
    measure, _, number = (part.strip() for part in text.partition("="))
    try:
        target = float(number)
    except ValueError:
        target = math.nan
    _require_target(measure, target, repr(text))
    return measure, target


def find_alpha(
    make: Callable[[float], Partition], measure: str, target: float, tolerance: float = 0.005
) -> tuple[float, Partition]:
    """(alpha, partition): `make(alpha)` for an alpha of 1e-3 to 1e3 that reaches `target`.

    make: from alpha to a measured partition, always with the same seed. measure: key of MEASURES.
    Raises PartitionError when the target is out of reach, or no partition comes within `tolerance`
    of it, as with a handful of clients; the error tells what can be had.
    """
    _require_target(measure, target, f"{measure}={target}")
    tried: list[tuple[float, float, Partition]] = []  # skew, alpha, partition

    def excess(exponent: float) -> float:
        """Of the skew at this log10 of alpha over the target; 0 when it is near enough."""
        alpha = float(10**exponent)
        partition = make(alpha)
        skew = float(partition.provenance["achieved"][MEASURES[measure]])
        tried.append((skew, alpha, partition))
        return 0.0 if abs(skew - target) <= tolerance else skew - target

    low = high = float(EXPONENTS[0])
    before = now = excess(low)
    for exponent in EXPONENTS[1:]:
        if before * now <= 0:
            break
        high, low = low, float(exponent)
        before, now = now, excess(low)
    if before * now > 0:
        skews = [skew for skew, _, _ in tried]
        raise PartitionError(
            WHERE,
            f"{measure}={target:g} is out of reach",
            f"{measure} from {min(skews):.3f} to {max(skews):.3f}, which alphas from 0.001 to 1000 "
            "give for this data, partitioner and number of clients",
        )
    for _ in range(STEPS):
        if now == 0:
            break
        middle = (low + high) / 2
        narrow = high - low < NARROW
        now = excess(middle)
        if narrow and _repeats([partition for _, _, partition in tried]):
            break
        low, high = (low, middle) if now * before > 0 else (middle, high)
    skew, alpha, partition = min(tried, key=lambda entry: abs(entry[0] - target))
    if abs(skew - target) <= tolerance:
        return alpha, partition
    raise PartitionError(
        WHERE,
        f"no partition comes within {tolerance:g} of {measure}={target:g}: the nearest has "
        f"{skew:.4f}, at alpha {alpha:.4g}",
        fix="ask for that, or use more clients or another seed",
    )


def _repeats(made: list[Partition]) -> bool:
    """Whether the last partition was there before."""
    return made[-1].checksum in {partition.checksum for partition in made[:-1]}


def _require_target(measure: str, target: float, found: str) -> None:
    if measure not in MEASURES:
        known = {name.lower(): name for name in MEASURES}
        near = difflib.get_close_matches(measure.lower(), known, n=1)
        raise PartitionError(
            WHERE,
            found,
            f"one of {', '.join(f'{name}=0.4' for name in MEASURES)}",
            f"did you mean {known[near[0]]}?" if near else "",
        )
    if not 0 <= target <= 1:
        raise PartitionError(WHERE, found, f"a skew from 0 to 1, as in {measure}=0.4")
