"""One client per author, article or source: the partition that the data brought along.

Caldas et al. 2018, "LEAF: a benchmark for federated settings", section 3: a client is whoever
produced the examples. Examples of one key always stay together. Client ids follow the sorted keys.

Keys with fewer than `min_size` examples are merged with one another, in a seeded order, until
the merged client is large enough: no example is lost. With `clients`, the keys are shuffled and
dealt in turn to that many clients. Examples with the empty key belong to nobody.

    generator = np.random.default_rng(0)
    split = natural(["ann", "bob", "ann", "cy"], None, generator)
    split.client(0)          # [0, 2]: everything that ann wrote
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .arguments import require_count, require_generator
from .errors import PartitionError
from .partition import Split


@dataclass(frozen=True)
class NaturalParameters:
    """Nothing to choose: the keys come with the data set."""


def natural(
    keys: Sequence[str] | np.ndarray,
    clients: int | None,
    generator: np.random.Generator,
    *,
    min_size: int = 1,
) -> Split:
    """Split by `keys`, one string per example, "" for none.

    Raises PartitionError when there are no keys, too few for `clients`, or when all examples
    with a key are together fewer than `min_size`.
    """
    require_generator(generator)
    min_size = require_count("min_size", min_size)
    names = sorted({str(key) for key in keys} - {""})
    if not names:
        raise PartitionError(
            "partition.name", "natural, but the data set has no client keys", fix="choose another"
        )
    number = {name: i for i, name in enumerate(names)} | {"": -1}
    codes = np.fromiter((number[str(key)] for key in keys), dtype=np.int64, count=len(keys))
    unit_of = _merge_small(np.bincount(codes[codes >= 0]), min_size, generator)
    units = int(unit_of.max()) + 1
    if clients is not None:
        clients = require_count("clients", clients)
        if clients > units:
            raise PartitionError(
                "partition.clients",
                f"{clients}, but there are {units} natural clients of at least {min_size} examples",
                f"at most {units}",
            )
        if clients < units:
            seats = np.arange(units) % clients
            unit_of, units = generator.permutation(seats)[unit_of], clients
    owners = np.where(codes >= 0, unit_of[codes], -1)
    return Split.from_owners(owners, units)


def _merge_small(sizes: np.ndarray, min_size: int, generator: np.random.Generator) -> np.ndarray:
    """[keys] int64: the client of each key, so that each has `min_size` examples."""
    small = np.flatnonzero(sizes < min_size)
    large = np.flatnonzero(sizes >= min_size)
    unit_of = np.empty(len(sizes), dtype=np.int64)
    unit_of[large] = np.arange(len(large))
    unit, held, pending = len(large), 0, []
    for key in generator.permutation(small):
        pending.append(key)
        held += int(sizes[key])
        if held >= min_size:
            unit_of[pending] = unit
            unit, held, pending = unit + 1, 0, []
    if pending and unit == 0:
        raise PartitionError(
            "partition.min_size", f"{min_size}, more than all {held} examples with a client key"
        )
    if pending:  # too few for a client of their own: to the last merged, else the smallest
        unit_of[pending] = unit - 1 if unit > len(large) else int(np.argmin(sizes[large]))
    return unit_of
