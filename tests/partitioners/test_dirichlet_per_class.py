from __future__ import annotations

import sys

import numpy as np
import pytest
from partition_checks import histogram
from scipy.stats import chi2_contingency, chisquare

from partitioners import dirichlet_per_class
from partitioners.dirichlet_per_class import _holders
from partitioners.draws import dirichlet_rows, fair_counts


def literal(labels: np.ndarray, clients: int, alpha: float, rng: np.random.Generator) -> np.ndarray:
    """Yurochkin et al. 2019 and NIID-Bench as code is usually written; [clients, classes]."""
    table = np.zeros((clients, labels.max() + 1), dtype=np.int64)
    for c in range(labels.max() + 1):
        rows = np.flatnonzero(labels == c)
        rng.shuffle(rows)
        q = rng.dirichlet(np.repeat(alpha, clients))
        cuts = (np.cumsum(q) * len(rows)).astype(int)[:-1]
        for k, part in enumerate(np.split(rows, cuts)):
            table[k, c] = len(part)
    return table


@pytest.mark.parametrize("alpha", [0.1, 0.5, 5.0])
def test_same_law_as_the_literal_transcription(alpha: float) -> None:
    labels = np.repeat(np.arange(8), [300, 100, 200, 400, 250, 350, 150, 50])
    clients, rounds = 10, 300
    ours, theirs = [], []
    rng = np.random.default_rng(5)
    for seed in range(rounds):
        split = dirichlet_per_class(labels, clients, np.random.default_rng(seed), alpha=alpha)
        ours.append(histogram(labels, split))
        theirs.append(literal(labels, clients, alpha, rng))
    ours, theirs = np.array(ours, float), np.array(theirs, float)
    totals = np.bincount(labels)
    assert (ours.sum(axis=1) == totals).all()
    mine, his = (x.reshape(-1, 8) / totals for x in (ours, theirs))
    assert np.allclose(mine.mean(axis=0), his.mean(axis=0), atol=1e-9)  # both are 1 / clients
    assert np.allclose(mine.std(axis=0), his.std(axis=0), rtol=0.1)
    for level in (0.1, 0.25, 0.5, 0.75, 0.9, 0.99):  # the whole distribution of client sizes
        a, b = (np.quantile(x.sum(axis=2), level) for x in (ours, theirs))
        assert a == pytest.approx(b, rel=0.12, abs=4)


def counts_per_class(alpha: float, clients: int, size: int, classes: int) -> np.ndarray:
    """[classes, clients]: classes of equal size are independent draws of one law."""
    sizes = np.full(classes, size)
    holders = _holders(alpha, clients, sizes, np.random.default_rng(1))
    table = np.zeros((classes, clients), dtype=np.int64)
    np.add.at(table, (np.repeat(np.arange(classes), sizes), holders), 1)
    return table


def first_largest_number_and_span(table: np.ndarray) -> np.ndarray:
    """[4, classes] about the holders of each class."""
    held = table > 0
    first, last = held.argmax(axis=1), held.shape[1] - held[:, ::-1].argmax(axis=1)
    return np.stack([first, table.max(axis=1), held.sum(axis=1), last - first])


@pytest.mark.parametrize("size", [2, 5])
@pytest.mark.parametrize("alpha", [0.05, 1.0, 30.0])
@pytest.mark.parametrize("groups", [1, 8])
def test_shares_drawn_where_they_are_needed_have_the_law_of_all_shares(
    alpha: float, groups: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["partitioners.dirichlet_per_class"], "GROUPS", groups)
    clients, classes = 47, 4000  # 47 is halved unevenly
    ours, rng = counts_per_class(alpha, clients, size, classes), np.random.default_rng(11)
    shares = dirichlet_rows(np.full(clients, alpha), classes, rng)
    dense = np.array([fair_counts(row, size, rng) for row in shares])
    pairs = zip(*map(first_largest_number_and_span, (ours, dense)), strict=True)
    for number, (mine, theirs) in enumerate(pairs):
        counts = np.stack([np.bincount(x, minlength=clients + 1) for x in (mine, theirs)])
        assert counts.max() < 0.99 * classes or number > 0
        counts = counts[:, counts.sum(axis=0) >= 10]
        assert counts.shape[1] == 1 or chi2_contingency(counts).pvalue > 1e-3


@pytest.mark.parametrize("clients", [7, 100])
def test_clients_beyond_the_examples_of_a_class_are_all_equally_likely(clients: int) -> None:
    assert chisquare(counts_per_class(0.5, clients, 1, 9000).sum(axis=0)).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [1e-300, 1e-9, 1e9, 1.7e308])
def test_absurd_alphas_with_more_clients_than_examples_of_a_class(alpha: float) -> None:
    sizes = np.array([1, 2, 30, 1])
    holders = _holders(alpha, 5000, sizes, np.random.default_rng(0))
    assert holders.min() >= 0 and holders.max() < 5000
    parts = np.split(holders, np.cumsum(sizes)[:-1])
    assert all((np.diff(part) >= 0).all() for part in parts)
    assert len(set(parts[2])) == (1 if alpha < 1 else 30)


def test_no_client_is_favoured_when_classes_are_smaller_than_the_federation() -> None:
    """Cutting floor(cumsum * n) starves the first client; systematic rounding does not."""
    labels = np.repeat(np.arange(40), 5)
    sizes = np.mean(
        [
            dirichlet_per_class(labels, 50, np.random.default_rng(s), alpha=100.0).sizes()
            for s in range(300)
        ],
        axis=0,
    )
    assert abs(sizes[0] - 4) < 0.5 and abs(sizes[-1] - 4) < 0.5


def test_minimum_by_repair_leaves_the_rest_alone() -> None:
    labels = np.arange(5000) % 10
    free = dirichlet_per_class(labels, 50, np.random.default_rng(3), alpha=0.05)
    fixed = dirichlet_per_class(labels, 50, np.random.default_rng(3), alpha=0.05, min_size=20)
    assert free.sizes().min() < 20 == fixed.sizes().min()
    before, after = free.owners(5000), fixed.owners(5000)
    needed = np.maximum(20 - free.sizes(), 0).sum()
    assert (before != after).sum() <= needed + 50
