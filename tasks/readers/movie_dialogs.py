"""Cornell Movie-Dialogs: what one character says, and what the other answers.

    movie_lines.txt:          L194 +++$+++ u0 +++$+++ m0 +++$+++ BIANCA +++$+++ Be quick.
    movie_conversations.txt:  u0 +++$+++ u2 +++$+++ m0 +++$+++ ['L194', 'L195', 'L196']

Every two successive lines of a conversation are an input and its target. Reads the zip as it is
distributed, or a directory with the two files. See Danescu-Niculescu-Mizil and Lee 2011.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

from tasks.errors import DataError
from tasks.readers.pairs import check_pair, is_empty
from tasks.readers.reader import LeftOut, Reader, ReaderOptions, Records, readable
from tasks.readers.text_lines import Encoding, text_lines
from tasks.readers.unpack import BROKEN, open_entry

SEPARATOR = " +++$+++ "

_IDS = re.compile(r"\['L[0-9]+'(?:, 'L[0-9]+')*\]")


class DialogOptions(ReaderOptions):
    """Who is a client, what an empty line means, and how the files are encoded.

    `client`: the movie (`m0`), or the character who answers (`u2`).
    `drop_empty`: pairs of which a side is empty are left out instead of being bad records.
    `encoding`: the distributed files are in the Western European encoding of Windows.
    """

    client: Literal["movie", "character"] = "movie"
    drop_empty: bool = False
    encoding: Encoding = "windows-1252"


class _Said(NamedTuple):
    character: str
    text: str


def read(path: Path, split: str, options: DialogOptions) -> Records:
    """Yields `input`, `targets` (one) and `client`, in the order of the conversations.

    A line or conversation that breaks the format is one bad record, as is a pair one of whose lines
    is not there.

    Raises:
        DataError: a file cannot be read, is not there twice or not at all, or has no line.
    """
    said = dict[str, _Said]()
    for where, fields in _rows(path, "movie_lines.txt", 5, options):
        if isinstance(fields, DataError):
            yield fields
        elif fields[0] in said:
            yield DataError(where, f"a second line {fields[0][:60]}", "ids that differ")
        else:
            said[fields[0]] = _Said(fields[1], fields[4])
    for where, fields in _rows(path, "movie_conversations.txt", 4, options):
        if isinstance(fields, DataError):
            yield fields
        elif not _IDS.fullmatch(fields[3]):
            yield DataError(where, f"lines {fields[3][:60]!r}", "a list like ['L194', 'L195']")
        else:
            yield from _pairs(where, fields[2], re.findall("L[0-9]+", fields[3]), said, options)


def _rows(
    path: Path, name: str, columns: int, options: DialogOptions
) -> Iterator[tuple[str, list[str] | DataError]]:
    found = False
    kind = "the zip or a directory with movie_lines.txt and movie_conversations.txt"
    with readable(path, kind, *BROKEN), open_entry(path, name) as (place, file):
        for where, line in text_lines(file, place, options.encoding):
            found = True
            if isinstance(line, DataError):
                yield where, line
                continue
            fields = line.split(SEPARATOR, columns - 1)
            if len(fields) == columns:
                yield where, fields
            else:
                yield where, DataError(where, f"{len(fields)} fields", f"{columns}, by {SEPARATOR}")
        if not found:
            raise DataError(place, "no line", "lines of fields")


def _pairs(
    where: str, movie: str, ids: list[str], said: Mapping[str, _Said], options: DialogOptions
) -> Records:
    for first, second in pairwise(ids):
        place = f"{where} {second}"
        missing = [key for key in (first, second) if key not in said]
        if missing:
            yield DataError(place, f"no line {missing[0][:60]}", "it in movie_lines.txt")
            continue
        text, target = said[first].text, said[second].text
        if options.drop_empty and is_empty(text, [target]):
            yield LeftOut(place, "an empty side")
            continue
        try:
            check_pair(text, [target], place)
        except DataError as error:
            yield error
            continue
        client = movie if options.client == "movie" else said[second].character
        yield place, {"input": text, "targets": [target], "client": client}


MOVIE_DIALOGS = Reader(("seq2seq",), DialogOptions, read)
