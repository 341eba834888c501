"""Which clients of one partition share rows with which clients of another."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import PartitionError
from .partition import Partition, Split
from .row_lookup import places_by_content, places_by_number


def overlap(a: Partition, b: Partition, name: str = "train") -> Any:
    """Sparse [clients of a, clients of b] int64 counts of the rows of a split that both give out.

    Rows are known by their number, or by their content where the two were made for different data
    and both hold hashes; the k-th of several equal rows is then the k-th of them in the other.
    Raises PartitionError if the two count rows of different splits or of different data.
    """
    from scipy.sparse import csr_array

    ours, theirs = a.splits[name], b.splits[name]
    if compared_by(a, b, name) == "content" and len(ours.indices) and len(theirs.indices):
        assert ours.hashes is not None and theirs.hashes is not None
        places = places_by_content(ours.hashes, ours.indices, theirs.hashes, theirs.indices)
    else:
        places = places_by_number(ours.indices, theirs.indices)
    here = np.flatnonzero(places >= 0)
    first, second = _holders(ours)[here], _holders(theirs)[places[here]]
    cells, counts = np.unique(first * b.clients + second, return_counts=True)
    shape = (a.clients, b.clients)
    return csr_array((counts, (cells // b.clients, cells % b.clients)), shape=shape)


def compared_by(a: Partition, b: Partition, name: str = "train") -> str:
    """How the rows of a split are told: "row" or "content".

    Raises PartitionError as `overlap` does.
    """
    counted = [_rows_of(partition, name) for partition in (a, b)]
    if counted[0] != counted[1]:
        raise PartitionError(
            "compare",
            f"the {name} shares count {counted[0]} in one partition and {counted[1]} in the other",
            "two partitions of the same rows",
            "import both for the same data set",
        )
    marks = [str(partition.provenance.get("data_fingerprint") or "") for partition in (a, b)]
    if marks[0] == marks[1] or not all(marks):
        return "row"
    if a.splits[name].hashes is None or b.splits[name].hashes is None:
        raise PartitionError(
            "compare",
            f"made for different data (fingerprints {marks[0][:12]} and {marks[1][:12]}), and not "
            f"both hold hashes of their {name} examples",
            "two partitions of the same data, or hashes in both",
            "import both for the same data set",
        )
    return "content"


def _rows_of(partition: Partition, name: str) -> str:
    counted = partition.provenance.get("rows_of")
    if isinstance(counted, dict) and name in counted:
        return f"rows of {counted[name]}"
    return "loaded examples"


def _holders(split: Split) -> np.ndarray:
    """[n] int64: the client of each entry of `indices`."""
    return np.repeat(np.arange(split.clients), split.sizes())
