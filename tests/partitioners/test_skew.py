from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partition_checks import SEEDS, label_arrays
from scipy.spatial.distance import jensenshannon

from partitioners import LabelHistogram, label_mixes, skew
from partitioners.skew import gini, measure_skew


def dense(counted: LabelHistogram) -> np.ndarray:
    values = np.unique(counted.labels)
    table = np.zeros((counted.clients, len(values)))
    table[counted.holders(), np.searchsorted(values, counted.labels)] = counted.counts
    return table


@settings(deadline=None, max_examples=60)
@given(labels=label_arrays(), clients=st.integers(1, 15), seed=SEEDS)
def test_measures_against_scipy_and_dense_arithmetic(
    labels: np.ndarray, clients: int, seed: int
) -> None:
    owners = np.random.default_rng(seed).integers(0, clients, len(labels))
    counted = LabelHistogram.count(labels, owners, clients)
    achieved = measure_skew(counted, np.random.default_rng(0))
    table = dense(counted)
    filled = table[table.sum(axis=1) > 0]
    mixes = filled / filled.sum(axis=1, keepdims=True)
    pairs = [
        jensenshannon(mixes[i], mixes[j], base=2)
        for i in range(len(mixes))
        for j in range(i + 1, len(mixes))
    ]
    pooled = table.sum(axis=0) / table.sum()
    assert achieved["js_distance"] == pytest.approx(np.mean(pairs or [0.0]), abs=1e-6)
    assert achieved["js_distance_stderr"] == 0.0
    assert achieved["total_variation"] == pytest.approx(np.abs(mixes - pooled).sum(1).mean() / 2)
    assert achieved["missing_labels"] == pytest.approx((table == 0).mean())
    sizes = table.sum(axis=1)
    assert achieved["sizes"]["min"] == sizes.min() and achieved["sizes"]["max"] == sizes.max()
    assert achieved["sizes"]["mean"] == pytest.approx(sizes.mean())
    differences = np.abs(sizes[:, None] - sizes[None]).mean() / (2 * sizes.mean())
    assert achieved["sizes"]["gini"] == pytest.approx(differences, abs=1e-12)


def test_sampled_pairs_agree_with_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    counted = LabelHistogram.count(rng.integers(0, 7, 4000), rng.integers(0, 300, 4000), 300)
    exact = measure_skew(counted, rng)["js_distance"]
    monkeypatch.setattr(skew, "EXACT_CLIENTS", 100)
    sampled = measure_skew(counted, np.random.default_rng(1))
    assert 0 < sampled["js_distance_stderr"] < 0.01
    assert abs(sampled["js_distance"] - exact) < 4 * sampled["js_distance_stderr"]
    assert sampled == measure_skew(counted, np.random.default_rng(1))


def test_sampled_pairs_are_two_different_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skew, "EXACT_CLIENTS", 1)
    apart = LabelHistogram.count(np.arange(3), np.arange(3), 3)
    achieved = measure_skew(apart, np.random.default_rng(0))
    assert achieved["js_distance"] == pytest.approx(1) and achieved["js_distance_stderr"] < 1e-9


def test_blocks_of_labels_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    counted = LabelHistogram.count(rng.integers(0, 40, 900), rng.integers(0, 20, 900), 20)
    whole = measure_skew(counted, rng)["js_distance"]
    monkeypatch.setattr(label_mixes, "BLOCK", 60)
    assert measure_skew(counted, rng)["js_distance"] == pytest.approx(whole, abs=1e-12)


def test_extremes() -> None:
    apart = LabelHistogram.count(np.arange(4), np.arange(4), 4)
    achieved = measure_skew(apart, np.random.default_rng(0))
    assert achieved["js_distance"] == pytest.approx(1) and achieved["missing_labels"] == 0.75
    same = LabelHistogram.count(np.tile([0, 1], 4), np.repeat(np.arange(4), 2), 4)
    assert measure_skew(same, np.random.default_rng(0))["js_distance"] == 0
    assert gini(np.array([0, 0, 0, 12])) == pytest.approx(0.75) and gini(np.full(5, 3)) == 0


def test_a_thousand_clients_stay_within_memory() -> None:
    """A dense [K, K, C] table would be 16 GB; blocks keep it to a hundred MB."""
    import tracemalloc

    rng = np.random.default_rng(0)
    counted = LabelHistogram.count(
        rng.integers(0, 2000, 30_000), rng.integers(0, 1000, 30_000), 1000
    )
    tracemalloc.start()
    measure_skew(counted, rng)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6
