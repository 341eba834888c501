"""How skewed a partition came out, measured on what the clients hold.

- sizes: smallest, mean and largest client, and the Gini coefficient of the sizes;
- js_distance: mean over pairs of clients of the Jensen-Shannon distance of their label mixes, over
  all pairs up to 1,000 clients, else over 10,000 seeded pairs with its standard error;
- total_variation: mean over clients of half the L1 distance to the pooled label shares;
- missing_labels: share of (client, label) pairs without an example, over labels held by anyone.

Clients without examples have no label mix and are left out of the two distances.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .histogram import LabelHistogram
from .label_mixes import label_mixes, pair_distances, row_distances

EXACT_CLIENTS = 1_000
PAIRS = 10_000


def measure_skew(histogram: LabelHistogram, generator: np.random.Generator) -> dict[str, Any]:
    """JSON-plain dict of the measures above; `generator` picks the pairs of clients."""
    sizes = np.bincount(histogram.holders(), histogram.counts, histogram.clients)
    mixes, filled = label_mixes(histogram)
    shares, columns, held = mixes.data, mixes.indices, mixes.shape[1]
    pooled = np.bincount(columns, histogram.counts, held) / max(sizes.sum(), 1)
    distance, stderr = _js_distance(mixes, generator)
    # outside a client's labels the L1 distance is the pooled mass there
    terms = np.abs(shares - pooled[columns]) - pooled[columns]
    inside = np.bincount(np.repeat(np.arange(len(filled)), np.diff(mixes.indptr)), terms)
    return {
        "sizes": {
            "min": int(sizes.min()),
            "mean": float(sizes.mean()),
            "max": int(sizes.max()),
            "gini": gini(sizes),
        },
        "labels": held,
        "js_distance": distance,
        "js_distance_stderr": stderr,
        "total_variation": float(np.clip((1 + inside) / 2, 0, 1).mean()) if len(filled) else 0.0,
        "missing_labels": 1 - len(columns) / (histogram.clients * held),
    }


def gini(sizes: np.ndarray) -> float:
    """Gini coefficient of [K] sizes: 0 = all equal, 1 - 1/K = one holds everything."""
    ordered, count = np.sort(sizes), len(sizes)
    if ordered[-1] == 0:
        return 0.0
    ranks = 2 * np.arange(1, count + 1) - count - 1
    return float((ranks * ordered).sum() / (count * ordered.sum()))


def _js_distance(mixes: Any, generator: np.random.Generator) -> tuple[float, float]:
    """Mean distance and its standard error (0.0 when exact) of sparse [K, C] label shares."""
    clients = mixes.shape[0]
    if clients < 2:
        return 0.0, 0.0
    if clients <= EXACT_CLIENTS:
        return float(pair_distances(mixes).mean()), 0.0
    first = generator.integers(clients, size=PAIRS)
    second = (first + generator.integers(1, clients, size=PAIRS)) % clients
    distances = row_distances(mixes[first], mixes[second])
    return float(distances.mean()), float(distances.std(ddof=1) / np.sqrt(PAIRS))
