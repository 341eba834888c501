from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partition_checks import ALPHAS, SEEDS
from scipy.stats import chisquare, dirichlet_multinomial

from partitioners.draws import deal, dirichlet_rows, fair_counts, stable_order, urn_classes
from partitioners.streams import stream


@settings(deadline=None, max_examples=60)
@given(alpha=ALPHAS, classes=st.integers(1, 30), seed=SEEDS)
def test_rows_are_distributions_and_absent_classes_stay_absent(
    alpha: float, classes: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    concentration = alpha * rng.dirichlet(np.ones(classes)) * 1e-4
    concentration[1::2] = 0
    rows = dirichlet_rows(concentration, 20, rng)
    assert np.isfinite(rows).all() and np.allclose(rows.sum(axis=1), 1)
    assert (rows[:, 1::2] == 0).all()


@pytest.mark.parametrize("scale", [0.3, 3.0, 30.0])
def test_rows_have_the_moments_of_numpys_dirichlet(scale: float) -> None:
    a = scale * np.array([0.5, 0.3, 0.15, 0.05])
    ours = dirichlet_rows(a, 40_000, np.random.default_rng(0))
    mean, variance = a / a.sum(), a / a.sum() * (1 - a / a.sum()) / (a.sum() + 1)
    assert np.allclose(ours.mean(axis=0), mean, atol=0.01)
    assert np.allclose(ours.var(axis=0), variance, rtol=0.06)


def test_tiny_concentration_picks_classes_in_proportion() -> None:
    rows = dirichlet_rows(1e-9 * np.array([0.7, 0.3]), 4000, np.random.default_rng(0))
    assert ((rows > 1 - 1e-9).sum(axis=1) == 1).all()
    assert abs((rows[:, 0] > 0.5).mean() - 0.7) < 0.03


@pytest.mark.parametrize("alpha", [0.2, 2.0, 40.0])
def test_urn_has_the_law_of_the_dirichlet_multinomial(alpha: float) -> None:
    """Every count vector of a client against its exact probability."""
    supply, size, clients = np.array([5, 0, 3, 2]), 4, 30_000
    drawn = urn_classes(alpha, supply, np.full(clients, size), np.random.default_rng(3))
    tables = np.array([np.bincount(row, minlength=4) for row in drawn.reshape(clients, size)])
    assert (tables[:, 1] == 0).all()
    vectors, seen = np.unique(tables[:, [0, 2, 3]], axis=0, return_counts=True)
    law = dirichlet_multinomial(alpha * np.array([0.5, 0.3, 0.2]), size)
    expected = np.array([law.pmf(v) for v in vectors]) * clients
    rare = expected < 8
    assert abs(seen[rare].sum() - expected[rare].sum()) < 5 * np.sqrt(expected[rare].sum() + 8)
    seen, expected = seen[~rare], expected[~rare]
    assert chisquare(seen, expected * seen.sum() / expected.sum()).pvalue > 1e-3


def test_urn_has_the_moments_of_dense_mixes_for_large_and_unequal_clients() -> None:
    supply, alpha = np.array([50, 30, 15, 5]), 0.7
    sizes = np.tile([1, 10, 300, 0], 4000)
    drawn = urn_classes(alpha, supply, sizes, np.random.default_rng(4))
    table = np.zeros((len(sizes), 4))
    np.add.at(table, (np.repeat(np.arange(len(sizes)), sizes), drawn), 1)
    assert (table.sum(axis=1) == sizes).all()
    p = supply / 100
    for size in (1, 10, 300):
        mixes = table[sizes == size] / size
        variance = p * (1 - p) / size * (size + alpha) / (1 + alpha)
        assert np.allclose(mixes.mean(axis=0), p, atol=0.03)
        assert np.allclose(mixes.var(axis=0), variance, rtol=0.12)


def test_urn_follows_long_chains_of_copies() -> None:
    one = urn_classes(
        1e-300, np.array([3, 0, 4]), np.array([50_000, 3, 1]), np.random.default_rng()
    )
    assert len(set(one[:50_000])) == len(set(one[50_000:50_003])) == 1
    new = urn_classes(1e300, np.array([3, 0, 4]), np.array([50_000]), np.random.default_rng(0))
    assert abs((new == 0).mean() - 3 / 7) < 0.01


@pytest.mark.parametrize("top", [5, 70_000])  # below and above what 2 bytes hold
def test_stable_order_and_deal(top: int) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, top, 300)
    codes[0] = top
    assert (stable_order(codes) == np.argsort(codes, kind="stable")).all()
    holders = rng.integers(0, 9, 300)
    owners = deal(codes, holders, codes, np.ones(300, dtype=np.int64), rng)
    for label in np.unique(codes):
        assert sorted(owners[codes == label]) == sorted(holders[codes == label])


@settings(deadline=None, max_examples=150)
@given(
    weights=st.lists(st.integers(0, 50), min_size=1, max_size=30).filter(any),
    total=st.integers(0, 500),
    seed=SEEDS,
)
def test_fair_counts_are_within_one_of_the_share(weights: list[int], total: int, seed: int) -> None:
    counts = fair_counts(np.array(weights), total, np.random.default_rng(seed))
    exact = np.array(weights) / sum(weights) * total
    assert counts.sum() == total
    assert (np.abs(counts - exact) < 1 + 1e-9).all()
    assert (counts[np.array(weights) == 0] == 0).all()


def test_fair_counts_are_unbiased() -> None:
    weights = np.array([1, 1, 1, 97])
    rng = np.random.default_rng(0)
    mean = np.mean([fair_counts(weights, 30, rng) for _ in range(4000)], axis=0)
    assert np.allclose(mean, [0.3, 0.3, 0.3, 29.1], atol=0.03)


def test_streams_are_named_and_repeatable() -> None:
    draws = [stream(s, n).random() for s, n in ((0, "a"), (0, "b"), (1, "a"), (0, "a"))]
    assert draws[0] == draws[3] and len(set(draws)) == 3
    assert stream(0, "partition").integers(2**31) == stream(0, "partition").integers(2**31)
