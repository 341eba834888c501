"""From the rows of a file - client, index, perhaps hash - to a `Split`, with every check.

    splits = {"train": Rows(clients, indices)}      # one entry per example, in any order
    imported(where, "csv", splits, sizes={"train": 1000})

Clients are counted from 0. A file of others does not say how many there are: the highest number
decides. Its indices count rows of the split they are listed under.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PartitionError
from ..partition import Partition, Split

MOST_CLIENTS = 10_000_000  # what a file may claim: more is damage, and would fill the memory
MOST_EXAMPLES = 100_000_000
_SPLIT_NAME = re.compile(r"[A-Za-z0-9_]{1,40}")


@dataclass(frozen=True)
class Rows:
    """One entry per example of a split: who holds which.

    clients, indices: [n] whole numbers; hashes: [n] uint64, or None where they are not known.
    """

    clients: np.ndarray
    indices: np.ndarray
    hashes: np.ndarray | None = None


@contextmanager
def decoding(where: Path, form: str, fix: str = "export it again") -> Iterator[None]:
    """Around what a library does with foreign bytes: whatever it says becomes one line."""
    try:
        yield
    except PartitionError:
        raise
    except Exception as error:  # each library has its own dozens
        said = " ".join(str(error).split())[:120]
        found = f"not readable as {form} ({type(error).__name__}: {said})"
        raise PartitionError(str(where), found, fix=fix) from error


def whole_numbers(where: str, what: str, values: Any) -> np.ndarray:
    """[n] int64 of an array of any whole-number type that fits."""
    array = np.asarray(values)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        found = f"{what} of type {array.dtype} and shape {array.shape}"
        raise PartitionError(where, found, "whole numbers in one row")
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise PartitionError(where, f"{what} {array.max()}", "a number below 2^63")
    return array.astype(np.int64)


def flat_numbers(where: str, what: str, lists: Sequence[list]) -> np.ndarray:
    """[n] int64 of JSON lists, one after another; true and 1.0 are no whole numbers."""
    flat = [value for values in lists for value in values]
    for kind in set(map(type, flat)) - {int}:
        first = next(value for value in flat if type(value) is kind)
        raise PartitionError(where, f"{what} {str(first)[:40]!r}", "whole numbers")
    try:
        return np.array(flat, dtype=np.int64)
    except OverflowError:
        raise PartitionError(where, f"{what} {max(flat, key=abs)}", "below 2^63") from None


def check_sizes(where: str, partition: Partition, sizes: Mapping[str, int] | None) -> None:
    """PartitionError for a row that the source split does not have."""
    counted = partition.provenance.get("rows_of")
    for name, split in partition.splits.items():
        source = counted.get(name, name) if isinstance(counted, dict) else name
        if sizes is None or not len(split.indices):
            continue
        if source not in sizes:
            found = f"holds rows of {source!r}"
            raise PartitionError(where, found, f"one of {', '.join(map(repr, sizes))}")
        if split.indices.max() >= sizes[source]:
            raise PartitionError(
                where,
                f"{name} index {split.indices.max()}",
                f"rows of {source}, which has {sizes[source]} (0 to {sizes[source] - 1})",
                "it was made for other data, or counts otherwise",
            )


def make_splits(
    where: str,
    shares: Mapping[str, Rows],
    clients: int | None = None,
    *,
    keep_order: bool = False,
) -> dict[str, Split]:
    """Checked splits.

    Args:
        clients: how many there are, where the file says so, or as the highest number says.
        keep_order: a client's indices stay in the order of the file instead of ascending.
    """
    numbers = {name: _checked(where, name, rows) for name, rows in shares.items()}
    if "train" not in numbers:
        found = f"splits {', '.join(map(repr, numbers))}" if numbers else "no example"
        raise PartitionError(where, found, "a split named train")
    highest = max((int(holders.max(initial=-1)) for holders, _ in numbers.values()), default=-1)
    if clients is None and highest < 0:
        raise PartitionError(where, "holds no example", "at least one")
    count = highest + 1 if clients is None else clients
    if not max(highest + 1, 1) <= count <= MOST_CLIENTS:
        found = f"client {highest} of {count}" if highest >= count else f"{count} clients"
        raise PartitionError(where, found, f"clients from 0 to {MOST_CLIENTS:,} at most")
    splits = {}
    for name, (holders, indices) in numbers.items():
        keys = (holders,) if keep_order else (indices, holders)
        order = np.lexsort(keys)
        hashes = shares[name].hashes
        splits[name] = Split(
            indices[order],
            np.concatenate([[0], np.cumsum(np.bincount(holders, minlength=count))]),
            None if hashes is None else hashes[order],
        )
    return splits


def _checked(where: str, name: str, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    if not _SPLIT_NAME.fullmatch(name):
        raise PartitionError(where, f"split {name[:50]!r}", "letters, digits and _")
    clients = whole_numbers(where, f"{name} clients", rows.clients)
    indices = whole_numbers(where, f"{name} indices", rows.indices)
    hashes = rows.hashes
    if len(clients) != len(indices) or (hashes is not None and hashes.shape != indices.shape):
        raise PartitionError(where, f"{name} columns of unequal length")
    if len(indices) > MOST_EXAMPLES:
        found = f"{len(indices):,} examples in {name}"
        raise PartitionError(where, found, f"at most {MOST_EXAMPLES:,}")
    if hashes is not None and hashes.dtype != np.uint64:
        raise PartitionError(where, f"{name} hashes of type {hashes.dtype}", "uint64")
    for what, values in (("client", clients), ("index", indices)):
        if len(values) and values.min() < 0:
            raise PartitionError(where, f"{name} {what} {values.min()}", "numbers from 0")
    in_order = np.sort(indices)
    twice = np.flatnonzero(in_order[1:] == in_order[:-1])
    if len(twice):
        one, other = np.flatnonzero(indices == in_order[twice[0]])[:2]
        holders = sorted({int(clients[one]), int(clients[other])})
        raise PartitionError(
            where,
            f"{name} index {indices[one]} is listed twice, by client "
            + " and by client ".join(map(str, holders)),
            "every example at most once",
        )
    return clients, indices


def imported(
    where: str,
    form: str,
    shares: Mapping[str, Rows],
    *,
    sizes: Mapping[str, int] | None = None,
    clients: int | None = None,
    **facts: Any,
) -> Partition:
    """The partition in a file that holds shares only; `facts` go into its provenance.

    `rows_by` says by what the rows are known: their number alone, or the content of the examples.
    """
    splits = make_splits(where, shares, clients)
    provenance = {
        "partitioner": "imported",
        "format": form,
        "file": Path(where).name,
        "parameters": {},
        "clients": splits["train"].clients,
        "rows_of": {name: name for name in splits},
        "rows_by": "number" if splits["train"].hashes is None else "content",
        **facts,
    }
    partition = Partition(splits, provenance)
    check_sizes(where, partition, sizes)
    return partition
