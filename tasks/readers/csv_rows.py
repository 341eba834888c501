"""Rows of a delimited text file: CSV with quotes (RFC 4180), or TSV without.

A row that breaks the format is yielded as what is wrong with it, and reading goes on with the line
after the one where that showed. A quote that is never closed swallows lines until the value is
longer than `MAX_VALUE`, so memory stays bounded. That limit of the `csv` module is one for the
whole process; it is raised here and never lowered.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import IO

from tasks.errors import DataError
from tasks.readers.text_lines import MAX_LINE_BYTES, Encoding, Line, text_lines

MAX_VALUE = MAX_LINE_BYTES  # characters

Row = tuple[str, list[str] | DataError]  # where it begins, and its cells or what is wrong with it


def csv_rows(
    file: IO[bytes],
    where: str,
    delimiter: str = ",",
    quoting: bool = True,
    encoding: Encoding = "utf-8",
) -> Iterator[Row]:
    """Yields every row that is not blank.

    Args:
        where: the file's place; a row's is that of its first line.
        quoting: values may stand in double quotes, doubled inside; else a quote is a character.
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_VALUE))
    lines = _Lines(text_lines(file, where, encoding))
    reader = csv.reader(
        lines, delimiter=delimiter, strict=True,
        quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE,
    )  # fmt: skip
    while True:
        lines.first = ""
        try:
            cells = next(reader)
        except StopIteration:
            return
        except DataError as error:
            if error is not lines.bad:
                raise  # the file itself is damaged
            yield lines.first, error
        except csv.Error as error:
            yield lines.first, _told(error, lines.first, quoting)
        else:
            if cells:
                yield lines.first, cells


class _Lines:
    """Lines as the `csv` module takes them; one that cannot be read is raised in its place.

    first: the place of the first line taken since it was last emptied. bad: the last raised.
    """

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines, self.first = lines, ""
        self.bad: DataError | None = None

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        where, line = next(self._lines)
        self.first = self.first or where
        if isinstance(line, DataError):
            self.bad = line
            raise line
        return line + "\n"


def _told(error: csv.Error, where: str, quoting: bool) -> DataError:
    if "field limit" in str(error):
        found = f"a value of more than {csv.field_size_limit()} characters"
        return DataError(where, found, "a shorter one", "a quote that is not closed?")
    if "unexpected end" in str(error):
        return DataError(where, "a quote that is not closed", "one before the file ends")
    if "new-line" in str(error):
        return DataError(where, "a carriage return inside the row", "lines that end with LF")
    return DataError(
        where, f"a row that is not CSV ({error})", "quotes around a value and doubled inside it",
        "correct the row",
    )  # fmt: skip
