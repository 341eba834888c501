from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import dirichlet_multinomial

from partitioners import LabelHistogram, effective_alpha, make_partition
from partitioners.effective_alpha import HIGHEST, LOWEST


def sparse(table: np.ndarray) -> LabelHistogram:
    """From [clients, labels] counts; the label values are 10, 11, ..."""
    clients, columns = np.nonzero(table)
    offsets = np.searchsorted(clients, np.arange(len(table) + 1))
    return LabelHistogram(offsets, columns + 10, table[clients, columns])


def draw(alpha: float, p: np.ndarray, sizes: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.array([rng.multinomial(n, rng.dirichlet(alpha * p)) for n in sizes])


@pytest.mark.parametrize("alpha", [0.05, 0.5, 3.0, 30.0])
def test_recovers_alpha_within_its_sampling_error(alpha: float) -> None:
    """The mean of the logarithms over draws, against their own spread."""
    p, sizes = np.array([0.4, 0.3, 0.2, 0.1]), np.tile([5, 40, 100], 100)
    found = [effective_alpha(sparse(draw(alpha, p, sizes, seed))) for seed in range(20)]
    logs = np.log(np.array(found, dtype=float)) - np.log(alpha)
    assert logs.std() < 0.25
    assert abs(logs.mean()) < 4 * logs.std() / np.sqrt(20) + 0.01  # p is estimated, too


@pytest.mark.parametrize(("alpha", "seed"), [(0.1, 0), (1.0, 1), (1.0, 2), (20.0, 3), (300.0, 4)])
def test_agrees_with_a_grid_over_scipys_likelihood(alpha: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = draw(alpha, np.array([0.5, 0.3, 0.2]), rng.integers(0, 60, 50), seed)
    table = table[:, table.sum(axis=0) > 0]
    p, sizes = table.sum(axis=0) / table.sum(), table.sum(axis=1)
    grid = np.geomspace(1e-3, 1e5, 4001)
    likelihood = [dirichlet_multinomial.logpmf(table, a * p, sizes).sum() for a in grid]
    best = int(np.argmax(likelihood))
    assert 0 < best < len(grid) - 1
    found = effective_alpha(sparse(table))
    assert found is not None and grid[best - 1] < found < grid[best + 1]


def test_bounds_stand_for_zero_and_infinity() -> None:
    one_label_each = np.diag([7, 5, 9, 1])
    assert effective_alpha(sparse(one_label_each)) == LOWEST
    equal = np.full((6, 4), 25)
    assert effective_alpha(sparse(equal)) == HIGHEST
    chance = np.random.default_rng(0).multinomial(200, [0.5, 0.3, 0.2], size=300)
    found = effective_alpha(sparse(chance))
    assert found is not None and found > 1000


def test_nothing_to_estimate() -> None:
    assert effective_alpha(sparse(np.array([[4], [9]]))) is None  # one label
    assert effective_alpha(sparse(np.array([[1, 0], [0, 1], [1, 0]]))) is None  # no pair anywhere
    assert effective_alpha(sparse(np.zeros((3, 2), dtype=np.int64))) is None


def test_clients_without_examples_and_order_do_not_count() -> None:
    table = draw(0.7, np.array([0.6, 0.4]), np.full(30, 20), 0)
    padded = np.vstack([np.zeros((2, 2), dtype=np.int64), table[::-1], np.zeros((1, 2), int)])
    assert effective_alpha(sparse(padded)) == effective_alpha(sparse(table))


def test_is_measured_with_every_partition() -> None:
    labels = np.random.default_rng(0).integers(0, 10, 20_000)
    base = {"clients": 200, "seed": 0, "train_labels": labels, "test_labels": labels[:100]}

    def found(name: str, **asked: object) -> float:
        return make_partition(name, asked, **base).provenance["achieved"]["effective_alpha"]

    assert found("dirichlet", alpha=0.3) == pytest.approx(0.3, rel=0.2)
    assert found("dirichlet", alpha=10.0) == pytest.approx(10.0, rel=0.2)
    assert found("legacy_fednlp", alpha=1.0) == pytest.approx(1.0, rel=0.4)
    per_class = found("dirichlet_per_class", alpha=1.0)
    assert per_class == pytest.approx(10.0, rel=0.2)  # alpha for each of ten labels
    assert found("label_shards", labels_per_client=1) == LOWEST
    assert found("uniform") > 300
    assert found("quantity", alpha=1.0) > 300
