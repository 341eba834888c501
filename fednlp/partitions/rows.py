"""A partition between a run, which counts the examples it loaded, and a file, which must last.

In a file an index is the example's row in the source, beside the hash of its content. So a split
still says the same after a new download, another validation cut or a smaller limit: `portable`
writes rows, `fitted` finds their examples again, and says which it left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from fednlp.errors import UserError
from fednlp.partitions.source import (
    SHARED,
    hashes,
    located,
    rows,
    source_rows,
    source_sizes,
    source_split,
)
from partitioners.partition import Partition, Split
from partitioners.row_lookup import places_by_number
from tasks.data import Corpus


def portable(partition: Partition, corpus: Corpus) -> Partition:
    """The same shares of source rows, each with the hash of its content."""
    splits = {}
    for name, split in partition.splits.items():
        numbers, content = rows(corpus, name), hashes(corpus, name)
        splits[name] = Split(numbers[split.indices], split.offsets, content[split.indices])
    provenance = {
        **partition.provenance,
        "data_fingerprint": corpus.fingerprint,
        "rows_of": {name: source_split(corpus, name) for name in partition.splits},
        "source_sizes": source_sizes(corpus),
    }
    return Partition(splits, provenance, partition.held_out, partition.histogram)


@dataclass(frozen=True)
class Lost:
    """Examples of a stored partition that no client has here, by what became of them.

    to_validation, to_test: train examples that are in these splits here; left_out: ones that a
    limit or `skip_bad` left out; test_left_out: the same of test.
    """

    to_validation: int = 0
    to_test: int = 0
    left_out: int = 0
    test_left_out: int = 0

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Lost:
        """From `provenance["lost"]`, which may be of an older file."""
        known = ((item.name, plain.get(item.name, 0)) for item in fields(cls))
        return cls(**{name: count for name, count in known if isinstance(count, int)})

    def __bool__(self) -> bool:
        return any((self.to_validation, self.to_test, self.left_out, self.test_left_out))

    def __str__(self) -> str:
        told = {
            "in the validation split": self.to_validation,
            "in the test split": self.to_test,
            "left out": self.left_out,
            "of test left out": self.test_left_out,
        }
        return ", ".join(f"{count} {what}" for what, count in told.items() if count)


@dataclass(frozen=True)
class Fitted:
    """A stored partition in terms of the loaded examples, and what it has lost on the way."""

    partition: Partition
    lost: Lost


def fitted(stored: Partition, corpus: Corpus, where: str) -> Fitted:
    """The stored shares as indices of the loaded examples.

    Raises:
        UserError: the file counts other rows, or holds an example that is not in the data.
    """
    require_rows_of(stored, corpus, where)
    same = stored.provenance.get("data_fingerprint") == corpus.fingerprint
    splits: dict[str, Split] = {}
    lost: dict[str, int] = {}
    for name in SHARED:
        split = stored.splits[name]
        places = located(split, corpus, name, same, where)
        absent = np.flatnonzero(places < 0)
        numbers = source_rows(corpus, name)
        _require_known(split, absent, numbers, corpus, where)
        positions = np.where(places < 0, -1, places_by_number(numbers[places], rows(corpus, name)))
        if name == "train":
            gone = numbers[places[(positions < 0) & (places >= 0)]]
            lost = {**_whereabouts(gone, corpus), "absent": len(absent)}
        else:
            lost["test_left_out"] = int((positions < 0).sum())
        splits[name] = _kept(split, positions)
    lost["left_out"] += lost.pop("absent")
    partition = Partition(splits, stored.provenance, stored.held_out, stored.histogram)
    return Fitted(partition, Lost(**lost))


def require_rows_of(stored: Partition, corpus: Corpus, where: str) -> None:
    """Raises UserError unless it says that it counts rows of the splits that the data set has."""
    counted = stored.provenance.get("rows_of")
    if not isinstance(counted, dict) or set(SHARED) - set(stored.splits):
        raise UserError(
            where,
            "does not say which rows of which data its indices count",
            "a partition of train and test",
            "read it by `run_bench.py partition import`",
        )
    for name in SHARED:
        if counted.get(name) != source_split(corpus, name):
            raise UserError(
                where,
                f"its {name} shares count rows of {counted.get(name)}",
                f"rows of {source_split(corpus, name)}, as {corpus.name} has them",
            )


def _require_known(
    split: Split, absent: np.ndarray, numbers: np.ndarray, corpus: Corpus, where: str
) -> None:
    """UserError for an example that is not in the source, unless a bad record stands in its row."""
    if not len(absent):
        return
    other = np.flatnonzero(places_by_number(split.indices[absent], numbers) >= 0)
    if len(other) or len(absent) > len(corpus.skipped):
        first = absent[other[0]] if len(other) else absent[0]
        raise UserError(
            where,
            f"was made for other data: the example of its row {split.indices[first]} is not in "
            f"{corpus.name}",
            f"data of fingerprint {corpus.fingerprint[:12]}...",
            "use the same card and source, or make the partition again",
        )


def _whereabouts(gone: np.ndarray, corpus: Corpus) -> dict[str, int]:
    """What became of rows of train that are in the source and not loaded."""
    cut = ~np.isin(gone, corpus.origin.train_rows)
    to_test = np.zeros(len(gone), dtype=bool)
    if source_split(corpus, "test") == "train":
        to_test = cut & np.isin(gone, source_rows(corpus, "test"))
    return {
        "to_validation": int((cut & ~to_test).sum()),
        "to_test": int(to_test.sum()),
        "left_out": int((~cut).sum()),
    }


def _kept(split: Split, positions: np.ndarray) -> Split:
    """The split without what has no place, ascending within a client."""
    holders = np.repeat(np.arange(split.clients), split.sizes())
    kept = positions >= 0
    order = np.lexsort((positions[kept], holders[kept]))
    sizes = np.bincount(holders[kept], minlength=split.clients)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return Split(positions[kept][order], offsets)
