"""AG News: CSV without a header, `class,title,description`, classes numbered from 1.

"3","Fears for T N pension after talks","Unions representing workers at Turner   Newall say ..."

The text is title and description with a blank between, as on the hub. Backslashes, which stand for
line breaks, and what is left of HTML entities (`#36;`) are kept, there too. See Zhang, Zhao and
LeCun 2015, whose other corpora of this form can be read as well.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from tasks.errors import DataError
from tasks.readers.csv_rows import csv_rows
from tasks.readers.reader import Reader, ReaderOptions, Records, names_once, readable
from tasks.readers.unpack import BROKEN, open_file


class AgNewsOptions(ReaderOptions):
    """`classes`: their names in the order of their numbers, as in `classes.txt`."""

    classes: list[str] = Field(default=["World", "Sports", "Business", "Sci/Tech"], min_length=2)

    @field_validator("classes")
    @classmethod
    def _differ(cls, classes: list[str]) -> list[str]:
        return names_once(classes)


def read(path: Path, split: str, options: AgNewsOptions) -> Records:
    """Yields `text` and `label` (the name of the class) of every row.

    Raises:
        DataError: the file cannot be read, or has no row.
    """
    names = {str(number): name for number, name in enumerate(options.classes, 1)}
    found = 0
    with readable(path, "a CSV file", *BROKEN), open_file(path) as file:
        for where, cells in csv_rows(file, str(path), width=3):
            found += 1
            if isinstance(cells, DataError):
                yield cells
            elif cells[0] not in names:
                yield DataError(where, f"class {cells[0][:60]!r}", f"1 to {len(names)}")
            elif not (cells[1].strip() or cells[2].strip()):
                yield DataError(where, "an empty article", "a title and a description")
            else:
                yield where, {"text": f"{cells[1]} {cells[2]}", "label": names[cells[0]]}
    if not found:
        raise DataError(str(path), "no rows", "at least one")


AG_NEWS = Reader(("text_classification",), AgNewsOptions, read)
