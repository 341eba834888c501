"""SST-2: movie review phrases, TSV with a header, as in GLUE and in its copies.

label   sentence
0       contains no wit , only labored gags

The columns `label` and `sentence` (or `content`, or `text`) may come in either order, beside an
`index` or `idx`. Quotes are characters of the text. See Socher et al. 2013, Wang et al. 2018.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from tasks.errors import DataError
from tasks.readers.csv_rows import csv_rows
from tasks.readers.reader import Reader, ReaderOptions, Records, names_once, readable
from tasks.readers.unpack import BROKEN, open_file

_TEXT, _OTHER = ("sentence", "content", "text"), ("label", "index", "idx")


class Sst2Options(ReaderOptions):
    """`label_names`: the names of the labels 0 and 1."""

    label_names: list[str] = Field(default=["negative", "positive"], min_length=2, max_length=2)

    @field_validator("label_names")
    @classmethod
    def _differ(cls, names: list[str]) -> list[str]:
        return names_once(names)


def read(path: Path, split: str, options: Sst2Options) -> Records:
    """Yields `text` and `label` (a name) of every row.

    Raises:
        DataError: the file cannot be read, has another header (the test file of GLUE has no
            labels), or has no row.
    """
    names = dict(zip("01", options.label_names, strict=True))
    found = 0
    with readable(path, "a TSV file", *BROKEN), open_file(path) as file:
        rows = csv_rows(file, str(path), "\t", quoting=False)
        where, header = next(rows, (str(path), []))
        if isinstance(header, DataError):
            raise header
        text, label = _columns(where, header)
        for where, cells in rows:
            found += 1
            if isinstance(cells, DataError):
                yield cells
            elif cells[label] not in names:
                yield DataError(where, f"label {cells[label]!r}", "0 or 1")
            elif not cells[text].strip():
                yield DataError(where, "an empty sentence", "a sentence")
            else:
                yield where, {"text": cells[text], "label": names[cells[label]]}
    if not found:
        raise DataError(str(path), "no rows", "at least one")


def _columns(where: str, header: list[str]) -> tuple[int, int]:
    """The places of text and label."""
    texts = [name for name in header if name in _TEXT]
    if len(texts) == 1 and set(header) <= {*_TEXT, *_OTHER} and len(set(header)) == len(header):
        if "label" in header:
            return header.index(texts[0]), header.index("label")
        raise DataError(
            where, f"columns {header}", "a label column",
            "the test file of GLUE has no labels: take the development set as test",
        )  # fmt: skip
    raise DataError(where, f"columns {header}"[:200], "a header with label and sentence")


SST2 = Reader(("text_classification",), Sst2Options, read)
