"""Ranks with ties where no difference is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fednlp.statistics.comparison import Comparison


@dataclass(frozen=True)
class Rank:
    """The best and the worst rank that a method can have; 1 is the best there is."""

    best: int
    worst: int

    def __str__(self) -> str:
        return str(self.best) if self.best == self.worst else f"{self.best}-{self.worst}"


def ranks(methods: Sequence[str], comparisons: Iterable[Comparison]) -> dict[str, Rank]:
    """The ranks of methods over all orders that agree with every difference shown.

    "No difference shown" is not transitive: A may be shown to be better than C while B is told
    from neither. So a method has no single rank and there are no groups of equals: A is 1-2, B 1-3
    and C 2-3. Best is 1 + the methods shown to be better, worst the number of methods - those shown
    to be worse, where what follows from two shown differences (A before B, B before C) counts as
    shown. Since all shown differences are right together with 95 % (Holm), so are all these ranks
    (Mogstad et al. 2024).

    Pairs compared on different seeds can contradict each other (A before B before C before A); no
    order agrees with such a circle, and what was shown inside it is ignored.

    Raises:
        KeyError: a comparison is of a method that is not among `methods`.
    """
    from scipy.sparse.csgraph import connected_components

    place = {method: number for number, method in enumerate(methods)}
    before = np.zeros((len(place), len(place)), bool)
    for pair in comparisons:
        if pair.better is not None:
            worse = pair.second if pair.better == pair.first else pair.first
            before[place[pair.better], place[worse]] = True
    circle = connected_components(before, connection="strong")[1]
    before &= circle[:, None] != circle[None, :]
    for middle in range(len(place)):  # Warshall's transitive closure
        before |= before[:, [middle]] & before[[middle], :]
    return {
        method: Rank(1 + int(before[:, n].sum()), len(place) - int(before[n].sum()))
        for method, n in place.items()
    }
