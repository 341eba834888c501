"""News stories with highlights: CNN/DailyMail as it is distributed.

One file per story: the article's paragraphs, then every highlight under a line `@highlight`. A
directory holds the unpacked stories, `cnn/stories` and `dailymail/stories`, and the lists of URLs
that say which story is in which split; the file of a story is called `<sha1 of its URL>.story`. See
Hermann et al. 2015 and See et al. 2017.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from pydantic import Field

from tasks.errors import DataError
from tasks.readers.pairs import check_pair, is_empty
from tasks.readers.reader import LeftOut, Reader, ReaderOptions, Record, Records, readable
from tasks.readers.split_files import of_split
from tasks.readers.text_lines import Line, text_lines
from tasks.readers.unpack import BROKEN, check_inside, open_file

MAX_STORY_BYTES = 16 * 2**20

_ENDS = (".", "!", "?", "'", "`", '"', "\u2019", "\u201d", ")")  # "..." ends in "." too


class StoriesOptions(ReaderOptions):
    """Where the lists are, and two steps of the published preparation.

    `lists`: the list of URLs of each split, inside the directory.
    `drop_empty`: stories without an article or highlights are left out instead of being bad
    records. `add_periods`: a paragraph or highlight that ends in no punctuation gets ` .`.
    """

    lists: dict[str, str] = Field(
        default={
            "train": "url_lists/all_train.txt",
            "validation": "url_lists/all_val.txt",
            "test": "url_lists/all_test.txt",
        }
    )
    drop_empty: bool = False
    add_periods: bool = False

    def part(self, split: str) -> str:
        return self.lists.get(split, "")


def read(path: Path, split: str, options: StoriesOptions) -> Records:
    """Yields `input` (paragraphs joined by blanks), `targets` (highlights, one per line) and
    `source` (the paper: cnn or dailymail), in the order of the list.

    Raises:
        DataError: no folder of stories, or a list that cannot be read or is empty.
    """
    urls = path / of_split(options.lists, split, path, "list")
    found = 0
    with readable(urls, "a list of URLs", *BROKEN), _opened(urls, path) as file:
        folders = sorted(folder for folder in path.glob("*/stories") if folder.is_dir())
        if not folders:
            raise DataError(str(path), "no folder */stories", "cnn/stories, dailymail/stories")
        for where, url in text_lines(file, str(urls)):
            found += 1
            try:
                if isinstance(url, DataError):
                    raise url
                yield _story(_file(folders, url.strip(), where), options)
            except DataError as error:
                yield error
    if not found:
        raise DataError(str(urls), "no line", "one URL per line")


def _opened(urls: Path, folder: Path) -> IO[bytes]:
    check_inside(urls, folder)
    return open_file(urls)


def _file(folders: list[Path], url: str, where: str) -> Path:
    name = f"{hashlib.sha1(url.encode()).hexdigest()}.story"
    for folder in folders:
        file = folder / name
        if file.is_symlink() or folder.is_symlink() or folder.parent.is_symlink():
            raise DataError(str(file), "a link", "a plain file", "copy what it names")
        if file.is_file():
            return file
    raise DataError(where, f"no story {name} of {url[:80]!r}", f"it in {folders[0]} or beside")


def _story(file: Path, options: StoriesOptions) -> Record:
    with readable(file, "a story"):
        if file.stat().st_size > MAX_STORY_BYTES:
            raise DataError(str(file), f"more than {MAX_STORY_BYTES} bytes", "a story")
        content = file.read_bytes()
    article, highlights = _parts(text_lines(io.BytesIO(content), str(file)), options.add_periods)
    text, summary = " ".join(article), "\n".join(highlights)
    if options.drop_empty and is_empty(text, [summary]):
        raise LeftOut(str(file), "an empty side")
    check_pair(text, [summary], str(file))
    return str(file), {"input": text, "targets": [summary], "source": file.parent.parent.name}


def _parts(lines: Iterable[Line], add_periods: bool) -> tuple[list[str], list[str]]:
    article, highlights = list[str](), list[str]()
    current = article
    for _, line in lines:
        if isinstance(line, DataError):
            raise line
        text = line.strip()
        if text.startswith("@highlight"):
            current = highlights
        elif text:
            current.append(f"{text} ." if add_periods and not text.endswith(_ENDS) else text)
    return article, highlights


NEWS_STORIES = Reader(("seq2seq",), StoriesOptions, read)
