"""A stored partition as a `Partitioner` of Flower's data sets, which gives out the same rows.

    from flwr_datasets import FederatedDataset
    from partitioners.formats.flower import flower_partitioner

    train = flower_partitioner("split/partition.npz", columns=("text", "label"))
    data = FederatedDataset(
        dataset="fancyzhx/ag_news", revision="eb185aa", shuffle=False, partitioners={"train": train}
    )
    data.load_partition(7)      # client 7's rows of the source, ascending

`shuffle=False` is needed: FederatedDataset shuffles on its own, and then row numbers mean nothing.
Local files do as well, with their folder as `dataset`; and so does a `Dataset` of your own, by
`train.dataset = rows`. The first use checks that the data are those of the partition:

- no shuffle, the split that the rows are of, and as many rows as are given out;
- by `columns`, the content of every row that a client holds. They are the fields of the task, in
  this order: text, label | words, tags | question, context, answers, their offsets | input,
  targets. A dot reaches into a column (`answers.text`). Numbers of a `ClassLabel` count by name.
  `columns=None` leaves that check out: data in another order then give other splits, unseen.

Held-out clients have a partition too; `Partition.held_out` lists them. Flower reports its use to
its makers unless FLWR_TELEMETRY_ENABLED=0 is set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np

from partitioners.errors import PartitionError
from partitioners.files import kind_of
from partitioners.formats.content_hash import PART, content_hash
from partitioners.partition import Partition, Split

if TYPE_CHECKING:
    from datasets import Dataset
    from flwr_datasets.partitioner import Partitioner

BATCH = 1_000  # rows held at once while their content is checked


def flower_partitioner(
    partition: Partition | str | Path,
    split: str = "train",
    *,
    columns: Sequence[str] | EllipsisType | None = ...,
    source: str | None = None,
) -> Partitioner:
    """A `flwr_datasets.partitioner.Partitioner` whose partition k is client k's share of `split`.

    partition: one in memory, a file, or the folder of `run_bench.py partition make`. columns: check
    the content of the rows by these columns of Flower's data (see above); must be said where the
    partition holds hashes, and None checks nothing. source: what Flower's data call the split that
    the rows are of, where the name differs from the partition's.

    Raises PartitionError: no such file or split, indices that do not count rows of the source,
    `columns` left unsaid or without hashes to check them by, or no flwr_datasets. The same, on
    first use: other data.
    """
    where = "partition"
    if not isinstance(partition, Partition):
        path = Path(partition)
        path = path / "partition.npz" if kind_of(path) == "directory" else path
        partition, where = Partition.load(path), str(path)
    if split not in partition.splits:
        raise PartitionError(where, f"no {split} shares", f"one of {', '.join(partition.splits)}")
    shares = partition.splits[split]
    if columns is ... and shares.hashes is not None:
        raise PartitionError(
            "columns",
            f"not given, and {where} has hashes to check the data by",
            "the fields of the task, as columns=('text', 'label')",
            "columns=None takes the rows unchecked",
        )
    columns = None if columns is ... else columns
    if columns is not None and shares.hashes is None:
        found = "holds no hashes to check the columns by"
        raise PartitionError(where, found, fix="say columns=None, or export it from a data set")
    source = source or _rows_of(partition, split, where)
    return _partitioner_class()(_Shares(where, split, shares, source, tuple(columns or ())))


def _rows_of(partition: Partition, split: str, where: str) -> str | None:
    """The source split whose rows the indices count; None for a partition of a caller's arrays."""
    counted = partition.provenance.get("rows_of")
    if isinstance(counted, dict) and split in counted:
        return str(counted[split])
    if partition.provenance.get("data_fingerprint"):
        # a run's: its indices leave out the validation cut, which only a run can undo
        raise PartitionError(
            where,
            "counts the examples that a run loaded, not rows of the source",
            fix="take the partition.npz of `run_bench.py partition make`",
        )
    return None


