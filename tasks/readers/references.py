"""Several references of one input: the unit of evaluation in sequence-to-sequence tasks."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.errors import DataError
from tasks.readers.reader import Record, Records


def group_references(records: Iterable[Record | DataError]) -> Records:
    """Merges the records of equal `input` into one with all `targets`, at the first one's place.

    Bad records come first.
    """
    merged: dict[str, Record] = {}
    for record in records:
        if isinstance(record, DataError):
            yield record
            continue
        where, row = record
        known = merged.setdefault(row["input"], (where, {**row, "targets": []}))
        known[1]["targets"].extend(row["targets"])
    yield from merged.values()
