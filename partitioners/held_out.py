"""Clients that are never trained on: do models serve people who did not take part?

Yuan et al. 2022, "What do we mean by generalization in federated learning?": the participation
gap needs clients outside the training population. They keep their shares.
"""

from __future__ import annotations

import numpy as np

from .arguments import is_number
from .errors import PartitionError


def require_fraction(fraction: object) -> float:
    """`fraction` as a float; PartitionError unless it is a number in [0, 1)."""
    if not is_number(fraction) or not 0 <= fraction < 1:
        raise PartitionError("partition.held_out", repr(fraction), "a number in [0, 1)")
    return float(fraction)


def choose_held_out(clients: int, fraction: float, generator: np.random.Generator) -> np.ndarray:
    """[h] int64 ascending: round(fraction * clients) clients, at least one if fraction > 0.

    The first h of one permutation, so a larger fraction holds out the same clients and more.
    Raises PartitionError when nobody would be left to train.
    """
    fraction = require_fraction(fraction)
    count = max(1, round(fraction * clients)) if fraction else 0
    if count >= clients:
        raise PartitionError(
            "partition.held_out",
            f"{fraction:g} of {clients} clients leaves none to train",
            fix="use more clients or a smaller fraction",
        )
    return np.sort(generator.permutation(clients)[:count])
