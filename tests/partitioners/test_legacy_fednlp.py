"""The draw of FedNLP's script, written down once more in its own terms, and its known defects."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from partition_checks import assert_valid, shares
from scipy.spatial.distance import jensenshannon

from partitioners import PartitionError, legacy_fednlp, make_partition


def as_described(labels: list[int], clients: int, alpha: float) -> list[list[int]]:
    """Piles of shuffled examples, from which one client after the other takes; global RNG."""
    kinds = sorted(set(labels))
    piles = {}
    for kind in kinds:
        pile = np.array([i for i, label in enumerate(labels) if label == kind])
        np.random.shuffle(pile)
        piles[kind] = pile.tolist()
    p = [len(piles[kind]) / len(labels) for kind in kinds]
    concentration = np.array([alpha * share for share in p])
    np.random.dirichlet(concentration)
    unassigned, federation = len(labels), []
    for _ in range(clients):
        q = np.random.dirichlet(concentration)
        while np.isnan(q).any():
            q = np.random.dirichlet(concentration)
        size = len(labels) // clients
        size = unassigned if unassigned < 2 * size else size
        unassigned -= size
        mine: list[int] = []
        open_places = size
        for kind, share in zip(kinds, q, strict=True):
            want = min(round(share * size), open_places)
            want = open_places if kind == kinds[-1] else want
            open_places -= want
            taken = take(piles[kind], want)
            mine += taken + top_up(piles, want - len(taken))
        federation.append(mine)
    for kind in kinds:
        federation[-1] += take(piles[kind], len(piles[kind]))
    return federation


def take(pile: list[int], count: int) -> list[int]:
    taken, pile[:] = pile[:count], pile[count:]
    return taken


def top_up(piles: dict[int, list[int]], missing: int) -> list[int]:
    """The scarcest pile first; shares of what is left, rounded up, in exact arithmetic."""
    taken: list[int] = []
    total = sum(map(len, piles.values()))
    for kind in sorted(piles, key=lambda kind: len(piles[kind])):
        due = ceil(Fraction(len(piles[kind]) * missing, total)) if total else 0
        taken += take(piles[kind], min(due, missing - len(taken)))
    return taken


@pytest.mark.parametrize("seed", range(40))
def test_same_clients_as_the_description(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes, rows, tests = rng.integers(1, 20), rng.integers(1, 400), rng.integers(1, 200)
    clients = int(rng.integers(1, min(rows, 50) + 1))
    alpha = float(rng.choice([0.02, 0.1, 1.0, 10.0, 1e5]))
    pooled = rng.dirichlet(np.full(classes, rng.choice([0.3, 5.0])))
    train, test = rng.choice(classes, rows, p=pooled), rng.choice(classes, tests, p=pooled)
    kept = np.random.get_state()
    try:
        np.random.seed(seed)
        expected = [as_described(part.tolist(), clients, alpha) for part in (train, test)]
    finally:
        np.random.set_state(kept)
    made = make_partition(
        "legacy_fednlp",
        {"alpha": alpha},
        clients=clients,
        seed=seed,
        train_labels=train,
        test_labels=test,
    )
    for split, theirs in zip(("train", "test"), expected, strict=True):
        assert_valid(made.splits[split], len(train if split == "train" else test), clients)
        for k in range(clients):
            assert made.splits[split].client(k).tolist() == sorted(theirs[k]), (split, k)


def twenty_newsgroups(alpha: float, clients: int) -> tuple[np.ndarray, np.ndarray, object]:
    train, test = (np.random.default_rng(0).integers(0, 20, n) for n in (11_314, 7_532))
    made = make_partition(
        "legacy_fednlp",
        {"alpha": alpha},
        clients=clients,
        seed=42,
        train_labels=train,
        test_labels=test,
    )
    return train, test, made


def test_the_last_client_blows_up() -> None:
    """The size of 20 Newsgroups, 1,000 clients: all remainders land on the last one."""
    _, _, made = twenty_newsgroups(1.0, 1000)
    for split, usual, last in (("train", 11, 325), ("test", 7, 539)):
        sizes = made.splits[split].sizes()
        assert (sizes[:-1] == usual).all() and sizes[-1] == last


def test_a_clients_test_share_is_unrelated_to_its_train_share() -> None:
    train, test, made = twenty_newsgroups(1.0, 100)
    mine, judged = shares(train, made.splits["train"]), shares(test, made.splits["test"])
    own = np.mean([jensenshannon(mine[k], judged[k]) for k in range(100)])
    other = np.mean([jensenshannon(mine[k], judged[k - 1]) for k in range(100)])
    assert abs(own - other) < 0.03 and own > 0.5
    matched = make_partition(
        "dirichlet", {"alpha": 1.0}, clients=100, seed=42, train_labels=train, test_labels=test
    )
    mine, judged = (shares(x, matched.splits[s]) for x, s in ((train, "train"), (test, "test")))
    assert np.mean([jensenshannon(mine[k], judged[k]) for k in range(100)]) < 0.2


def test_a_label_that_the_test_split_lacks_and_no_test_split_at_all() -> None:
    train = np.arange(60) % 3
    base = {"clients": 4, "seed": 0, "train_labels": train}
    made = make_partition("legacy_fednlp", {"alpha": 1.0}, test_labels=np.array([0, 2, 2]), **base)
    assert made.splits["test"].sizes().tolist() == [0, 0, 0, 3]
    made = make_partition(
        "legacy_fednlp", {"alpha": 1.0}, test_labels=np.zeros(0, dtype=int), **base
    )
    assert len(made.splits["test"].indices) == 0


def test_what_the_script_never_ends_on_is_an_error() -> None:
    labels = np.arange(100) % 5
    with pytest.raises(PartitionError, match=r"partition\.alpha.*all NaN.*dirichlet"):
        legacy_fednlp(labels, 5, np.random.RandomState(0), alpha=1e-12)
    with pytest.raises(PartitionError, match=r"partition\.seed.*2\*\*32"):
        make_partition(
            "legacy_fednlp",
            {"alpha": 1.0},
            clients=5,
            seed=2**32,
            train_labels=labels,
            test_labels=labels,
        )
