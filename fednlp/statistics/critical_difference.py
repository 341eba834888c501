"""Methods over many data sets: mean ranks and the critical difference (Demsar 2006)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fednlp.errors import UserError
from fednlp.statistics.comparison import holm, signed_rank
from fednlp.statistics.rules import ALPHA, DATA_SETS_FROM
from fednlp.statistics.values import differences, finite


@dataclass(frozen=True)
class CriticalDifference:
    """What a critical-difference diagram draws.

    ranks: mean rank per method, 1 the best, equal scores sharing the mean of their ranks.
    friedman_p: of all methods being alike.
    critical: mean ranks that differ by less are not told apart (Nemenyi, 5 %).
    groups: the bars: neighbours in rank that are not told apart, longest first; one bar over all
    where the Friedman test shows no difference.
    wilcoxon_p: of each pair over the data sets, Holm-corrected; unlike Nemenyi's it does not change
    with the other methods of the table (Benavoli et al. 2016).
    """

    data_sets: int
    ranks: dict[str, float]
    friedman_p: float
    critical: float
    groups: tuple[tuple[str, ...], ...]
    wilcoxon_p: dict[tuple[str, str], float]


def critical_difference(
    scores: Sequence[Sequence[float]], methods: Sequence[str]
) -> CriticalDifference | str:
    """The diagram of scores [data sets, methods], or in words why there is none.

    Args:
        scores: one row per data set, higher is better. The data sets must be independent: other
            splits, seeds or models of one text are one data set.
        methods: the names of the columns.

    Raises:
        UserError: a row has not one finite score per method.
    """
    if any(len(row) != len(methods) for row in scores):
        raise UserError("critical difference", "a row of another length", f"{len(methods)} scores")
    count, width = len(scores), len(methods)
    if count < DATA_SETS_FROM:
        return f"fewer than {DATA_SETS_FROM} independent data sets ({count}): no diagram"
    if width < 3:
        return f"{width} methods: compared in pairs, a diagram needs 3"
    table = finite(np.ravel(scores), "critical difference").reshape(count, width)
    placed = _ranks(table)
    order = np.argsort(placed.mean(0), kind="stable")
    mean = {methods[n]: float(placed[:, n].mean()) for n in order}
    p, critical = _friedman(placed), nemenyi(count, width)
    pairs = list(combinations(range(width), 2))
    corrected = holm([signed_rank(differences(table[:, a], table[:, b])) for a, b in pairs])
    return CriticalDifference(
        count,
        mean,
        p,
        critical,
        _groups(mean, critical if p < ALPHA else math.inf),
        {(methods[a], methods[b]): q for (a, b), q in zip(pairs, corrected, strict=True)},
    )


def nemenyi(data_sets: int, methods: int) -> float:
    """The critical difference of mean ranks at 5 %."""
    from scipy.stats import studentized_range

    quantile = studentized_range.ppf(1 - ALPHA, methods, math.inf) / math.sqrt(2)
    return float(quantile * math.sqrt(methods * (methods + 1) / (6 * data_sets)))


def _ranks(table: np.ndarray) -> np.ndarray:
    """Ranks in each row of [data sets, methods], 1 for the highest; rounding makes no ranks."""
    from scipy.stats import rankdata

    scale = np.abs(table).max(1, keepdims=True)
    same = np.round(table / np.where(scale > 0, scale, 1.0), 12)
    return np.asarray(rankdata(-same, axis=1))


def _friedman(placed: np.ndarray) -> float:
    """p of the Friedman test on ranks [data sets, methods]; 1 where all tie everywhere."""
    if np.ptp(placed) == 0:
        return 1.0
    from scipy.stats import friedmanchisquare

    return float(friedmanchisquare(*placed.T).pvalue)


def _groups(mean: dict[str, float], critical: float) -> tuple[tuple[str, ...], ...]:
    """Maximal runs of two or more neighbours in rank whose ends differ by less than `critical`."""
    names, values = list(mean), list(mean.values())
    found: list[tuple[int, int]] = []
    for start in range(len(names)):
        end = max(n for n in range(start, len(names)) if values[n] - values[start] < critical)
        if end > start and (not found or end > found[-1][1]):
            found.append((start, end))
    found.sort(key=lambda span: span[0] - span[1])
    return tuple(tuple(names[start : end + 1]) for start, end in found)
