"""SemEval-2010 task 8: the relation between two marked nouns. Blocks of three lines:

8001<TAB>"The most common <e1>audits</e1> were about <e2>waste</e2> and recycling."
Message-Topic(e1,e2)
Comment: Assuming an audit = an audit document.

Reads `SemEval2010_task8_all_data.tar.gz` as it is distributed, without unpacking it, the directory
it unpacks to, or one of its files. The markers stay in the text: they are what the label is about.
See Hendrickx et al. 2010.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import Field

from tasks.errors import DataError
from tasks.readers.reader import Reader, ReaderOptions, Record, Records, readable
from tasks.readers.text_lines import Line, text_lines
from tasks.readers.unpack import BROKEN, open_entry

MOST_LINES = 3  # of a block that are kept; what follows them only makes it wrong

_SENTENCE = re.compile(r'([0-9]{1,9})[\t ]+"(.*)"[\t ]*')
_MARKED = re.compile(r"[^<]*<e1>[^<]+</e1>[^<]*<e2>[^<]+</e2>[^<]*")
_MARKER = re.compile(r"<(?!/?e[12]>)")  # a < that is no marker


class SemevalOptions(ReaderOptions):
    """`files`: the file of each split, by its name inside the archive or the directory."""

    files: dict[str, str] = Field(default={"train": "TRAIN_FILE.TXT", "test": "TEST_FILE_FULL.TXT"})

    def part(self, split: str) -> str:
        return self.files.get(split, "")


def read(path: Path, split: str, options: SemevalOptions) -> Records:
    """Yields `text` and `label` (relation and direction, or `Other`) of every sentence.

    Raises:
        DataError: a damaged archive, no such file in it, or no sentence.
    """
    if split not in options.files:
        raise DataError(
            str(path), f"no file is known for the split {split}",
            f"one of {', '.join(options.files)}", "set local.options.files in the card",
        )  # fmt: skip
    kind = "a .tar.gz archive, a directory or a text file"
    found, ids = 0, set[str]()
    with readable(path, kind, *BROKEN), open_entry(path, options.files[split]) as (where, file):
        for first, block in _blocks(text_lines(file, where)):
            found += 1
            try:
                yield _record(first, block, ids)
            except DataError as error:
                yield error
    if not found:
        raise DataError(where, "no sentence", "numbered sentences with their relations")


def _blocks(lines: Iterable[Line]) -> Iterator[tuple[str, list[str | DataError]]]:
    """Runs of lines that are not blank, each with the place of its first."""
    first, block = "", list[str | DataError]()
    for where, line in lines:
        if isinstance(line, str) and not line.strip():
            if block:
                yield first, block
            block = []
            continue
        if not block:
            first = where
        if len(block) <= MOST_LINES:
            block.append(line)
    if block:
        yield first, block


def _record(where: str, block: list[str | DataError], ids: set[str]) -> Record:
    lines = []
    for line in block:
        if isinstance(line, DataError):
            raise line
        lines.append(line)
    sentence = _SENTENCE.fullmatch(lines[0])
    if sentence is None:
        raise DataError(where, f"{lines[0][:60]!r}", "a number and a sentence in double quotes")
    if len(lines) != MOST_LINES or not lines[2].startswith("Comment:"):
        raise DataError(
            where, f"{len(lines)} lines" if len(lines) < MOST_LINES else "other lines",
            "a sentence, its relation, Comment:, and a blank line",
            "the test file with relations is TEST_FILE_FULL.TXT",
        )  # fmt: skip
    number, text = sentence.groups()
    if _MARKED.fullmatch(_MARKER.sub("", text)) is None:
        raise DataError(where, f"{text[:60]!r}", "one <e1>...</e1>, then one <e2>...</e2>")
    if number in ids:
        raise DataError(where, f"a second sentence with the number {number}", "numbers that differ")
    ids.add(number)
    return where, {"text": text, "label": lines[1].strip()}


SEMEVAL2010_TASK8 = Reader(("text_classification",), SemevalOptions, read)
