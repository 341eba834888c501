"""Reading as a loader does that skips nothing."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.errors import DataError
from tasks.readers.reader import LeftOut, Record


def good(records: Iterable[Record | DataError]) -> list[Record]:
    """All records; the first bad one is raised."""
    found = []
    for record in records:
        if isinstance(record, LeftOut):
            continue
        if isinstance(record, DataError):
            raise record
        found.append(record)
    return found


def check_line(error: DataError) -> None:
    """One line that a terminal can show, however large or odd what it is about."""
    assert str(error).isprintable() and len(str(error)) < 1000, str(error)


def check_pairs(records: Iterable[Record | DataError]) -> tuple[int, int]:
    """How many good and bad records there are; good ones have text on both sides.

    Whatever else than a `DataError` reading raises is a failure of the test.
    """
    found = bad = 0
    try:
        for record in records:
            if isinstance(record, DataError):
                check_line(record)
                bad += 1
                continue
            found += 1
            assert record[0] and record[1]["input"].strip() and record[1]["targets"]
            assert all(target.strip() for target in record[1]["targets"])
            assert "\0" not in record[1]["input"] + "".join(record[1]["targets"])
    except DataError as error:
        check_line(error)
        bad += 1
    return found, bad


def outcomes(records: Iterable[Record | DataError]) -> list[object]:
    """The row of every good record, the message of every bad one, in order."""
    kept = [r for r in records if not isinstance(r, LeftOut)]
    return [str(r) if isinstance(r, DataError) else r[1] for r in kept]
