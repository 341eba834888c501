"""Label skew with unequal client sizes: each class is spread over the clients by a Dirichlet.

Yurochkin et al. 2019, "Bayesian nonparametric federated learning of neural networks",
section 4; NIID-Bench (Li et al. 2022) calls it distribution-based label imbalance:

    q_c ~ Dir(alpha * 1_K) for every class c;   client k gets the share q_c[k] of class c

NIID-Bench's code also closes a client once it holds N / K examples, and draws all over again
until the smallest has ten. Neither is in the equation: here sizes stay free, and a minimum is
reached by repair.

The examples of a class lie at u, u + 1, u + 2, ... along its cumulated shares, with one uniform u,
so a client gets its share rounded up or down without bias (systematic rounding, Madow 1949). A
class with far fewer examples than there are clients needs little of its q_c. So shares are drawn
for groups of clients first, and a group is halved where an example lies,

    share of the left half within its group ~ Beta(alpha * left, alpha * right)

until it is one client. Parts of a Dirichlet are independent of their sums, so this is q_c itself.

    generator = np.random.default_rng(0)
    split = dirichlet_per_class(labels, 100, generator, alpha=0.1, min_size=10)
    split.sizes().min()      # 10
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arguments import require_alpha, require_generator, require_labels, require_room
from .draws import TINY, deal, dirichlet_rows
from .partition import Split
from .repair import repair

GROUPS = 8  # groups of clients per example of a class, before any is halved
HUGE = 1e200  # a concentration above this draws the same equal shares
BELOW_ONE = np.nextafter(1.0, 0.0)


@dataclass(frozen=True)
class DirichletPerClassParameters:
    """alpha: concentration over clients, per class; small is few clients per class."""

    alpha: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", require_alpha(self.alpha))


def dirichlet_per_class(
    labels: np.ndarray,
    clients: int,
    generator: np.random.Generator,
    *,
    alpha: float,
    min_size: int = 1,
) -> Split:
    """Spread each class of `labels` ([N] int64) over the clients.

    Raises PartitionError for a bad alpha or fewer than clients * min_size examples.
    """
    require_generator(generator)
    alpha, labels = require_alpha(alpha), require_labels(labels)
    clients, min_size = require_room(len(labels), clients, min_size)
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    holders = _holders(alpha, clients, sizes, generator)
    classes = np.repeat(np.arange(len(sizes)), sizes)
    owners = deal(codes, holders, classes, np.ones_like(holders), generator)
    return Split.from_owners(repair(owners, clients, min_size, generator), clients)


def _holders(
    alpha: float, clients: int, sizes: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """[sum(sizes)] int64: the client of each example, class after class, of `sizes` [C]."""
    alpha = min(alpha, HUGE)
    first, width, place = [], [], []  # of each example's group of clients, see `_halve`
    for size in sizes:
        groups = min(clients, GROUPS * int(size))
        edges = np.arange(groups + 1) * clients // groups
        widths = np.diff(edges)
        shares = dirichlet_rows(alpha * widths, 1, generator)[0]
        ends = np.cumsum(shares)
        lies = (np.arange(size) + generator.random()) / size * ends[-1]
        group = np.searchsorted(ends, lies, side="right")
        group = np.minimum(group, np.searchsorted(ends, ends[-1]))  # rounded to the very end
        first.append(edges[group])
        width.append(widths[group])
        place.append(1 - (ends[group] - lies) / shares[group])
    holders = np.concatenate(first)
    classes = np.repeat(np.arange(len(sizes)), sizes)
    _halve(alpha, classes, holders, np.concatenate(width), np.concatenate(place), generator)
    return holders


def _halve(
    alpha: float,
    classes: np.ndarray,
    first: np.ndarray,
    width: np.ndarray,
    place: np.ndarray,
    generator: np.random.Generator,
) -> None:
    """Halves all groups until they are single clients, which `first` then names.

    classes, first, width: [n] int64, each example's class and its group [first, first + width),
    equal ones side by side. place: [n] where it lies in the group's share, from 0 to 1.
    """
    wide = np.flatnonzero(width > 1)
    while len(wide):
        changes = np.diff(first[wide]) != 0
        changes |= np.diff(classes[wide]) != 0
        group = np.concatenate([[0], np.cumsum(changes)])
        head = wide[np.concatenate([[0], np.flatnonzero(changes) + 1])]
        half = width[head] // 2
        left, right = np.maximum(alpha * half, TINY), np.maximum(alpha * (width[head] - half), TINY)
        share = generator.beta(left, right)[group]
        half, at = half[group], np.clip(place[wide], 0, BELOW_ONE)
        later = at >= share
        with np.errstate(all="ignore"):  # of the branch that is not taken
            place[wide] = np.where(later, (at - share) / (1 - share), at / share)
        first[wide] += np.where(later, half, 0)
        width[wide] = np.where(later, width[wide] - half, half)
        wide = wide[width[wide] > 1]
