"""A partition to a file of any format: chosen clients, aligned examples, nothing half-written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import PartitionError
from ..files import staged
from ..histogram import LabelHistogram
from ..libraries import require_libraries
from ..partition import Partition, Split
from ..ranges import ranges
from .format import Export
from .formats import FORMATS, find_format

if TYPE_CHECKING:
    import pyarrow


def export_partition(
    partition: Partition,
    target: Path,
    form: str,
    *,
    examples: Mapping[str, pyarrow.Table] | None = None,
    clients: Sequence[int] | None = None,
    sizes: Mapping[str, int] | None = None,
) -> list[Path]:
    """Write `target` in the format `form`; it must not exist. Gives the paths that were made.

    Args:
        examples: for each split, row j is the example of `partition.splits[split].indices[j]`
            (checked where it has a column `row`); labels and tags as names, not numbers.
        clients: write these only. They keep their numbers, and the provenance says so.
        sizes: examples of each source split, which h5 counts test examples from (see h5.py).

    Raises:
        PartitionError: unknown format, existing target, examples or clients that do not fit, a
            system that does not let it be written.
    """
    spec, target = find_format(form), Path(target)
    require_libraries(f"format {form}", *spec.libraries, *spec.to_write)
    try:
        json.dumps(partition.provenance, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise PartitionError("provenance", str(error), "plain JSON") from None
    if spec.examples == "never" and examples is not None:
        holders = ", ".join(name for name, other in FORMATS.items() if other.examples != "never")
        raise PartitionError("format", f"{form} holds no examples", f"one of {holders}")
    if spec.examples == "must" and examples is None:
        raise PartitionError("format", f"{form} needs examples", fix="export them with the data")
    if examples is not None:
        examples = _aligned(partition, examples)
    chosen = np.arange(partition.clients)
    if clients is not None:
        chosen = _chosen(partition, clients)
        partition, examples = _restricted(partition, examples, chosen)
    export = Export(partition, chosen, examples, sizes)
    return _publish(target, lambda path: spec.write(export, path))


def _aligned(
    partition: Partition, examples: Mapping[str, pyarrow.Table]
) -> dict[str, pyarrow.Table]:
    """The tables without `row`, which repeats the indices."""
    if sorted(examples) != sorted(partition.splits):
        raise PartitionError(
            "examples", f"of {', '.join(examples)}", f"of {', '.join(partition.splits)}"
        )
    aligned = {}
    for name, table in examples.items():
        indices = partition.splits[name].indices
        if table.num_rows != len(indices):
            raise PartitionError(
                f"examples of {name}", f"{table.num_rows} rows", f"{len(indices)}, one per index"
            )
        if "row" in table.column_names:
            other = np.flatnonzero(table.column("row").to_numpy() != indices)
            if len(other):
                raise PartitionError(
                    f"examples of {name}",
                    f"example {other[0]} is row {table.column('row')[int(other[0])]}",
                    f"row {indices[other[0]]}, as the partition has it",
                )
            table = table.drop_columns(["row"])
        aligned[name] = table
    return aligned


def _chosen(partition: Partition, clients: Sequence[int]) -> np.ndarray:
    chosen = np.unique(np.asarray(clients))
    if not len(chosen) or chosen.dtype.kind not in "iu":
        raise PartitionError("clients", str(list(clients)), "one or more whole numbers")
    if chosen[0] < 0 or chosen[-1] >= partition.clients:
        wrong = chosen[0] if chosen[0] < 0 else chosen[-1]
        raise PartitionError("clients", f"client {wrong}", f"0 to {partition.clients - 1}")
    return chosen.astype(np.int64)


def _restricted(
    partition: Partition, examples: Mapping[str, pyarrow.Table] | None, chosen: np.ndarray
) -> tuple[Partition, dict[str, pyarrow.Table] | None]:
    """Only the shares, labels and examples of these clients; the others are left empty."""
    wanted = np.isin(np.arange(partition.clients), chosen)
    splits, tables = {}, {}
    for name, split in partition.splits.items():
        kept = np.repeat(wanted, split.sizes())
        hashes = None if split.hashes is None else split.hashes[kept]
        splits[name] = Split(split.indices[kept], _offsets(split.offsets, wanted), hashes)
        if examples is not None:
            tables[name] = examples[name].filter(kept)
    histogram = partition.histogram
    if histogram is not None:
        kept = wanted[histogram.holders()]
        histogram = LabelHistogram(
            _offsets(histogram.offsets, wanted),
            histogram.labels[kept],
            histogram.counts[kept],
            histogram.names,
        )
    said = f"clients {ranges(chosen)} of {partition.clients}"
    provenance = {**partition.provenance, "exported": said}
    held_out = partition.held_out[wanted[partition.held_out]]
    only = Partition(splits, provenance, held_out, histogram)
    return only, tables if examples is not None else None


def _offsets(offsets: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.where(wanted, np.diff(offsets), 0))])


def _publish(target: Path, write: Callable[[Path], None]) -> list[Path]:
    """Writes into a temporary folder beside the target and renames what came to be there."""
    _refuse_existing([target])
    with staged(target) as stage:
        write(stage / target.name)
        made = [target.parent / path.name for path in sorted(stage.iterdir())]
        _refuse_existing(made)
        _rename(stage, made)
    return made


def _rename(stage: Path, targets: list[Path]) -> None:
    for target in targets:
        if (stage / target.name).is_file():
            with open(stage / target.name, "rb+") as file:
                os.fsync(file.fileno())
    done: list[Path] = []
    try:
        for target in targets:
            os.rename(stage / target.name, target)
            done.append(target)
    except OSError:
        for target in done:  # all or nothing
            os.rename(target, stage / target.name)
        raise


def _refuse_existing(paths: Iterable[Path]) -> None:
    for path in paths:
        if os.path.lexists(path):
            raise PartitionError(str(path), "exists", fix="choose another name, or remove it")
