"""E2E NLG: CSV rows `mr,ref` (meaning representation, one human reference) in a zip or a directory.

Training keeps one row per reference. Validation and test have one row per distinct meaning
representation, with all its references, in the order of first appearance. See Novikova et al. 2017.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from tasks.errors import DataError
from tasks.readers.csv_rows import csv_rows
from tasks.readers.reader import Reader, ReaderOptions, Records, readable
from tasks.readers.references import group_references
from tasks.readers.split_files import of_split
from tasks.readers.unpack import BROKEN, open_entry

HEADER = ["mr", "ref"]


class E2eOptions(ReaderOptions):
    """`files`: the CSV file of each split, by its name inside the zip or the directory."""

    files: dict[str, str] = Field(
        default={
            "train": "trainset.csv",
            "validation": "devset.csv",
            "test": "testset_w_refs.csv",
        }
    )

    def part(self, split: str) -> str:
        return self.files.get(split, "")


def read(path: Path, split: str, options: E2eOptions) -> Records:
    """Yields `input` and `targets`.

    Raises:
        DataError: a damaged zip, no such file in it, a wrong header or column count, an empty cell.
    """
    records = _rows(path, of_split(options.files, split, path, "file"))
    yield from records if split == "train" else group_references(records)


def _rows(path: Path, name: str) -> Records:
    kind, found = "a zip or a directory with CSV files", 0
    with readable(path, kind, *BROKEN), open_entry(path, name) as (where, file):
        for place, cells in csv_rows(file, where):
            found += 1
            if found == 1 and cells != HEADER:
                raise DataError(f"{where} line 1", f"columns {cells}", "the header mr,ref")
            if found == 1:
                continue
            if isinstance(cells, DataError):
                yield cells
            elif cells == HEADER:  # files that were joined
                yield DataError(place, "the header again", "a row", "drop the line")
            elif not (cells[0].strip() and cells[1].strip()):
                yield DataError(place, "an empty cell", "an input and its reference")
            else:
                yield place, {"input": cells[0], "targets": [cells[1]]}
        if found < 2:
            raise DataError(where, "no rows", "at least one")


E2E_CSV = Reader(("seq2seq",), E2eOptions, read)