@dataclass(frozen=True)
class _Shares:
    """What is given out, and what is known of the data that it is given out of."""

    where: str
    name: str
    split: Split
    source: str | None
    columns: tuple[str, ...]

    def rows(self, client: int) -> np.ndarray:
        if not 0 <= client < self.split.clients:
            raise PartitionError(
                "partition_id", repr(client), f"a client from 0 to {self.split.clients - 1}"
            )
        return self.split.client(client)

    def check(self, dataset: Dataset) -> None:
        """PartitionError unless the rows of `dataset` are those that the indices count."""
        if dataset._indices is not None:  # set by shuffle, select and filter
            raise PartitionError(
                self.where,
                "was given data that are shuffled or selected, whose rows it does not count",
                "the rows of the source in their order",
                "pass shuffle=False to FederatedDataset, and no preprocessor",
            )
        given = None if dataset.split is None else str(dataset.split)
        if self.source is not None and given not in (None, self.source):
            raise PartitionError(
                self.where,
                f"its {self.name} shares count rows of {self.source}, the data are {given}",
                fix=f"put it under {self.source!r} of `partitioners`, or say source={given!r}",
            )
        needed = int(self.split.indices.max(initial=-1)) + 1
        if len(dataset) < needed:
            raise PartitionError(
                self.where,
                f"was given data of {len(dataset)} rows",
                f"at least {needed}",
                "use the data set that it was made for",
            )
        if self.columns:
            self._check_content(dataset)

    def _check_content(self, dataset: Dataset) -> None:
        order = np.argsort(self.split.indices)  # reading in order is much faster
        held = self.split.indices[order]
        found = np.fromiter(_hashes(dataset, held, self.columns), np.uint64, len(held))
        assert self.split.hashes is not None
        other = held[found != self.split.hashes[order]]
        if len(other):
            raise PartitionError(
                self.where,
                f"row {other[0]} of the data is not its example ({len(other)} of {len(held)} rows)",
                f"what it was made from, by the columns {', '.join(self.columns)}",
                "use that version of the data in its order; columns=None takes rows unchecked",
            )


def _hashes(dataset: Dataset, rows: np.ndarray, columns: Sequence[str]) -> Iterator[int]:
    """The content hash of each row, as tasks/example_hash.py defines it."""
    paths = [column.split(".") for column in columns]
    kinds = [_kind(dataset, path) for path in paths]
    wanted = dataset.with_format(None).select_columns(sorted({path[0] for path in paths}))
    for batch in wanted.select(rows).iter(BATCH):
        fields = []
        for (first, *rest), names in zip(paths, kinds, strict=True):
            values = batch[first]
            for key in rest:
                values = [value[key] for value in values]
            fields.append([_text(value, names) for value in values])
        yield from map(content_hash, zip(*fields, strict=True))


def _kind(dataset: Dataset, path: list[str]) -> Sequence[str]:
    """The names of the labels in a column, [] if it holds none; PartitionError if there is none."""
    feature: Any = dataset.features
    for key in path:
        if not isinstance(feature, dict) or key not in feature:
            known = ", ".join(dataset.column_names)
            raise PartitionError("columns", f"no {'.'.join(path)!r} in the data", f"of {known}")
        feature = feature[key]
    feature = getattr(feature, "feature", feature)  # of the parts of a list
    return getattr(feature, "names", None) or []


def _text(value: Any, names: Sequence[str]) -> str:
    if isinstance(value, list):
        return PART.join(_text(part, names) for part in value)
    if isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return str(value)


@cache
def _partitioner_class() -> type:
    """Made on demand, because its base class is in a package that few have."""
    try:
        from flwr_datasets.partitioner import Partitioner
    except ImportError as error:
        raise PartitionError(
            "flwr_datasets",
            f"cannot be imported ({error})",
            fix="pip install flwr-datasets==0.6.1 (it excludes datasets 5), or run `make flower`",
        ) from None

    class StoredPartitioner(Partitioner):
        """Gives out the shares of a stored partition; nothing is drawn."""

        def __init__(self, shares: _Shares) -> None:
            super().__init__()
            self._shares = shares
            self._checked = False

        @property
        def num_partitions(self) -> int:
            return self._shares.split.clients

        def load_partition(self, partition_id: int) -> Dataset:
            if not self._checked:
                self._shares.check(self.dataset)
                self._checked = True
            return self.dataset.select(self._shares.rows(partition_id))

        def __reduce__(self) -> tuple[Any, ...]:
            return _unfilled, (), self.__dict__

    return StoredPartitioner


def _unfilled() -> Partitioner:
    """One for pickle to fill, as a process of a simulation gets it."""
    kind: Any = _partitioner_class()
    return kind.__new__(kind)
