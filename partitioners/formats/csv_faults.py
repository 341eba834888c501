"""What is wrong with a hand-written CSV, by line: readers of whole columns do not tell."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import PartitionError

_WHOLE = re.compile(r"\s*[0-9]{1,18}\s*")


def fault(path: Path, numbers: Sequence[str]) -> PartitionError | None:
    """The first line that is not as it should be, or None.

    numbers: columns that hold whole numbers from 0.
    """
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader)
            places = {name: header.index(name) for name in numbers if name in header}
            for row in itertools.chain([header], reader):
                wrong = _wrong(row, header, places) if row else None
                if wrong:
                    return PartitionError(f"{path} line {reader.line_num}", *wrong)
        except UnicodeDecodeError as error:
            return PartitionError(str(path), f"no UTF-8 ({error.reason})", "text in UTF-8")
        except csv.Error as error:
            return PartitionError(f"{path} line {reader.line_num}", str(error))
        except StopIteration:
            return PartitionError(str(path), "is empty", f"a table with {','.join(numbers)}")
    return None


def _wrong(row: list[str], header: list[str], places: dict[str, int]) -> tuple[str, str] | None:
    """What was found and what was expected."""
    if row[0].startswith("#"):
        return "a comment", "a table without comments"
    if row is header:
        return None
    if len(row) != len(header):
        return f"{len(row)} fields", f"{len(header)}, as its first line has"
    for name, place in places.items():
        if not _WHOLE.fullmatch(row[place]):
            found = f"{name} {row[place][:40]!r}" if row[place].strip() else f"no {name}"
            return found, "a whole number from 0"
    return None
