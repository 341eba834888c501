"""Partitions out to other formats and in from them, with the data they are of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fednlp.config import RunConfig
from fednlp.errors import UserError
from fednlp.experiment import Experiment
from fednlp.partitions.build import measured
from fednlp.partitions.rows import fitted, hashes, rows, source_sizes, source_split
from partitioners import Partition, Split
from tasks.data import Corpus
from tasks.schema import LABEL_COLUMN, SPLITS, TASK_COLUMNS

if TYPE_CHECKING:
    import pyarrow


def examples(partition: Partition, corpus: Corpus, where: str) -> dict[str, pyarrow.Table]:
    """The examples that the clients hold, per split in the order of its indices.

    Labels and tags are names. Raises UserError where a row is not in the data.
    """
    tables = {}
    for name, split in partition.splits.items():
        places = {
            s: rows(corpus, s)
            for s in SPLITS
            if source_split(corpus, s) == partition.provenance["rows_of"][name]
        }
        table, numbers = _stacked(corpus, list(places)), np.concatenate(list(places.values()))
        tables[name] = table.take(_found(split.indices, numbers, name, where))
    return tables


def _stacked(corpus: Corpus, splits: list[str]) -> pyarrow.Table:
    """Content columns of several loaded splits, one after the other; labels by name."""
    import pyarrow as pa

    columns = [c for c in (*TASK_COLUMNS[corpus.task], "client", "source")]
    table = pa.concat_tables([corpus.splits[s].data.table.select(columns) for s in splits])
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


def _found(wanted: np.ndarray, numbers: np.ndarray, name: str, where: str) -> np.ndarray:
    """Positions of rows among `numbers`; UserError names the first that is not there."""
    order = np.argsort(numbers, kind="stable")
    places = order[np.minimum(np.searchsorted(numbers[order], wanted), len(order) - 1)]
    missing = np.flatnonzero(numbers[places] != wanted)
    if len(missing):
        raise UserError(
            where,
            f"row {wanted[missing[0]]} of {name} is not in the data",
            f"rows up to {numbers.max()}",
            "load the data set whole: no limit, no records left out",
        )
    return places


def adopted(foreign: Partition, config: RunConfig, where: str) -> Partition:
    """An imported partition as one of this data set: rows checked, hashed and measured.

    What carries hashes of other data is looked up by content; a partition of train alone gets test
    shares that follow its train labels.
    """
    experiment = Experiment(config)
    corpus = experiment.corpus
    if "test" not in foreign.splits:
        nothing = Split(np.zeros(0), np.zeros(foreign.clients + 1))
        foreign = replace(foreign, splits={**foreign.splits, "test": nothing})
    if "data_fingerprint" not in foreign.provenance:
        foreign = _as_rows(foreign, corpus, where)
    in_run = fitted(foreign, corpus, where).partition
    known = foreign.provenance.get("data_fingerprint") == corpus.fingerprint
    if known and foreign.histogram is not None and len(foreign.splits["test"].indices):
        return foreign
    in_run = measured(in_run, corpus, experiment.task)
    share = in_run.splits["test"]
    if len(share.indices) and not len(foreign.splits["test"].indices):
        content = hashes(corpus, "test")[share.indices]
        test = Split(rows(corpus, "test")[share.indices], share.offsets, content)
        foreign = replace(foreign, splits={**foreign.splits, "test": test})
    told = {key: in_run.provenance[key] for key in ("skew", "achieved")}
    return replace(foreign, provenance={**foreign.provenance, **told}, histogram=in_run.histogram)


def _as_rows(foreign: Partition, corpus: Corpus, where: str) -> Partition:
    """Indices of unknown origin, read as rows of the source splits, with their hashes."""
    of = {name: source_split(corpus, name) for name in foreign.splits}
    splits = {}
    for name, split in foreign.splits.items():
        loaded = [s for s in SPLITS if source_split(corpus, s) == of[name]]
        numbers = np.concatenate([rows(corpus, s) for s in loaded])
        content = np.concatenate([hashes(corpus, s) for s in loaded])
        places = _found(split.indices, numbers, name, where)
        splits[name] = Split(split.indices, split.offsets, content[places])
    provenance = {
        **foreign.provenance,
        "rows_of": of,
        "source_sizes": source_sizes(corpus),
        "data_fingerprint": corpus.fingerprint,
    }
    return Partition(splits, provenance, foreign.held_out, foreign.histogram)
