from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from partition_checks import SEEDS, assert_valid, histogram, label_arrays

from partitioners import LabelHistogram, make_partition
from partitioners.test_share import share_by_label


@settings(deadline=None, max_examples=100)
@given(train=label_arrays(), test=label_arrays(), clients=st.integers(1, 30), seed=SEEDS)
def test_each_class_follows_the_train_histogram_within_one(
    train: np.ndarray, test: np.ndarray, clients: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    owners = rng.integers(-1, clients, len(train))
    owners[0] = 0
    counted = LabelHistogram.count(train, owners, clients)
    split = share_by_label(test, counted, rng)
    assert_valid(split, len(test), clients)
    given_to = split.owners(len(test))
    held = train[owners >= 0]
    for label in np.unique(test):
        if label in held:
            got = np.bincount(given_to[test == label], minlength=clients)
            weights = np.bincount(owners[(owners >= 0) & (train == label)], minlength=clients)
            exact = weights / weights.sum() * (test == label).sum()
            assert (np.abs(got - exact) < 1 + 1e-9).all()
    assert ((given_to >= 0) == np.isin(test, held)).all()  # what no client holds is nobody's


def test_small_clients_are_not_starved() -> None:
    """900 clients of 1 and one of 900: largest remainder would give the small ones nothing."""
    train = np.zeros(1800, int)
    owners = np.concatenate([np.arange(900), np.full(900, 900)])
    counted = LabelHistogram.count(train, owners, 901)
    small = [
        share_by_label(np.zeros(300, int), counted, np.random.default_rng(s)).sizes()[:900]
        for s in range(30)
    ]
    totals = [part.sum() for part in small]
    assert min(totals) >= 149 and max(totals) <= 151
    assert np.sum(small, axis=0).max() < 20  # and it is not always the same few


def test_rounding_does_not_tie_neighbours_together() -> None:
    """Rounding in client order would give every second client an example, never 0 and 1 both."""
    counted = LabelHistogram.count(np.zeros(10, int), np.arange(10), 10)
    patterns = {
        tuple(share_by_label(np.zeros(5, int), counted, np.random.default_rng(s)).sizes())
        for s in range(40)
    }
    assert len(patterns) > 30 and any(sizes[:2] == (1, 1) for sizes in patterns)


def test_examples_are_a_random_pick_not_the_first_ones() -> None:
    train = np.repeat([0, 1], 500)
    counted = LabelHistogram.count(train, np.arange(1000) % 2, 2)
    split = share_by_label(np.zeros(1000, int), counted, np.random.default_rng(0))
    assert abs(split.client(0).mean() - 499.5) < 50


def test_follows_what_is_held_after_repair() -> None:
    labels = np.arange(3000) % 6
    made = make_partition(
        "dirichlet_per_class",
        {"alpha": 0.02},
        clients=30,
        seed=1,
        train_labels=labels,
        test_labels=np.arange(1200) % 6,
        min_size=40,
    )
    train = histogram(labels, made.splits["train"])
    test = histogram(np.arange(1200) % 6, made.splits["test"])
    assert (np.abs(test - train * 200 / 500) < 1 + 1e-9).all()
    assert made.provenance["test_share"] == "skew_label"


def test_classes_that_train_lacks_belong_to_nobody() -> None:
    """Articles of the test split that no client has: a random mix would be like nobody's data."""
    made = make_partition(
        "dirichlet",
        {"alpha": 1.0},
        clients=4,
        seed=0,
        train_labels=np.arange(200) % 5,
        test_labels=np.concatenate([np.arange(50) % 5, np.full(30, 7)]),
    )
    assert sorted(made.splits["test"].indices) == list(range(50))
    assert made.provenance["achieved"]["test_unassigned"] == 30


def test_a_test_split_of_other_classes_alone_is_nobodys() -> None:
    made = make_partition(
        "uniform",
        {},
        clients=3,
        seed=0,
        train_labels=np.zeros(9, int),
        test_labels=np.ones(5, int),
    )
    assert made.splits["test"].sizes().tolist() == [0, 0, 0]
    assert made.provenance["achieved"]["test_unassigned"] == 5


def test_no_test_examples() -> None:
    made = make_partition(
        "uniform",
        {},
        clients=3,
        seed=0,
        train_labels=np.zeros(9, int),
        test_labels=np.zeros(0, int),
    )
    assert made.splits["test"].sizes().tolist() == [0, 0, 0]
