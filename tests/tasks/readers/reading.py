"""Reading as a loader does that skips nothing."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.errors import DataError
from tasks.readers.reader import Record


def good(records: Iterable[Record | DataError]) -> list[Record]:
    """All records; the first bad one is raised."""
    found = []
    for record in records:
        if isinstance(record, DataError):
            raise record
        found.append(record)
    return found


def outcomes(records: Iterable[Record | DataError]) -> list[object]:
    """The row of every good record, the message of every bad one, in order."""
    return [str(r) if isinstance(r, DataError) else r[1] for r in records]
