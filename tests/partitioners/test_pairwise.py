from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partition_checks import SEEDS, label_arrays
from scipy.spatial.distance import jensenshannon

from partitioners import LabelHistogram, Partition, PartitionError, Split, pairwise_distances
from partitioners import pairwise as pairwise_file


def measured(labels: np.ndarray, owners: np.ndarray, clients: int) -> Partition:
    split = Split.from_owners(owners, clients)
    return Partition({"train": split}, {}, histogram=LabelHistogram.count(labels, owners, clients))


@settings(deadline=None, max_examples=40)
@given(labels=label_arrays(120), clients=st.integers(1, 12), seed=SEEDS)
def test_every_distance_is_that_of_scipy(labels: np.ndarray, clients: int, seed: int) -> None:
    owners = np.random.default_rng(seed).integers(0, clients, len(labels))
    found = pairwise_distances(measured(labels, owners, clients))
    values = np.unique(labels)
    mixes = [(labels[owners == k][:, None] == values).sum(axis=0) for k in found.clients]
    wanted = [[jensenshannon(p, q, base=2) for q in mixes] for p in mixes]
    # sqrt turns rounding of 1e-16 into 1e-8
    np.testing.assert_allclose(found.distances, np.nan_to_num(wanted), atol=1e-7)
    assert sorted(found.clients.tolist()) == np.unique(owners).tolist()
    assert found.of == len(found.clients)
    assert (found.distances == found.distances.T).all() and not found.distances.diagonal().any()


def test_similar_clients_are_neighbours() -> None:
    """Clients of three kinds, mixed up: in clustered order each kind is one run."""
    rng = np.random.default_rng(0)
    kind = rng.permutation(np.repeat([0, 1, 2], 10))
    owners = np.repeat(np.arange(30), 20)
    labels = kind[owners] * 10 + rng.integers(0, 4, 600)
    order = kind[pairwise_distances(measured(labels, owners, 30)).clients]
    assert (np.diff(order) != 0).sum() == 2


@pytest.mark.parametrize("limit", [10, 300])
def test_leaf_orders_keep_the_distances(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(pairwise_file, "OPTIMAL", limit)
    rng = np.random.default_rng(0)
    partition = measured(rng.integers(0, 5, 900), rng.integers(0, 30, 900), 30)
    found = pairwise_distances(partition)
    place = np.argsort(found.clients)
    monkeypatch.setattr(pairwise_file, "OPTIMAL", 30)
    optimal = pairwise_distances(partition)
    sorted_back = np.argsort(optimal.clients)
    assert (
        found.distances[np.ix_(place, place)] == optimal.distances[np.ix_(sorted_back, sorted_back)]
    ).all()
    steps = [np.diagonal(table.distances, 1).sum() for table in (optimal, found)]
    assert steps[0] <= steps[1]


def test_many_clients_are_sampled_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairwise_file, "MOST", 20)
    rng = np.random.default_rng(0)
    partition = measured(rng.integers(0, 5, 900), rng.integers(0, 60, 900), 60)
    one, again, other = (pairwise_distances(partition, seed) for seed in (0, 0, 1))
    assert one.of == 60 and len(set(one.clients.tolist())) == 20
    assert (one.clients == again.clients).all()
    assert set(one.clients.tolist()) != set(other.clients.tolist())


def test_what_cannot_be_measured() -> None:
    split = Split.from_owners(np.array([0, 1]), 2)
    with pytest.raises(PartitionError, match="histogram: the partition does not say"):
        pairwise_distances(Partition({"train": split}, {}))
    other = LabelHistogram.count(np.zeros(3, dtype=int), np.arange(3), 3)
    with pytest.raises(PartitionError, match="histogram: the partition does not say"):
        pairwise_distances(Partition({"train": split}, {}, histogram=other))
    with pytest.raises(PartitionError, match="no client holds an example"):
        pairwise_distances(measured(np.array([0]), np.array([-1]), 2))
