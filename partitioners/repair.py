"""Minimum client size by repair: move examples from the largest clients, never draw again.

Drawing again until every client is large enough (NIID-Bench, FedNLP, flwr-datasets) need not
end, and conditions the split on an event that small alphas make rare.
"""

from __future__ import annotations

import numpy as np

from .stable_order import stable_order


def repair(
    owners: np.ndarray, clients: int, min_size: int, generator: np.random.Generator
) -> np.ndarray:
    """Owners with at least `min_size` examples for each of `clients`.

    owners: [N] int64, -1 for nobody's; at least clients * min_size of them are held. The largest
    clients are cut to one common level, no lower than needed; `generator` picks which of their
    examples go, and a receiver is served from as few donors as possible, which keeps it skewed.
    """
    sizes = np.bincount(owners[owners >= 0], minlength=clients)
    needs = np.maximum(min_size - sizes, 0)
    missing = int(needs.sum())
    if not missing:
        return owners
    gifts = _gifts(sizes, missing)
    order = generator.permutation(len(owners))
    order = order[stable_order(owners[order] + 1, clients + 1)]
    order = order[len(owners) - int(sizes.sum()) :]
    starts = np.cumsum(sizes) - sizes
    rank = np.arange(len(order)) - np.repeat(starts, sizes)
    moved = order[rank < np.repeat(gifts, sizes)]
    repaired = owners.copy()
    repaired[moved] = np.repeat(np.arange(clients), needs)
    return repaired


def _gifts(sizes: np.ndarray, missing: int) -> np.ndarray:
    """[clients] int64: what each gives so that the largest end at one level, `missing` in all."""
    low, high = 0, int(sizes.max())  # the highest level that frees `missing` is in [low, high)
    while high - low > 1:
        level = (low + high) // 2
        if np.maximum(sizes - level, 0).sum() >= missing:
            low = level
        else:
            high = level
    gifts = np.maximum(sizes - (low + 1), 0)
    above = np.flatnonzero(sizes > low)[: missing - int(gifts.sum())]
    gifts[above] += 1
    return gifts
