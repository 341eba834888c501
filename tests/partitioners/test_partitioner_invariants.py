from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partition_checks import ALPHAS, SEEDS, assert_valid, label_arrays

from partitioners import PARTITIONERS, PartitionError, make_partition

WITH_ALPHA = ["dirichlet", "dirichlet_per_class", "quantity", "legacy_fednlp"]


@settings(deadline=None, max_examples=120)
@given(
    name=st.sampled_from(["uniform", *WITH_ALPHA]),
    labels=label_arrays(),
    alpha=ALPHAS,
    clients=st.integers(1, 60),
    min_size=st.integers(1, 5),
    seed=SEEDS,
)
def test_every_example_once_with_the_minimum_reached(
    name: str, labels: np.ndarray, alpha: float, clients: int, min_size: int, seed: int
) -> None:
    spec = PARTITIONERS[name]
    data = labels if spec.needs else len(labels)
    asked = {"alpha": alpha} if name in WITH_ALPHA else {}

    def split():
        rng = np.random.default_rng(seed)
        return spec.split(data, clients, rng, min_size=min_size, **asked)

    if clients * min_size > len(labels):
        with pytest.raises(PartitionError, match=r"partition\.clients"):
            split()
        return
    first, again = split(), split()
    assert_valid(first, len(labels), clients)
    assert len(first.indices) == len(labels)
    assert first.sizes().min() >= min_size
    assert (first.indices == again.indices).all() and (first.offsets == again.offsets).all()
    if name in ("uniform", "dirichlet"):
        assert np.ptp(first.sizes()) <= 1


@pytest.mark.parametrize("name", ["uniform", *WITH_ALPHA, "label_shards"])
def test_another_seed_is_another_split_of_equal_law(name: str) -> None:
    labels = np.arange(600) % 6
    asked = {"alpha": 1.0} if name in WITH_ALPHA else {}
    sums = {
        make_partition(
            name, asked, clients=12, seed=seed, train_labels=labels, test_labels=labels
        ).checksum
        for seed in (0, 1, 2, 0)
    }
    assert len(sums) == 3


@pytest.mark.parametrize("name", WITH_ALPHA)
@pytest.mark.parametrize("alpha", [0, -1.0, float("nan"), float("inf"), "1e-3", True, None])
def test_bad_alpha_is_one_line(name: str, alpha: object) -> None:
    spec = PARTITIONERS[name]
    data = np.arange(50) % 5 if spec.needs else 50
    for attempt in (
        lambda: spec.parameters(alpha=alpha),
        lambda: spec.split(data, 5, np.random.default_rng(0), alpha=alpha),
    ):
        with pytest.raises(PartitionError) as caught:
            attempt()
        assert caught.value.where == "partition.alpha" and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["uniform", *WITH_ALPHA, "label_shards"])
@pytest.mark.parametrize("clients", [0, -3, 2.5, None, True])
def test_bad_client_count_is_refused(name: str, clients: object) -> None:
    asked = {"alpha": 1.0} if name in WITH_ALPHA else {}
    labels = np.arange(50) % 5
    with pytest.raises(PartitionError, match=r"partition\.clients"):
        make_partition(
            name, asked, clients=clients, seed=0, train_labels=labels, test_labels=labels
        )


@pytest.mark.parametrize("name", ["uniform", *WITH_ALPHA])
def test_constant_labels_are_fine(name: str) -> None:
    asked = {"alpha": 0.1} if name in WITH_ALPHA else {}
    labels = np.full(100, 3)
    made = make_partition(name, asked, clients=10, seed=0, train_labels=labels, test_labels=labels)
    assert made.provenance["achieved"]["js_distance"] == 0
    assert len(made.splits["test"].indices) == 100


def test_one_class_has_one_label_per_client_and_no_more() -> None:
    labels = np.full(100, 3)
    base = {"clients": 10, "seed": 0, "train_labels": labels, "test_labels": labels}
    made = make_partition("label_shards", {"labels_per_client": 1}, **base)
    assert (made.splits["train"].sizes() == 10).all()
    with pytest.raises(PartitionError, match="2, but the training split has 1 different labels"):
        make_partition("label_shards", {"labels_per_client": 2}, **base)


@pytest.mark.parametrize("name", WITH_ALPHA)
def test_huge_alpha_is_nearly_iid(name: str) -> None:
    """As far from the pooled shares as `uniform` is, which chance alone keeps away."""
    labels = np.random.default_rng(0).choice(4, 8000, p=[0.4, 0.3, 0.2, 0.1])
    base = {"clients": 20, "seed": 0, "train_labels": labels, "test_labels": labels}
    huge = make_partition(name, {"alpha": 1e9}, **base).provenance["achieved"]
    chance = make_partition("uniform", {}, **base).provenance["achieved"]
    assert huge["total_variation"] < 1.3 * chance["total_variation"]
    assert huge["sizes"]["min"] > 390 and huge["sizes"]["max"] < 410


@pytest.mark.parametrize("alpha", [1e-300, 1e-9, 1e9, 1e300])
def test_absurd_alphas_do_not_break_the_arithmetic(alpha: float) -> None:
    labels = np.random.default_rng(0).integers(0, 30, 3000)
    for name in ("dirichlet", "dirichlet_per_class", "quantity"):
        data = labels if PARTITIONERS[name].needs else len(labels)
        split = PARTITIONERS[name].split(data, 40, np.random.default_rng(0), alpha=alpha)
        assert_valid(split, 3000, 40)
        assert len(split.indices) == 3000


def test_wrong_label_arrays_are_refused() -> None:
    for labels in (np.zeros((4, 2), int), np.zeros(4), ["a", "b"]):
        with pytest.raises(PartitionError, match="labels"):
            PARTITIONERS["dirichlet"].split(labels, 2, np.random.default_rng(0), alpha=1.0)
