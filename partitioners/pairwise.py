"""Distances between the label mixes of all clients, with similar clients side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import PartitionError
from .histogram import LabelHistogram
from .label_mixes import label_mixes, pair_distances
from .partition import Partition
from .streams import stream

MOST = 1_000  # clients of a table; above that a seeded sample of them
OPTIMAL = 300  # clients; ordering leaves optimally takes the third power of them on two labels


@dataclass(frozen=True, eq=False)
class PairwiseDistances:
    """clients: [k] int64 in clustered order; distances: [k, k] float64, Jensen-Shannon to base 2.

    of: clients with examples that there are, of which more than `MOST` are sampled.
    """

    clients: np.ndarray
    distances: np.ndarray
    of: int


def require_histogram(partition: Partition) -> LabelHistogram:
    """The histogram; PartitionError if the partition has none for its clients."""
    histogram = partition.histogram
    if histogram is None or histogram.clients != partition.clients:
        raise PartitionError(
            "histogram",
            "the partition does not say which labels its clients hold",
            "a partition that was measured",
            "import it for its data set, or measure it by partitioners.remeasured",
        )
    return histogram


def pairwise_distances(partition: Partition, seed: int = 0) -> PairwiseDistances:
    """Distances of all pairs of clients with examples; `seed` draws the sample of many.

    The order is the leaves of average-linkage clustering, up to `OPTIMAL` clients turned so that
    neighbours are as close as the tree allows (Bar-Joseph et al. 2001).
    Raises PartitionError if the partition has no label histogram or no examples.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    mixes, filled = label_mixes(require_histogram(partition))
    if not len(filled):
        raise PartitionError("train", "no client holds an example", "at least one example")
    chosen = np.arange(len(filled))
    if len(filled) > MOST:
        chosen = np.sort(stream(seed, "pairwise").choice(len(filled), MOST, replace=False))
    pairs = pair_distances(mixes[chosen])
    order = np.arange(len(chosen))
    if len(chosen) > 2:
        tree = linkage(pairs, "average")
        if len(chosen) <= OPTIMAL:
            tree = optimal_leaf_ordering(tree, pairs)
        order = leaves_list(tree)
    table = squareform(pairs) if len(chosen) > 1 else np.zeros((len(chosen),) * 2)
    return PairwiseDistances(filled[chosen[order]], table[np.ix_(order, order)], len(filled))
