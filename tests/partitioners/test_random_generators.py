"""A seed where a generator is wanted is one line."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import partitioners
from partitioners import PartitionError

LABELS = np.arange(60) % 3


@pytest.mark.parametrize("generator", [0, None, np.int64(3), "0"])
@pytest.mark.parametrize(
    "draw",
    [
        lambda g: partitioners.uniform(60, 2, g),
        lambda g: partitioners.dirichlet(LABELS, 2, g, alpha=1),
        lambda g: partitioners.dirichlet_per_class(LABELS, 2, g, alpha=1),
        lambda g: partitioners.label_shards(LABELS, 2, g, labels_per_client=2),
        lambda g: partitioners.quantity(60, 2, g, alpha=1),
        lambda g: partitioners.natural(["ann", "bob"], None, g),
        lambda g: partitioners.legacy_fednlp(LABELS, 2, g, alpha=1),
        lambda g: partitioners.cluster(np.eye(60), 2, g, alpha=1, clusters=2),
        lambda g: partitioners.cluster_labels(np.eye(60), np.eye(60), 2, g),
    ],
)
def test_a_seed_is_no_generator(draw: Callable[[object], object], generator: object) -> None:
    with pytest.raises(PartitionError) as error:
        draw(generator)
    told = "expected a generator; np.random.default_rng(0) for seed 0"
    assert str(error.value) == f"generator: {generator!r}; {told}"


def test_too_many_clients_are_told_what_can_be_changed() -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(PartitionError, match=r"use at most 60 clients$"):
        partitioners.uniform(60, 61, generator)
    with pytest.raises(PartitionError, match=r"use at most 30 clients or a smaller min_size$"):
        partitioners.uniform(60, 31, generator, min_size=2)
