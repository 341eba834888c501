"""How far two assignments of the same rows agree, whatever the clients are called.

overlap = overlap(a, b)               # sparse [K_a, K_b] counts of rows
adjusted_rand(overlap)                # Hubert and Arabie 1985: 0 by chance, 1 the same
normalized_mutual_information(overlap)  # Strehl and Ghosh 2002, by the mean of both entropies

Both see only the nonzero cells, so 100,000 clients cost no more than their rows. The second is not
corrected for chance: two unrelated splits into many small clients reach 0.7.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def adjusted_rand(overlap: Any) -> float:
    """Pairs of rows that are together in both or apart in both, above chance: at most 1."""
    rows = int(overlap.sum())
    together = _squares(overlap.data)
    in_a, in_b = (_squares(overlap.sum(axis=axis)) for axis in (1, 0))
    # ordered pairs; Python's integers, as these products leave 64 bits at a million rows
    only_a, only_b = in_a - together, in_b - together
    both, neither = together - rows, rows * rows - in_a - in_b + together
    if only_a == only_b == 0:
        return 1.0
    above = 2 * (both * neither - only_a * only_b)
    return above / ((both + only_a) * (only_a + neither) + (both + only_b) * (only_b + neither))


def _squares(counts: np.ndarray) -> int:
    """Sum of the squares; below 2^63 for 3e9 rows."""
    return int((np.asarray(counts, dtype=np.int64) ** 2).sum())


def normalized_mutual_information(overlap: Any) -> float:
    """Mutual information of the two clients of a row over the mean of their entropies, 0 to 1."""
    in_a, in_b = (np.asarray(overlap.sum(axis=axis)) for axis in (1, 0))
    if len(overlap.data) == np.count_nonzero(in_a) == np.count_nonzero(in_b):
        return 1.0  # one is the other with other numbers
    cells = overlap.tocoo()
    rows, counts = cells.data.sum(), cells.data
    logs = np.log(counts) + np.log(rows) - np.log(in_a[cells.row]) - np.log(in_b[cells.col])
    shared = float((counts * logs).sum() / rows)
    mean = (_entropy(in_a) + _entropy(in_b)) / 2
    return min(max(shared / mean, 0.0), 1.0)


def _entropy(sizes: np.ndarray) -> float:
    shares = sizes[sizes > 0] / sizes.sum()
    return float(-(shares * np.log(shares)).sum())
