"""Parallel lines: text files, where line n of the one belongs to line n of the other.

Gigaword (Rush et al. 2015) and WMT are distributed so, and anything else is easily written so. The
card names the file of inputs; that of the targets has the same name but for one part:

    files: {train: train.article.txt, test: input.txt}
    options: {target: {article: title, input: task1_ref0}}

A third file may name the natural client of every pair.

What stands for an unknown word or a digit in a text (`UNK`, `<unk>`, `#`) stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from tasks.errors import DataError
from tasks.readers.pairs import check_pair, is_empty
from tasks.readers.reader import LeftOut, Reader, ReaderOptions, Record, Records, readable
from tasks.readers.text_lines import Line, unbroken_lines
from tasks.readers.unpack import BROKEN, open_file


class ParallelOptions(ReaderOptions):
    """How the other files are called, and what an empty line means.

    `target`: a part of the name of an input file -> what is there in its file of targets, in the
    same folder: `{.de: .en}`. The first part that occurs counts; it must occur once, unless it is
    an ending (`news.de-en.de`). `clients`: the same for the file of natural clients, if any.
    `drop_empty`: pairs of which a side is empty are left out instead of being bad records; corpora
    mark with them where documents end or an aligner found nothing.
    """

    target: dict[str, str] = Field(min_length=1)
    clients: dict[str, str] | None = Field(default=None, min_length=1)
    drop_empty: bool = False

    @property
    def names_clients(self) -> bool:
        return self.clients is not None

    @model_validator(mode="after")
    def _differ(self) -> Self:
        for option, parts in (("target", self.target), ("clients", self.clients or {})):
            for part, other in parts.items():
                if not part or part == other or "/" in part + other:
                    raise ValueError(
                        f"{option} {part!r}: {other!r}; expected two different parts of file names"
                    )
        return self


def other_files(path: Path, options: ParallelOptions) -> list[Path]:
    """The file of the targets of a file of inputs, and that of the clients, if there is one.

    Raises:
        DataError: its name has none of the parts that an option replaces, or has one twice.
    """
    files = [_renamed(path, "target", options.target)]
    if options.clients is not None:
        files.append(_renamed(path, "clients", options.clients))
    return files


def _renamed(path: Path, option: str, parts: dict[str, str]) -> Path:
    for part, other in parts.items():
        times = path.name.count(part)
        if times == 1 or (part.startswith(".") and path.name.endswith(part)):
            head, _, tail = path.name.rpartition(part)
            return path.with_name(f"{head}{other}{tail}")
        if times:
            raise DataError(
                str(path), f"a name with {part} {times} times", "once",
                f"write a longer part of it under local.options.{option}",
            )  # fmt: skip
    raise DataError(
        str(path), f"a name without {' or '.join(parts)}",
        f"a part of it that local.options.{option} replaces", "name the other file there",
    )  # fmt: skip


def read(path: Path, split: str, options: ParallelOptions) -> Records:
    """Yields `input`, `targets` (one) and, with `clients`, `client` of every line.

    Raises:
        DataError: a file cannot be read or is empty, or one has more lines than another.
    """
    files = [path, *other_files(path, options)]
    counts = [0] * len(files)
    for lines in zip_longest(*map(_lines, files)):
        counts = [count + (line is not None) for count, line in zip(counts, lines, strict=True)]
        if None not in lines:
            yield _record(lines, options)
    for file, count in zip(files, counts, strict=True):
        if count != counts[0]:
            raise DataError(
                str(file), f"{count} lines", f"{counts[0]}, as many as {path} has",
                "line n of the one belongs to line n of the other",
            )  # fmt: skip
    if not counts[0]:
        raise DataError(str(path), "no line", "one text per line")


def _lines(path: Path) -> Iterator[Line]:
    with readable(path, "a text file with one text per line", *BROKEN), open_file(path) as file:
        yield from unbroken_lines(file, str(path))


def _record(lines: tuple[Line, ...], options: ParallelOptions) -> Record | DataError:
    texts = []
    for _, text in lines:
        if isinstance(text, DataError):
            return text
        texts.append(text)
    where, (text, target, *client) = lines[0][0], texts
    if options.drop_empty and is_empty(text, [target]):
        return LeftOut(where, "an empty side")
    try:
        check_pair(text, [target], where)
    except DataError as error:
        return error
    row = {"input": text, "targets": [target]}
    if not client:
        return where, row
    if not client[0].strip():
        return DataError(lines[2][0], "an empty client", "the natural client of the pair")
    return where, {**row, "client": client[0].strip()}


PARALLEL_LINES = Reader(("seq2seq",), ParallelOptions, read, other_files)
