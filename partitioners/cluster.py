"""Skew for tasks without labels: clusters of texts take the place of classes.

FedNLP (Lin et al. 2022), section 3.2, for question answering and sequence-to-sequence: embed the
texts, k-means, then Dir(alpha * p) over the clusters with equal client sizes (dirichlet.py).

    train, test = text_features(train_texts, test_texts, seed=0)
    split = cluster(train, 100, np.random.default_rng(0), alpha=0.1, clusters=10)
    split.client(3)          # examples mostly from one or two clusters
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from .arguments import (
    require_alpha,
    require_count,
    require_features,
    require_generator,
    require_room,
)
from .dirichlet import dirichlet
from .errors import PartitionError
from .partition import Split
from .streams import integer_seed

FIT_ROWS = 100_000  # k-means is fitted on a seeded sample of at most this many examples
STARTS = 4


@dataclass(frozen=True)
class ClusterParameters:
    """alpha: concentration over clusters; clusters: k of k-means, at least 2."""

    alpha: float
    clusters: int = 10

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", require_alpha(self.alpha))
        object.__setattr__(self, "clusters", require_count("clusters", self.clusters, low=2))


def cluster_labels(
    train_features: np.ndarray,
    test_features: np.ndarray,
    clusters: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Cluster of each example ([N] and [M] int64) of features [N, D] and [M, D].

    k-means sees the training split only; test examples go to the nearest centre. Features with
    fewer different rows than `clusters` give fewer clusters. Raises PartitionError for features
    that are not [N, D] finite numbers or fewer than `clusters` training examples.
    """
    require_generator(generator)
    train = require_features(train_features, "train_features")
    test = require_features(test_features, "test_features")
    if train.shape[1] != test.shape[1]:
        raise PartitionError(
            "test_features", f"{test.shape[1]} columns", f"{train.shape[1]}, as in train_features"
        )
    clusters = require_count("clusters", clusters, low=2)
    if len(train) < clusters:
        raise PartitionError(
            "partition.clusters", f"{clusters} for {len(train)} examples", "no more than examples"
        )
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    sample = train
    if len(train) > FIT_ROWS:
        sample = train[np.sort(generator.choice(len(train), FIT_ROWS, replace=False))]
    means = KMeans(clusters, n_init=STARTS, random_state=integer_seed(generator))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # duplicates: fewer clusters, as said
        means.fit(sample)
    ids = means.predict(train).astype(np.int64)
    return ids, means.predict(test).astype(np.int64) if len(test) else np.zeros(0, np.int64)


def cluster(
    features: np.ndarray,
    clients: int,
    generator: np.random.Generator,
    *,
    alpha: float,
    clusters: int = 10,
    min_size: int = 1,
) -> Split:
    """Split by the clusters of `features` [N, D]; sizes differ by at most one.

    Raises PartitionError as `cluster_labels` and `dirichlet` do.
    """
    require_generator(generator)
    require_alpha(alpha)
    features = require_features(features)
    require_room(len(features), clients, min_size)
    labels, _ = cluster_labels(features, features[:0], clusters, generator)
    return dirichlet(labels, clients, generator, alpha=alpha, min_size=min_size)
