from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from partition_checks import SEEDS, assert_valid, histogram, label_arrays

from partitioners import PartitionError, label_shards


@settings(deadline=None, max_examples=150)
@given(labels=label_arrays(), clients=st.integers(1, 40), each=st.integers(1, 6), seed=SEEDS)
def test_exactly_k_labels_whenever_that_is_possible(
    labels: np.ndarray, clients: int, each: int, seed: int
) -> None:
    _, sizes = np.unique(labels, return_counts=True)
    assume(clients <= len(labels))
    rng = np.random.default_rng(seed)
    pairs = np.minimum(sizes, clients).sum()
    if each > len(sizes) or (len(sizes) <= clients * each and pairs < clients * each):
        with pytest.raises(PartitionError, match=r"partition\.labels_per_client"):
            label_shards(labels, clients, rng, labels_per_client=each)
        return
    split = label_shards(labels, clients, rng, labels_per_client=each)
    assert_valid(split, len(labels), clients)
    assert len(split.indices) == len(labels)
    held = (histogram(labels, split) > 0).sum(axis=1)
    if len(sizes) <= clients * each:
        assert (held == each).all()
    else:
        assert (held >= each).all()
        assert ((histogram(labels, split) > 0).sum(axis=0) == 1).all()  # whole labels


def test_balanced_labels_give_equal_clients() -> None:
    labels = np.arange(10_000) % 10
    split = label_shards(labels, 100, np.random.default_rng(0), labels_per_client=2)
    assert (split.sizes() == 100).all()


def test_pairs_of_labels_are_mixed_well() -> None:
    """Laying shards out cyclically would give 5 different pairs; all 45 should occur."""
    labels = np.arange(40_000) % 10
    split = label_shards(labels, 400, np.random.default_rng(0), labels_per_client=2)
    pairs = {tuple(np.flatnonzero(row)) for row in histogram(labels, split)}
    assert len(pairs) == 45


@pytest.mark.parametrize("each", [1, 2])
def test_every_client_is_as_likely_to_hold_a_label(each: int) -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 30])
    tables = [
        histogram(labels, label_shards(labels, 4, np.random.default_rng(s), labels_per_client=each))
        for s in range(1200)
    ]
    for column in (np.array(tables) > 0).sum(axis=0).T:
        assert abs(column - column.mean()).max() < 4 * np.sqrt(1200 / 4)


def test_more_labels_than_shards_bundles_to_even_sizes() -> None:
    labels = np.repeat(np.arange(400), np.random.default_rng(0).integers(20, 200, 400))
    split = label_shards(labels, 10, np.random.default_rng(0), labels_per_client=2)
    assert np.ptp(split.sizes()) < 0.02 * len(labels) / 10


def test_every_label_for_everybody() -> None:
    labels = np.arange(200) % 4
    split = label_shards(labels, 50, np.random.default_rng(0), labels_per_client=4)
    assert (histogram(labels, split) == 1).all()


def test_parameter_is_checked() -> None:
    for bad in (0, 1.5, "2"):
        with pytest.raises(PartitionError, match="labels_per_client"):
            label_shards(np.arange(9), 3, np.random.default_rng(0), labels_per_client=bad)
