"""From records with named labels to tables in the task's schema, a chunk of records at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.dataset_card import DatasetCard
from tasks.errors import DataError
from tasks.readers.reader import LeftOut, Record
from tasks.readers.table_values import BARE
from tasks.schema import LABEL_COLUMN, TASK_COLUMNS, SplitName, features, ordered_labels

if TYPE_CHECKING:
    import pyarrow

CHUNK = 50_000  # records held as Python objects at a time
CHUNK_TEXT = 2**28  # or fewer, of so many characters: strings of one Arrow array end at 2 GB


@dataclass(frozen=True)
class Parsed:
    """Source splits in the task's schema, label names in their order, and what was skipped.

    skipped: one line for every bad record that was left out.
    left_out: how many records the card's options left out, by what these have in common.
    sizes: rows of every split in the source, those that were left out among them.
    """

    tables: dict[SplitName, pyarrow.Table]
    labels: list[str]
    skipped: list[str]
    sizes: dict[SplitName, int]
    left_out: dict[str, int] = field(default_factory=dict)


def encoded_tables(
    card: DatasetCard,
    records: Mapping[SplitName, Iterable[Record | DataError]],
    skip_bad: int = 0,
    skipped_before: int = 0,
) -> Parsed:
    """Reads all source splits, numbers their rows and labels, and builds the tables.

    A row keeps its number in the source, so numbers have gaps where records were left out.

    Args:
        skip_bad: at most so many bad records are left out, over all splits.
        skipped_before: how many of these are used up already.

    Raises:
        DataError: one bad record more than that, an unreadable file, an empty split.
    """
    numbers = _Numbers(card)
    skipped: list[str] = []
    left_out: Counter[str] = Counter()
    tables, sizes = {}, {}
    for split, source in records.items():
        builder = _Builder(card, numbers)
        for record in source:
            if isinstance(record, LeftOut):
                builder.row += 1
                left_out[record.found] += 1
                continue
            try:
                if isinstance(record, DataError):
                    raise record
                builder.add(*record)
            except DataError as error:
                if skipped_before + len(skipped) == skip_bad:
                    raise _beyond(error, skip_bad) from None
                builder.row += 1
                skipped.append(str(error))
        tables[split], sizes[split] = builder.table(), builder.row
        if not tables[split].num_rows:
            raise DataError(f"dataset {card.name} split {split}", "no examples", "at least one")
    if card.task not in LABEL_COLUMN:
        return Parsed(tables, [], skipped, sizes, dict(left_out))
    labels, order = numbers.ordered()
    tables = {split: renumbered(card.task, table, order) for split, table in tables.items()}
    return Parsed(tables, labels, skipped, sizes, dict(left_out))


def _beyond(error: DataError, skip_bad: int) -> DataError:
    if not skip_bad:
        return error
    fix = f"{error.fix}; " if error.fix else ""
    return DataError(
        error.where, error.found, error.expected,
        f"{fix}that is one bad record more than the {skip_bad} of skip_bad",
    )  # fmt: skip


class _Numbers:
    """Numbers of label names: the card's, or in order of appearance until all are known."""

    def __init__(self, card: DatasetCard) -> None:
        self._card = card
        self._open = not card.labels
        names = [] if self._open else ordered_labels(card.task, card.labels or (), card.name)
        self._numbers = {name: number for number, name in enumerate(names)}

    def __contains__(self, name: Any) -> bool:
        return name in self._numbers

    def check(self, name: Any, where: str) -> None:
        """Raises DataError for what is no label of this data set."""
        if name in self:
            return
        if not self._open:
            raise DataError(
                where, f"label {name!r}", f"one of {', '.join(self._numbers)}",
                "correct the file, or labels in the card",
            )  # fmt: skip
        if not isinstance(name, str) or not name.strip():
            raise DataError(where, f"label {name!r}", "a name")
        if name != name.strip():
            raise DataError(where, f"label {name!r}", BARE)

    def of(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def ordered(self) -> tuple[list[str], np.ndarray]:
        """The names in their one order, and [names] the number in it of every number so far."""
        labels = ordered_labels(self._card.task, self._numbers, f"dataset {self._card.name}")
        places = {label: place for place, label in enumerate(labels)}
        return labels, np.array([places[name] for name in self._numbers], np.int64)


class _Builder:
    """One split, growing."""

    def __init__(self, card: DatasetCard, numbers: _Numbers) -> None:
        self._card, self._numbers = card, numbers
        self._schema = features(card.task).arrow_schema
        self._columns: dict[str, list[Any]] = {name: [] for name in self._schema.names}
        self._batches: list[pyarrow.Table] = []
        self._ids: set[str] = set()
        self._text = 0  # characters since the last flush
        self.row = 0

    def add(self, where: str, row: dict[str, Any]) -> None:
        """Appends a record.

        Raises:
            DataError: it does not fit the schema or the card; nothing was appended then.
        """
        card = self._card
        label = LABEL_COLUMN.get(card.task)
        values = {name: row[name] for name in TASK_COLUMNS[card.task] if name != label}
        if label is not None:
            self._check_labels(where, row)
        elif card.task == "question_answering" and not (row["id"] and row["question"].strip()):
            raise DataError(where, "a question without text or id", "both")
        elif card.task == "question_answering" and row["id"] in self._ids:
            raise DataError(where, f"a second question with the id {row['id']}", "ids that differ")
        values["client"] = _client(card, where, row)
        values["source"] = row.get("source", "")
        values["row"] = self.row
        self._text += _length_of_text(where, values.values())
        self._ids.add(row.get("id", ""))
        if label is not None:  # only now, since a record that is refused brings no label
            given, of = row[label], self._numbers.of
            values[label] = of(given) if label == "label" else [of(tag) for tag in given]
        for name, value in values.items():
            self._columns[name].append(value)
        self.row += 1
        if len(self._columns["row"]) == CHUNK or self._text >= CHUNK_TEXT:
            self._flush()

    def table(self) -> pyarrow.Table:
        import pyarrow as pa

        self._flush()
        return pa.concat_tables(self._batches)

    def _check_labels(self, where: str, row: dict[str, Any]) -> None:
        if self._card.task != "sequence_tagging":
            self._numbers.check(row["label"], where)
            return
        if len(row["tags"]) != len(row["words"]):
            raise DataError(where, f"{len(row['words'])} words, {len(row['tags'])} tags", "as many")
        for place, tag in enumerate(row["tags"], 1):
            if tag not in self._numbers:
                self._numbers.check(tag, f"{where} word {place}")

    def _flush(self) -> None:
        import pyarrow as pa

        try:
            self._batches.append(pa.table(self._columns, schema=self._schema))
        except (pa.ArrowException, TypeError, OverflowError, UnicodeError) as error:
            raise DataError(
                f"dataset {self._card.name}", f"rows do not fit the schema ({error})"
            ) from None
        self._columns = {name: [] for name in self._columns}
        self._text = 0


def _length_of_text(where: str, values: Iterable[Any]) -> int:
    """Characters in all strings, however deep.

    Raises:
        DataError: one is missing or holds what is no text.
    """
    length = 0
    for value in values:
        if value is None:
            raise DataError(where, "an empty value", "text")
        if isinstance(value, str):
            length += len(value)
            if "\0" in value:
                raise DataError(where, "a NUL byte", "text")
            if not value.isascii():
                try:
                    value.encode()
                except UnicodeEncodeError as error:
                    found = f"half a surrogate pair ({value[error.start]!r})"
                    raise DataError(where, found, "Unicode text") from None
        elif isinstance(value, dict):
            length += _length_of_text(where, value.values())
        elif isinstance(value, list):
            length += _length_of_text(where, value)
    return length


def schema_table(card: DatasetCard, records: Iterable[Record]) -> pyarrow.Table:
    """[rows] in the task's schema, of records whose labels are numbers already."""
    import pyarrow as pa

    schema = features(card.task).arrow_schema
    columns: dict[str, list[Any]] = {name: [] for name in schema.names}
    for number, (where, row) in enumerate(records):
        row = {"source": "", **row, "row": number, "client": _client(card, where, row)}
        for name, values in columns.items():
            values.append(row[name])
    return pa.table(columns, schema=schema)


def _client(card: DatasetCard, where: str, row: dict[str, Any]) -> str:
    if card.client is None:
        return row.get("client", "")
    if not row.get(card.client):
        raise DataError(
            where, f"no {card.client!r}, which the card names as client", "a natural client",
            "remove client from the card",
        )  # fmt: skip
    return row[card.client]


def renumbered(task: str, table: pyarrow.Table, order: np.ndarray) -> pyarrow.Table:
    """The table with label numbers replaced: number n becomes order[n]."""
    import pyarrow as pa

    name = LABEL_COLUMN[task]
    place = table.schema.get_field_index(name)
    chunks = []
    for chunk in table.column(name).chunks:
        if task == "sequence_tagging":
            flat = pa.array(order[chunk.flatten().to_numpy()])
            lengths = chunk.offsets.to_numpy() - chunk.offsets[0].as_py()
            chunks.append(pa.ListArray.from_arrays(pa.array(lengths, pa.int32()), flat))
        else:
            chunks.append(pa.array(order[chunk.to_numpy()]))
    field = table.schema.field(name)
    return table.set_column(place, field, pa.chunked_array(chunks, field.type))


def taken(table: pyarrow.Table, rows: np.ndarray) -> pyarrow.Table:
    """The table's rows [n], in ascending order: chunk by chunk.

    Arrow's own `take` joins the chunks, whose strings together may be more than one array holds.
    """
    import pyarrow as pa

    chunks, start = [], 0
    for chunk in table.to_batches():
        first, last = np.searchsorted(rows, (start, start + chunk.num_rows))
        if last - first == chunk.num_rows:
            chunks.append(chunk)
        elif last > first:
            chunks.append(chunk.take(pa.array(rows[first:last] - start)))
        start += chunk.num_rows
    return pa.Table.from_batches(chunks, schema=table.schema)
