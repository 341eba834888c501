"""Clients of unequal size and IID content (quantity skew).

Li et al. 2022, "Federated learning on non-IID data silos" (NIID-Bench), section 3: the sizes
follow (n_1, ..., n_K) = N q with q ~ Dir(alpha * 1_K), the content is drawn at random.

    generator = np.random.default_rng(0)
    split = quantity(10_000, 100, generator, alpha=0.5)
    split.sizes().max()      # far above 100
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arguments import require_alpha, require_count, require_generator, require_room
from .draws import dirichlet_rows, fair_counts
from .partition import Split
from .repair import repair


@dataclass(frozen=True)
class QuantityParameters:
    """alpha: concentration over client sizes; small is a few huge clients, large is equal."""

    alpha: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", require_alpha(self.alpha))


def quantity(
    examples: int,
    clients: int,
    generator: np.random.Generator,
    *,
    alpha: float,
    min_size: int = 1,
) -> Split:
    """Split `examples` examples at random into clients whose sizes follow Dir(alpha * 1).

    Raises PartitionError for a bad alpha or fewer than clients * min_size examples.
    """
    require_generator(generator)
    alpha, examples = require_alpha(alpha), require_count("examples", examples, low=0)
    clients, min_size = require_room(examples, clients, min_size)
    shares = dirichlet_rows(np.full(clients, alpha), 1, generator)[0]
    sizes = fair_counts(shares, examples, generator)
    owners = generator.permutation(np.repeat(np.arange(clients), sizes))
    return Split.from_owners(repair(owners, clients, min_size, generator), clients)
