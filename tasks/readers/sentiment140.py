"""Sentiment140: tweets labelled by their emoticons, which were then removed. Two forms.

CSV without a header, latin-1: `polarity,id,date,query,user,text`, polarity 0 (negative), 2
(neutral, only in the manual test set) or 4 (positive). Copies have the row number before these, or
only `polarity,text`; the number of columns tells which. The user is the natural client.

Text, UTF-8: `positive.txt` and `negative.txt`, one tweet per line; the file's name is the label.

See Go, Bhayani and Huang 2009. HTML entities (`&amp;`) are left as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tasks.errors import DataError
from tasks.readers.csv_rows import csv_rows
from tasks.readers.reader import LeftOut, Reader, ReaderOptions, Record, Records, readable
from tasks.readers.text_lines import unbroken_lines
from tasks.readers.unpack import BROKEN, open_file

POLARITY = {"0": "negative", "2": "neutral", "4": "positive"}
COLUMNS = {  # of a file with so many columns: the places of polarity, user and text
    2: (0, None, 1),
    6: (0, 4, 5),
    7: (1, 5, 6),
}


class Sentiment140Options(ReaderOptions):
    """`drop_neutral`: leave out the neutral tweets, which training has none of.

    `encoding` of CSV files: the original is latin-1, copies made with other tools may be UTF-8.
    `users`: whether the training file names them, so that they can be natural clients.
    """

    drop_neutral: bool = False
    encoding: Literal["latin-1", "utf-8"] = "latin-1"
    users: bool = True

    @property
    def names_clients(self) -> bool:
        return self.users


def read(path: Path, split: str, options: Sentiment140Options) -> Records:
    """Yields `text`, `label` (negative, neutral or positive) and, where known, `client`.

    Raises:
        DataError: the file cannot be read, has another number of columns, or no tweet.
    """
    found = 0
    records = _lines(path) if path.suffix == ".txt" else _rows(path, options)
    for record in records:
        found += 1
        yield record
    if not found:
        raise DataError(str(path), "no tweet", "at least one")


def _lines(path: Path) -> Records:
    label = path.stem
    if label not in POLARITY.values():
        raise DataError(
            str(path), f"the name {path.name}", "positive.txt, negative.txt or neutral.txt",
            "the name is the label",
        )  # fmt: skip
    with readable(path, "a text file", *BROKEN), open_file(path) as file:
        for where, line in unbroken_lines(file, str(path)):
            yield line if isinstance(line, DataError) else _record(where, label, "", line)


def _rows(path: Path, options: Sentiment140Options) -> Records:
    with readable(path, "a CSV file", *BROKEN), open_file(path) as file:
        for where, cells in csv_rows(file, str(path), encoding=options.encoding):
            if isinstance(cells, DataError):
                yield cells
                continue
            if len(cells) not in COLUMNS:
                raise DataError(
                    where, f"{len(cells)} columns", "6 (polarity,id,date,query,user,text)"
                )
            polarity, user, text = COLUMNS[len(cells)]
            label = POLARITY.get(cells[polarity])
            if label is None:
                yield DataError(where, f"polarity {cells[polarity][:60]!r}", "0, 2 or 4")
            elif label == "neutral" and options.drop_neutral:
                yield LeftOut(where, "a neutral tweet")
            else:
                yield _record(where, label, "" if user is None else cells[user], cells[text])


def _record(where: str, label: str, user: str, text: str) -> Record | DataError:
    if not text.strip():
        return DataError(where, "an empty tweet", "text")
    # the file's name, which may be the label, is no source
    return where, {"text": text, "label": label, "client": user, "source": ""}


SENTIMENT140 = Reader(("text_classification",), Sentiment140Options, read)
