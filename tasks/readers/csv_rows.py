"""Rows of a delimited text file: CSV with quotes (RFC 4180), or TSV without.

A row that breaks the format is yielded as what is wrong with it, and reading goes on with the line
after the one where that showed. Such a row counts as many bad records as it took lines, since each
of them may have been a row. A quote that is never closed swallows lines until the value is longer
than `MAX_VALUE`, so memory stays bounded; one that is open where the file ends has taken all the
rest, and ends the reading. That limit of the `csv` module is one for the whole process; it is
raised here and never lowered.
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
    width: int | None = None,
    ends: bool = False,
) -> Iterator[Row]:
    """Yields every row that is not blank.

    Args:
        where: the file's place; a row's is that of its first line.
        quoting: values may stand in double quotes, doubled inside; else a quote is a character.
        width: columns of every row; None: as many as the first one has.
        ends: line ends inside quotes stay as they are; else each is a line feed, as E2E has it.

    Raises:
        DataError: a quote that is not closed before the file ends.
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_VALUE))
    lines = _Lines(text_lines(file, where, encoding, ends), ends)
    reader = csv.reader(
        lines, delimiter=delimiter, strict=True,
        quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE,
    )  # fmt: skip
    expected = f"{width}"
    while True:
        lines.taken = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except DataError as error:
            if error is not lines.bad:
                raise  # the file itself is damaged
            yield from lines.bad_row(error)
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise DataError(
                    lines.taken[0], "a quote that is not closed before the file ends",
                    "a closing quote", "correct the row; no --skip-bad passes over the rest",
                ) from None  # fmt: skip
            yield from lines.bad_row(_told(error, lines.taken[0], quoting))
        else:
            if not cells:
                continue
            first = lines.taken[0]
            if width is None:
                width, expected = len(cells), f"{len(cells)} as in{first.removeprefix(where)}"
            if len(cells) == width:
                yield first, cells
            else:
                fix = "check the delimiter and the quotes"
                problem = DataError(first, f"{len(cells)} columns", expected, fix)
                yield from lines.bad_row(problem)


class _Lines:
    """Lines as the `csv` module takes them; one that cannot be read is raised in its place.

    taken: the places of the lines taken since it was last emptied. bad: the last raised.
    """

    def __init__(self, lines: Iterator[Line], whole: bool) -> None:
        self._lines, self._end, self.taken = lines, "" if whole else "\n", list[str]()
        self.bad: DataError | None = None

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        where, line = next(self._lines)
        self.taken.append(where)
        if isinstance(line, DataError):
            self.bad = line
            raise line
        return line + self._end

    def bad_row(self, problem: DataError) -> Iterator[Row]:
        """What is wrong with the row, in the place of every line that it took."""
        yield self.taken[0], problem
        for where in self.taken[1:]:
            yield where, DataError(where, f"part of the row that is bad at {self.taken[0]}")


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
