"""20 Newsgroups, the `bydate` version: one file per post, its folder is its class.

Reads `20news-bydate.tar.gz` as it is distributed, without unpacking it, or the directory it
unpacks to. Posts are latin-1. The order is fixed: groups sorted, then article numbers.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from pydantic import Field

from tasks.errors import DataError
from tasks.readers.reader import Reader, ReaderOptions, Records, readable
from tasks.readers.split_files import of_split
from tasks.readers.unpack import BROKEN, entries

MAX_POST_BYTES = 64 * 2**20  # the longest real post has 160 kB

_QUOTE = re.compile(r"(writes in|writes:|wrote:|says:|said:|^In article|^Quoted from|^\||^>)")


class NewsgroupsOptions(ReaderOptions):
    """`remove`: parts of a post to strip, as in scikit-learn's `fetch_20newsgroups(remove=...)`.

    `folders`: the folder of each split inside the archive or directory.
    """

    remove: list[Literal["headers", "footers", "quotes"]] = Field(default=[])
    folders: dict[str, str] = Field(
        default={"train": "20news-bydate-train", "test": "20news-bydate-test"}
    )

    def part(self, split: str) -> str:
        return self.folders.get(split, "")


def read(path: Path, split: str, options: NewsgroupsOptions) -> Records:
    """Yields `text` and `label` (the group's name) of every post of a split.

    Raises:
        DataError: a damaged archive, an unsafe or unexpected entry, or no post at all.
    """
    folder = of_split(options.folders, split, path, "folder")
    posts = dict[tuple[str, int], bytes]()

    def wanted(parts: tuple[str, ...]) -> bool:
        return len(parts) == 3 and parts[0] == folder

    with readable(path, "a .tar.gz archive or a directory", *BROKEN):
        for parts, content in entries(path, wanted, MAX_POST_BYTES):
            where = f"{path} entry {'/'.join(parts)}"
            if not (parts[2].isascii() and parts[2].isdigit()):
                raise DataError(where, f"file name {parts[2]!r}", "an article number")
            key = (parts[1], int(parts[2]))
            if key in posts:
                raise DataError(where, "a second post with this number", "one per group and number")
            posts[key] = content
    if not posts:
        raise DataError(str(path), f"no posts in {folder}/", f"{folder}/<group>/<number>")
    for group, number in sorted(posts):
        text = posts[group, number].decode("latin-1")
        if "\n\n" not in text:  # a folder unpacked with Windows' line ends
            text = text.replace("\r\n", "\n")
        where = f"{path} entry {folder}/{group}/{number}"
        yield where, {"text": strip(text, options.remove), "label": group}


def strip(text: str, remove: Collection[str]) -> str:
    """Removes parts of a post, in scikit-learn's order: headers, footers, quotes."""
    if "headers" in remove:
        text = text.partition("\n\n")[2]
    if "footers" in remove:
        text = _without_footer(text)
    if "quotes" in remove:
        text = "\n".join(line for line in text.split("\n") if not _QUOTE.search(line))
    return text


def _without_footer(text: str) -> str:
    """Drops what follows the last line that is blank or all dashes: mostly a signature."""
    lines = text.strip().split("\n")
    for number in range(len(lines) - 1, 0, -1):
        if not lines[number].strip().strip("-"):
            return "\n".join(lines[:number])
    return text


NEWSGROUPS20 = Reader(("text_classification",), NewsgroupsOptions, read)
