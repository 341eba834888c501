"""AESLC, subject lines of e-mails: one file per mail, in a folder per split.

    body, one sentence per line, and a blank line

    @subject
    the subject

    @ann0
    a subject that an annotator wrote (dev and test: also @ann1 and @ann2)

A file is called `<owner of the mailbox>_<inbox or sent>_<number>.subject`. Reads the archive
without unpacking it, or the directory it unpacks to. The order is that of the file names. See
Zhang and Tetreault 2019.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from tasks.errors import DataError
from tasks.readers.pairs import check_pair
from tasks.readers.reader import Reader, ReaderOptions, Record, Records, readable
from tasks.readers.split_files import of_split, split_files
from tasks.readers.text_lines import Line, text_lines
from tasks.readers.unpack import BROKEN

MAX_MAIL_BYTES = 16 * 2**20  # the longest real mail has 20 kB

_NAME = re.compile(r"([^_]+)_.+\.subject")
_MARK = re.compile(r"@(subject|ann[0-9]+)")


class AeslcOptions(ReaderOptions):
    """`folders`: the folder of each split inside the archive or directory."""

    folders: dict[str, str] = Field(default={"train": "train", "validation": "dev", "test": "test"})

    def part(self, split: str) -> str:
        return self.folders.get(split, "")


def read(path: Path, split: str, options: AeslcOptions) -> Records:
    """Yields `input` (body), `targets` (subject, then the annotators') and `client` (owner).

    A mail that breaks the format is one bad record.

    Raises:
        DataError: a damaged archive, an unsafe entry, two files of one name, or no mail.
    """
    folder = of_split(options.folders, split, path, "folder")
    with readable(path, "a tar or zip archive or a directory", *BROKEN):
        for where, name, content in split_files(path, folder, ".subject", MAX_MAIL_BYTES):
            try:
                yield _mail(where, name, text_lines(io.BytesIO(content), where))
            except DataError as error:
                yield error


def _mail(where: str, name: str, lines: Iterable[Line]) -> Record:
    named = _NAME.fullmatch(name)
    if named is None:
        raise DataError(where, f"file name {name!r}", "<owner>_<folder>_<number>.subject")
    marks, texts = list[str](), [list[str]()]
    for _, line in lines:
        if isinstance(line, DataError):
            raise line
        if mark := _MARK.fullmatch(line):
            marks.append(mark[1])
            texts.append([])
        else:
            texts[-1].append(line)
    if marks != ["subject", *(f"ann{n}" for n in range(len(marks) - 1))]:
        found = " ".join(f"@{mark}" for mark in marks)[:80] or "no @subject"
        raise DataError(where, found, "@subject once, then @ann0, @ann1 ... or none")
    body, *subjects = ("\n".join(text).strip() for text in texts)
    for name, subject in zip(marks, subjects, strict=True):
        if "\n" in subject:
            raise DataError(f"{where} @{name}", "several lines", "a subject of one line")
    check_pair(body, subjects, where)
    return where, {"input": body, "targets": subjects, "client": named[1]}


AESLC = Reader(("seq2seq",), AeslcOptions, read)
