"""Pairs of clients of two partitions that share as many rows as possible.

Clients that share a row, directly or through others, form islands, and each island is matched for
itself: exactly by the Hungarian method while its table has at most 4 million cells (2,000 clients
in both), which a renumbered partition of any size has; above that greedily, largest overlap first,
which reaches at least half of the best total.
"""

from __future__ import annotations

from typing import Any

import numpy as np

CELLS = 2_000 * 2_000  # of one island's table; the Hungarian method takes seconds on it


def match_clients(overlap: Any) -> tuple[np.ndarray, np.ndarray, bool]:
    """From sparse [K_a, K_b] counts: clients of a, ascending, their partners, whether exact.

    Only pairs that share a row: a client may be left without a partner. Each is in one pair.
    """
    from scipy.sparse import block_array
    from scipy.sparse.csgraph import connected_components

    graph = block_array([[None, overlap], [overlap.T, None]])
    _, islands = connected_components(graph, directed=False)
    cells = overlap.tocoo()
    island = islands[cells.row]
    order = np.argsort(island, kind="stable")
    row, column, count = cells.row[order], cells.col[order], cells.data[order]
    starts = np.flatnonzero(np.diff(island[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(row)))
    alone = starts[sizes == 1]  # a pair that shares rows with nobody else
    pairs, exact = [(row[alone], column[alone])], True
    for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
        part = slice(start, start + size)
        first, second, best = _match_island(row[part], column[part], count[part])
        pairs.append((first, second))
        exact &= best
    first, second = (np.concatenate(side).astype(np.int64) for side in zip(*pairs, strict=True))
    order = np.argsort(first)
    return first[order], second[order], exact


def _match_island(
    row: np.ndarray, column: np.ndarray, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray, bool]:
    from scipy.optimize import linear_sum_assignment

    rows, at = np.unique(row, return_inverse=True)
    columns, under = np.unique(column, return_inverse=True)
    if len(rows) * len(columns) > CELLS:
        return (*_greedy(row, column, count), False)
    table = np.zeros((len(rows), len(columns)))
    table[at, under] = count
    first, second = linear_sum_assignment(table, maximize=True)
    shared = table[first, second] > 0
    return rows[first[shared]], columns[second[shared]], True


def _greedy(
    row: np.ndarray, column: np.ndarray, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Largest overlap first, then lower numbers."""
    order = np.lexsort((column, row, -count))
    first: dict[int, int] = {}
    taken: set[int] = set()
    for k, partner in zip(row[order].tolist(), column[order].tolist(), strict=True):
        if k not in first and partner not in taken:
            first[k] = partner
            taken.add(partner)
    return np.array(list(first)), np.array(list(first.values()))
