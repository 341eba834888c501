"""The value that every partitioner leads to: client -> example indices, for each split.

partition = make_partition("dirichlet", {"alpha": 0.1}, clients=100, seed=0, ...)
partition.splits["train"].client(7)      # [n] int64 rows of the training split
partition.save("split.npz"); Partition.load("split.npz").checksum == partition.checksum
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .histogram import LabelHistogram
from .stable_order import stable_order


def _frozen(values: object, dtype: type = np.int64) -> np.ndarray:
    array: np.ndarray = np.array(values, dtype=dtype)
    array.flags.writeable = False  # a shuffle in place would silently change the partition
    return array


@dataclass(frozen=True, eq=False)
class Split:
    """Which examples of one split each client holds.

    indices: [examples given out] int64, ascending within a client, each at most once.
    offsets: [clients + 1] int64; client k holds `indices[offsets[k]:offsets[k + 1]]`.
    hashes: [examples given out] uint64, what is in each example (None where it is not known).
    """

    indices: np.ndarray
    offsets: np.ndarray
    hashes: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "indices", _frozen(self.indices))
        object.__setattr__(self, "offsets", _frozen(self.offsets))
        if self.hashes is not None:
            object.__setattr__(self, "hashes", _frozen(self.hashes, np.uint64))

    @classmethod
    def from_owners(cls, owners: np.ndarray, clients: int) -> Split:
        """From the owner of each example, [N] int64 in [0, clients), or -1 for nobody's."""
        sizes = np.bincount(owners[owners >= 0], minlength=clients)
        order = stable_order(owners + 1, clients + 1)
        held = order[len(owners) - int(sizes.sum()) :]
        return cls(held, np.concatenate([[0], np.cumsum(sizes)]))

    def owners(self, examples: int) -> np.ndarray:
        """[examples] int64: the client of each example, -1 for nobody's."""
        owners = np.full(examples, -1, dtype=np.int64)
        owners[self.indices] = np.repeat(np.arange(self.clients), self.sizes())
        return owners

    @property
    def clients(self) -> int:
        return len(self.offsets) - 1

    def client(self, k: int) -> np.ndarray:
        """[n_k] int64, read-only: the examples of client k."""
        if not 0 <= k < self.clients:
            raise IndexError(f"client {k} of {self.clients}")
        return self.indices[self.offsets[k] : self.offsets[k + 1]]

    def sizes(self) -> np.ndarray:
        """[clients] int64: examples per client."""
        return np.diff(self.offsets)


@dataclass(frozen=True, eq=False)
class Partition:
    """Clients' shares of `train` and `test`, with how they came about.

    What an index counts is up to whoever made it: the rows of the arrays it was made from, or in a
    file the rows of the source (`provenance["rows_of"]` then names the source split of each share).

    provenance: JSON-plain dict: partitioner, parameters, clients, seed, min_size, held_out,
        version, data_fingerprint, skew, test_share, achieved.
    held_out: [h] int64 ascending, clients that are never trained on but keep their shares.
    histogram: what each client holds of each skew label in train (None if not measured).
    """

    splits: dict[str, Split]
    provenance: dict[str, Any]
    held_out: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    histogram: LabelHistogram | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "held_out", _frozen(self.held_out))

    @property
    def clients(self) -> int:
        return self.splits["train"].clients

    @cached_property
    def checksum(self) -> str:
        """sha256 (hex) over offsets and indices of all splits and the held-out clients.

        Hashes and provenance do not count: the same shares are the same partition.
        """
        digest = hashlib.sha256()
        arrays = [("held_out", self.held_out)]
        for name in sorted(self.splits):
            arrays += [(f"{name}.offsets", self.splits[name].offsets)]
            arrays += [(f"{name}.indices", self.splits[name].indices)]
        for name, array in arrays:
            digest.update(f"{name}:{len(array)};".encode())
            digest.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
        return digest.hexdigest()

    def save(self, path: str | Path) -> None:
        """Write one .npz without pickle; a reader sees the old file or the new, never half."""
        from .partition_file import write

        write(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Partition:
        """Read what `save` wrote; PartitionError if it is missing, damaged or inconsistent."""
        from .partition_file import read

        return read(Path(path))
