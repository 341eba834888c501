"""The label mix of each client, and how far two mixes are apart.

The distance is sqrt(JSD_2(P_k, P_l)), the Jensen-Shannon distance to base 2 of the label shares
(Endres and Schindelin 2003): 0 = same mix, 1 = no label in common.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .histogram import LabelHistogram

BLOCK = 4_000_000  # entries of a [clients, labels] block held at once


def label_mixes(histogram: LabelHistogram) -> tuple[Any, np.ndarray]:
    """Shares of the labels of the clients that hold any: sparse [k, labels], and their [k] numbers.

    A column is a label that somebody holds, in ascending order.
    """
    from scipy.sparse import csr_array

    values, columns = np.unique(histogram.labels, return_inverse=True)
    holders = histogram.holders()
    sizes = np.bincount(holders, histogram.counts, histogram.clients)
    filled = np.flatnonzero(sizes)
    cells = (histogram.counts / sizes[holders], (np.searchsorted(filled, holders), columns))
    return csr_array(cells, shape=(len(filled), max(len(values), 1))), filled


def row_distances(a: Any, b: Any) -> np.ndarray:
    """[k] float64: distance of each row of sparse [k, labels] shares `a` to that row of `b`."""
    divergence = (_negentropy(a) + _negentropy(b)) / 2 - _negentropy((a + b) / 2)
    return np.sqrt(np.clip(divergence, 0, 1))


def _negentropy(matrix: Any) -> np.ndarray:
    """[k] float64: sum over labels of p log2 p."""
    terms = matrix.copy()
    terms.data = terms.data * np.log2(terms.data)
    return np.asarray(terms.sum(axis=1)).ravel()


def pair_distances(matrix: Any) -> np.ndarray:
    """[k (k - 1) / 2] float64: distances of all pairs of rows, (0, 1), (0, 2) ... (1, 2) ...

    A block of labels at a time. With f(x) = x log2 x, JSD(p, q) = sum_c f(p)/2 + f(q)/2
    - f((p + q)/2). Where p = 0 a term is q/2, so starting from 1/2 only the labels of one side need
    a logarithm.
    """
    clients, labels = matrix.shape
    divergence = np.full((clients, clients), 0.5)
    columns, step = matrix.tocsc(), max(1, BLOCK // max(clients, 1))
    for start in range(0, labels, step):
        block = columns[:, start : start + step].toarray()
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(block > 0, block * np.log2(block), 0.0)
        for k in range(clients - 1):
            mine = np.flatnonzero(block[k])
            p, q = block[k, mine], block[k + 1 :, mine]
            middle = (p + q) / 2
            terms = (logs[k, mine] + logs[k + 1 :, mine] - q) / 2 - middle * np.log2(middle)
            divergence[k, k + 1 :] += terms.sum(axis=1)
    return np.sqrt(np.clip(divergence[np.triu_indices(clients, 1)], 0, 1))
