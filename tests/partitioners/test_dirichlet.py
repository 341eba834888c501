from __future__ import annotations

import numpy as np
import pytest
from partition_checks import histogram, shares
from scipy.stats import chi2_contingency

from partitioners import dirichlet
from partitioners.skew import measure_skew

LABELS = np.random.default_rng(1).choice(5, 60_000, p=[0.4, 0.25, 0.2, 0.1, 0.05])
POOLED = np.bincount(LABELS) / len(LABELS)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0])
def test_label_mix_has_the_moments_of_dir_alpha_p(alpha: float) -> None:
    """Var q_c = p_c (1 - p_c) / (alpha + 1), plus the multinomial part 1/n of the rest."""
    clients = 1200
    mixes = np.concatenate(
        [
            shares(LABELS, dirichlet(LABELS, clients, np.random.default_rng(s), alpha=alpha))
            for s in range(2)
        ]
    )
    assert np.abs(mixes.mean(axis=0) - POOLED).max() < 1e-3
    size = len(LABELS) / clients
    prior = POOLED * (1 - POOLED)
    expected = prior / (alpha + 1) + prior * alpha / (alpha + 1) / size
    assert np.allclose(mixes.var(axis=0), expected, rtol=0.15)


def test_uneven_client_keeps_its_mean_share_over_seeds() -> None:
    """A fixed client's mix is p on average: its place in the queue favours no class."""
    labels = LABELS[:2000]
    pooled = np.bincount(labels) / len(labels)
    draws = [
        shares(labels, dirichlet(labels, 10, np.random.default_rng(s), alpha=1.0))[[0, 9]]
        for s in range(400)
    ]
    errors = np.abs(np.mean(draws, axis=0) - pooled)
    assert errors.max() < 4 * np.std(draws, axis=0).max() / np.sqrt(400)


def test_skew_falls_as_alpha_rises() -> None:
    from partitioners import make_partition

    distances = [
        make_partition(
            "dirichlet",
            {"alpha": alpha},
            clients=60,
            seed=0,
            train_labels=LABELS,
            test_labels=LABELS[:100],
        ).provenance["achieved"]["js_distance"]
        for alpha in (1e-3, 0.1, 1.0, 10.0, 100.0, 1e3)
    ]
    assert distances[1:] == sorted(distances[1:], reverse=True)
    pure = 1 - (POOLED**2).sum()  # one label each: two clients differ with this probability
    assert np.allclose(distances[:2], pure, atol=0.05)  # at 0.1 nothing is left to sharpen
    assert distances[-1] < 0.08


def test_tiny_alpha_is_nearly_one_label_per_client_even_for_late_clients() -> None:
    """Feeding the last clients what is left over would give them mixes; at most a few may be."""
    labels = np.arange(20_000) % 20
    split = dirichlet(labels, 400, np.random.default_rng(0), alpha=1e-3)
    largest = shares(labels, split).max(axis=1)
    assert (largest > 0.999).mean() > 0.85
    assert largest.min() > 0.15


def test_two_classes_two_clients_swap_nothing_needlessly() -> None:
    """With one client per class possible, both are pure unless both wished for the same class."""
    labels = np.repeat([0, 1], 50)
    mixes = [
        histogram(labels, dirichlet(labels, 2, np.random.default_rng(s), alpha=1e-6)).tolist()
        for s in range(40)
    ]
    assert all(mix in ([[50, 0], [0, 50]], [[0, 50], [50, 0]]) for mix in mixes)
    assert len({str(mix) for mix in mixes}) == 2


def test_many_classes_cost_no_more_than_the_examples() -> None:
    """A dense [clients, classes] block would take 3 GB here."""
    labels = np.random.default_rng(0).permutation(20_000) % 19_000
    split = dirichlet(labels, 20_000, np.random.default_rng(0), alpha=0.3)
    assert (split.sizes() == 1).all() and sorted(split.indices) == list(range(20_000))


@pytest.mark.parametrize("alpha", [0.3, 3.0])
def dense(labels: np.ndarray, clients: int, alpha: float, rng: np.random.Generator) -> np.ndarray:
    """The split in words: mixes formed, wishes drawn from them, served client by client."""
    left, short = np.bincount(labels), np.full(clients, len(labels) // clients)
    held = np.zeros((clients, len(left)), dtype=np.int64)
    while short.any():
        wishes = np.zeros_like(held)
        for k in np.flatnonzero(short):
            q = rng.dirichlet(alpha * left[left > 0] / left.sum())
            wishes[k, left > 0] = rng.multinomial(short[k], q)
        for k in rng.permutation(clients):
            met = np.minimum(wishes[k], left)
            held[k], left, short[k] = held[k] + met, left - met, short[k] - met.sum()
    return held


@pytest.mark.parametrize("alpha", [0.3, 3.0])
def test_same_law_as_dense_mixes(alpha: float) -> None:
    labels = np.repeat([0, 1, 2], [10, 8, 6])
    rng, seen = np.random.default_rng(7), []
    for seed in range(1500):
        ours = dirichlet(labels, 4, np.random.default_rng(seed), alpha=alpha)
        tables = histogram(labels, ours), dense(labels, 4, alpha, rng)
        seen.append([(t[0, 0], t[3, 2], (t > 0).sum(), (t.max(axis=1) == 6).sum()) for t in tables])
    for mine, theirs in np.array(seen).transpose(2, 1, 0):
        counts = np.stack([np.bincount(x, minlength=13) for x in (mine, theirs)])
        counts = counts[:, counts.sum(axis=0) >= 10]
        assert chi2_contingency(counts).pvalue > 1e-3


def test_measured_on_what_is_held() -> None:
    from partitioners import LabelHistogram

    split = dirichlet(LABELS, 30, np.random.default_rng(0), alpha=0.5)
    counted = LabelHistogram.count(LABELS, split.owners(len(LABELS)), 30)
    table = histogram(LABELS, split)
    for k in (0, 17, 29):
        assert counted.client(k) == {str(c): n for c, n in enumerate(table[k]) if n}
    tv = np.abs(table / table.sum(1, keepdims=True) - POOLED).sum(1).mean() / 2
    achieved = measure_skew(counted, np.random.default_rng(0))
    assert achieved["total_variation"] == pytest.approx(tv)
    assert achieved["missing_labels"] == pytest.approx((table == 0).mean())
