"""Partitions out to other formats and in from them, with the data they are of."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fednlp.errors import UserError
from fednlp.experiment import Experiment
from fednlp.partitions.build import measured
from fednlp.partitions.rows import Lost, fitted, portable, require_rows_of
from fednlp.partitions.source import (
    SHARED,
    located,
    source_hashes,
    source_rows,
    source_split,
    source_table,
)
from partitioners import Partition, Split
from partitioners.row_lookup import places_by_number
from tasks.data import Corpus
from tasks.schema import LABEL_COLUMN, TASK_COLUMNS

if TYPE_CHECKING:
    import pyarrow


def examples(partition: Partition, corpus: Corpus, where: str) -> dict[str, pyarrow.Table]:
    """The examples that the clients hold, per split in the order of its indices.

    Labels and tags are names. Raises UserError where a row of the data is not the example that the
    partition was made with.
    """
    require_rows_of(partition, corpus, where)
    same = partition.provenance.get("data_fingerprint") == corpus.fingerprint
    tables = {}
    for name in SHARED:
        split, numbers = partition.splits[name], source_rows(corpus, name)
        places = located(split, corpus, name, same, where)
        other = np.flatnonzero((places < 0) | (numbers[places] != split.indices))
        if len(other):
            raise UserError(
                where,
                f"row {split.indices[other[0]]} of {name} is not its example ({len(other)} are "
                "not): the data have changed",
                fix="`partition import` finds the examples again and numbers them anew",
            )
        tables[name] = source_examples(corpus, name).take(places)
    return tables


def source_examples(corpus: Corpus, split: str) -> pyarrow.Table:
    """Content columns of `source_table`, and `row`; labels and tags by name."""
    columns = [*TASK_COLUMNS[corpus.task], "client", "source", "row"]
    table = source_table(corpus, split).select(columns)
    label = LABEL_COLUMN.get(corpus.task)
    if label is not None:
        names = _named(table.column(label).combine_chunks(), corpus.labels)
        table = table.set_column(table.schema.get_field_index(label), label, names)
    return table


def _named(numbers: Any, labels: list[str]) -> Any:
    import pyarrow as pa

    names = pa.array(labels, pa.string())
    if pa.types.is_integer(numbers.type):
        return names.take(numbers)
    if isinstance(numbers, pa.ChunkedArray):
        numbers = pa.concat_arrays(numbers.chunks)
    return pa.ListArray.from_arrays(numbers.offsets, names.take(numbers.values))


def adopted(foreign: Partition, experiment: Experiment, where: str) -> tuple[Partition, Lost]:
    """An imported partition as one of this data set, and what it lost on the way.

    It comes back as it is where its data are the same and all is known of it. Else its examples
    are looked up, numbered as in this source, hashed and, unless it was measured and is still
    whole, measured. One of train alone gets test shares that follow its train labels.

    Raises:
        UserError: it counts rows of other splits, or holds examples that are not in the data.
    """
    corpus, gaps, has_test = experiment.corpus, 0, "test" in foreign.splits
    if not has_test:
        nothing = Split(np.zeros(0), np.zeros(foreign.clients + 1))
        foreign = replace(foreign, splits={**foreign.splits, "test": nothing})
    known = foreign.provenance.get("data_fingerprint")
    if known is None:
        foreign, gaps = _as_rows(foreign, corpus, where)
    found = fitted(foreign, corpus, where)
    lost = replace(found.lost, left_out=found.lost.left_out + gaps)
    told = foreign.histogram is not None and "exported" not in foreign.provenance
    whole = told and has_test and not lost
    if whole and known == corpus.fingerprint:
        return foreign, lost
    in_run = found.partition if whole else measured(found.partition, corpus, experiment.task)
    kept = portable(in_run, corpus)
    return replace(kept, provenance=_with_lost(kept.provenance, lost)), lost


def _with_lost(provenance: dict[str, Any], lost: Lost) -> dict[str, Any]:
    return {**provenance, "lost": asdict(lost)} if lost else provenance


def _as_rows(foreign: Partition, corpus: Corpus, where: str) -> tuple[Partition, int]:
    """Indices of unknown origin, read as rows of the source, and hashed where they have no hashes.

    Also how many stand for records that are not examples here: bad ones, or such as the card
    leaves out. They are gone from train.
    """
    splits, gaps = {}, 0
    for name in SHARED:
        splits[name] = split = foreign.splits[name]
        if split.hashes is not None and len(split.indices):
            continue
        places = places_by_number(split.indices, source_rows(corpus, name))
        known = places >= 0
        if name == "test" and not known.all():
            row = split.indices[np.flatnonzero(~known)[0]]
            raise UserError(where, f"row {row} of test is not in the test split of {corpus.name}")
        gaps += int((~known).sum())
        offsets = np.concatenate([[0], np.cumsum(known)])[split.offsets]
        splits[name] = Split(
            split.indices[known], offsets, source_hashes(corpus, name)[places[known]]
        )
    provenance = {
        **foreign.provenance,
        "rows_of": {name: source_split(corpus, name) for name in SHARED},
    }
    return Partition(splits, provenance, foreign.held_out, foreign.histogram), gaps
