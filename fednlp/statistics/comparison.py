"""Methods compared in pairs, on the seeds that both have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fednlp.statistics.power import SeedsNeeded, seeds_needed
from fednlp.statistics.rules import ALPHA, TESTS_FROM
from fednlp.statistics.summary import Summary, summary
from fednlp.statistics.values import differences, finite

MOST_TIED = 13  # differences with ties whose signs are all gone through


@dataclass(frozen=True)
class Comparison:
    """Two methods on their common seeds; the difference is first minus second.

    family: pairs of the benchmark that are tested, for which the p-values are corrected (Holm).
    t_p, wilcoxon_p: corrected, two-sided; None below 6 common seeds, and t_p where the difference
    is the same in all seeds and not 0, which leaves the t test nothing to divide by.
    needed: None where no number can be told, see `seeds_needed`.
    """

    first: str
    second: str
    seeds: tuple[int, ...]
    difference: Summary | None
    family: int
    t_p: float | None
    wilcoxon_p: float | None
    needed: SeedsNeeded | None

    @property
    def shown(self) -> bool:
        """Whether a difference is shown: by the t test, the one that decides."""
        return self.t_p is not None and self.t_p < ALPHA

    @property
    def better(self) -> str | None:
        """The method shown to be better; None where no difference is shown."""
        if not self.shown or self.difference is None:
            return None
        return self.first if self.difference.mean > 0 else self.second

    @property
    def words(self) -> str:
        """The comparison as a sentence."""
        from fednlp.statistics.words import comparison_words

        return comparison_words(self)


def compare(scores: Mapping[str, Mapping[int, float]]) -> list[Comparison]:
    """Compares all pairs of methods of one benchmark, in the order of the mapping.

    Args:
        scores: method -> seed -> score; higher is better.

    Raises:
        UserError: a score is not a finite number.
    """
    for method, own in scores.items():
        for seed, score in own.items():
            finite([score], f"score of {method}, seed {seed}")
    pairs = list(combinations(scores, 2))
    common = [tuple(sorted(scores[a].keys() & scores[b].keys())) for a, b in pairs]
    values = [
        _differences(scores[a], scores[b], c) for (a, b), c in zip(pairs, common, strict=True)
    ]
    tested = [number for number, seeds in enumerate(common) if len(seeds) >= TESTS_FROM]
    t_p = dict(zip(tested, _family([paired_t(values[n]) for n in tested]), strict=True))
    wilcoxon_p = dict(zip(tested, holm([signed_rank(values[n]) for n in tested]), strict=True))
    found = []
    for number, ((first, second), seeds) in enumerate(zip(pairs, common, strict=True)):
        apart = summary(values[number]) if seeds else None
        needed = seeds_needed(apart.mean, apart.std or 0.0, apart.seeds) if apart else None
        p = t_p.get(number), wilcoxon_p.get(number)
        found.append(Comparison(first, second, seeds, apart, len(tested), *p, needed))
    return found


def _family(p: list[float | None]) -> list[float | None]:
    """`holm`, in which a test without an answer counts as one that shows nothing."""
    corrected = holm([1.0 if one is None else one for one in p])
    return [None if one is None else new for one, new in zip(p, corrected, strict=True)]


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for their family (Holm 1979).

    Own lines, because SciPy has no Holm and that of statsmodels collects garbage in every call,
    which takes longer than all the tests.
    """
    order = np.argsort(p)
    steps = np.asarray(p, float)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected.tolist()


def _differences(
    first: Mapping[int, float], second: Mapping[int, float], seeds: Sequence[int]
) -> np.ndarray:
    if not seeds:
        return np.empty(0)
    own, other = (np.array([scores[seed] for seed in seeds], float) for scores in (first, second))
    return differences(own, other)


def paired_t(values: np.ndarray) -> float | None:
    """Two-sided p of the paired t test on differences [n]; 1 where all are 0."""
    if not values.any():
        return 1.0
    if np.ptp(values) == 0:
        return None
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(values, 0.0).pvalue)


def signed_rank(values: np.ndarray) -> float:
    """Two-sided p of the signed-rank test on differences [n], zeros left out; 1 where all are 0.

    Exact, but for more than 13 values with ties.
    """
    from scipy.stats import rankdata, wilcoxon

    values = values[values != 0]
    if not values.size:
        return 1.0
    ranks = rankdata(np.abs(values))
    count = len(ranks)
    if len(np.unique(ranks)) == count or count > MOST_TIED:
        return float(wilcoxon(values).pvalue)
    # all signs at once: SciPy goes through them one by one, which takes seconds
    signs = np.arange(2**count)[:, None] >> np.arange(count) & 1
    sums, observed = signs @ ranks, ranks[values > 0].sum()
    return min(1.0, 2 * float(min((sums <= observed).mean(), (sums >= observed).mean())))
