"""Label skew with equal client sizes: each client draws its own label mix from a Dirichlet.

Hsu et al. 2019, "Measuring the effects of non-identical data distribution for federated visual
classification", section 2; FedNLP (Lin et al. 2022), section 3.2:

    q_k ~ Dir(alpha * p) for every client k, p = the label shares of the training split
    client k draws N / K examples, their classes from Categorical(q_k), without replacement

The classes run out, and what is done then decides the split. Hsu's clients draw one after the
other, so the last are fed what nobody wanted. Here all clients are served in rounds:

1. every client states which classes it wants, one for each example it is short of, from its q_k;
2. each class serves those wishes, in a seeded order of the clients, until it is empty;
3. clients that are still short draw again, q ~ Dir(alpha * r) with r = the shares of what
   remains, so a top-up is in proportion to what remains and as skewed as the first draw.

Wishes that can be met are met before anything is topped up, which keeps the number of topped-up
examples at the smallest possible: what is wished for beyond the supply of a class.

    generator = np.random.default_rng(0)
    split = dirichlet(labels, 100, generator, alpha=0.1)
    split.sizes()            # all equal, or one apart
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arguments import require_alpha, require_generator, require_labels, require_room
from .draws import deal, urn_classes
from .partition import Split
from .stable_order import stable_order

EXTRA_ROUNDS = 16  # beyond one per class; whatever is left then is dealt at random


@dataclass(frozen=True)
class DirichletParameters:
    """alpha: concentration of a client's label mix; 1e-3 is one class each, 1e3 nearly IID."""

    alpha: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", require_alpha(self.alpha))


def dirichlet(
    labels: np.ndarray,
    clients: int,
    generator: np.random.Generator,
    *,
    alpha: float,
    min_size: int = 1,
) -> Split:
    """Split by `labels` ([N] int64); every example is given out, sizes differ by at most one.

    Raises PartitionError for a bad alpha or fewer than clients * min_size examples.
    """
    require_generator(generator)
    alpha, labels = require_alpha(alpha), require_labels(labels)
    clients, _ = require_room(len(labels), clients, min_size)  # equal sizes reach any minimum
    _, codes, remaining = np.unique(labels, return_inverse=True, return_counts=True)
    short = np.full(clients, len(labels) // clients)
    short[generator.permutation(clients)[: len(labels) % clients]] += 1
    served: list[np.ndarray] = []  # [2, m]: client and class of one example each
    for _ in range(len(remaining) + EXTRA_ROUNDS):
        if not short.any():
            break
        served.append(_serve(alpha, short, remaining, generator))
    if short.any():
        served.append(_deal_the_rest(short, remaining, generator))
    holders, classes = np.concatenate(served, axis=1)
    owners = deal(codes, holders, classes, np.ones_like(holders), generator)
    return Split.from_owners(owners, clients)


def _serve(
    alpha: float, short: np.ndarray, remaining: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """One round: [2, m] what was given; lowers `short` [K] and `remaining` [C] in place by it."""
    queue = generator.permutation(np.flatnonzero(short))
    wishes = urn_classes(alpha, remaining, short[queue], generator)
    by_class = stable_order(wishes, len(remaining))  # within a class in the order of the queue
    counts = np.bincount(wishes, minlength=len(remaining))
    rank = np.arange(len(wishes)) - np.repeat(np.cumsum(counts) - counts, counts)
    met = by_class[rank < np.repeat(remaining, counts)]
    given = np.stack([np.repeat(queue, short[queue])[met], wishes[met]])
    short -= np.bincount(given[0], minlength=len(short))
    remaining -= np.bincount(given[1], minlength=len(remaining))
    return given


def _deal_the_rest(
    short: np.ndarray, remaining: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    classes = generator.permutation(np.repeat(np.arange(len(remaining)), remaining))
    return np.stack([np.repeat(np.arange(len(short)), short), classes])
