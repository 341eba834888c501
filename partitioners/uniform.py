"""IID clients of equal size: the control that every skewed split is compared with.

McMahan et al. 2017, "Communication-efficient learning of deep networks from decentralized
data", section 3 ("IID"): shuffle, then cut into K parts; sizes differ by at most one.

    generator = np.random.default_rng(0)
    split = uniform(10_000, 100, generator)
    split.client(3)          # 100 example indices
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arguments import require_count, require_generator, require_room
from .partition import Split


@dataclass(frozen=True)
class UniformParameters:
    """Nothing to choose."""


def uniform(
    examples: int, clients: int, generator: np.random.Generator, *, min_size: int = 1
) -> Split:
    """Split `examples` examples evenly at random.

    Raises PartitionError when there are fewer than clients * min_size examples.
    """
    require_generator(generator)
    examples = require_count("examples", examples, low=0)
    clients, min_size = require_room(examples, clients, min_size)
    return Split.from_owners(generator.permutation(np.arange(examples) % clients), clients)
