"""Parallel lines: two text files, where line n of the one belongs to line n of the other.

Gigaword (Rush et al. 2015) and WMT are distributed so, and anything else is easily written so. The
card names the file of inputs; that of the targets has the same name but for one part:

    files: {train: train.article.txt, test: input.txt}
    options: {target: {article: title, input: task1_ref0}}

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
from tasks.readers.text_lines import Line, text_lines
from tasks.readers.unpack import BROKEN, open_file


class ParallelOptions(ReaderOptions):
    """How the files of targets are called, and what an empty line means.

    `target`: a part of the name of an input file -> what is there in its file of targets, in the
    same folder: `{.de: .en}`. The first part that occurs counts; it must occur once, unless it is
    an ending (`news.de-en.de`).
    `drop_empty`: pairs of which a side is empty are left out instead of being bad records; corpora
    mark with them where documents end or an aligner found nothing.
    """

    target: dict[str, str] = Field(min_length=1)
    drop_empty: bool = False

    @model_validator(mode="after")
    def _differ(self) -> Self:
        for part, other in self.target.items():
            if not part or part == other or "/" in part + other:
                raise ValueError(
                    f"target {part!r}: {other!r}; expected two different parts of file names"
                )
        return self


def target_file(path: Path, options: ParallelOptions) -> Path:
    """The file of the targets of a file of inputs.

    Raises:
        DataError: its name has none of the parts that `target` replaces, or has one twice.
    """
    for part, other in options.target.items():
        times = path.name.count(part)
        if times == 1 or (part.startswith(".") and path.name.endswith(part)):
            head, _, tail = path.name.rpartition(part)
            return path.with_name(f"{head}{other}{tail}")
        if times:
            raise DataError(
                str(path), f"a name with {part} {times} times", "once",
                "write a longer part of it under local.options.target",
            )  # fmt: skip
    raise DataError(
        str(path), f"a name without {' or '.join(options.target)}",
        "a part of it that local.options.target replaces", "name the targets' file there",
    )  # fmt: skip


def read(path: Path, split: str, options: ParallelOptions) -> Records:
    """Yields `input` and `targets` (one) of every line.

    Raises:
        DataError: a file cannot be read or is empty, or one has more lines than the other.
    """
    target = target_file(path, options)
    inputs = targets = 0
    for first, second in zip_longest(_lines(path), _lines(target)):
        inputs += first is not None
        targets += second is not None
        if first is not None and second is not None:
            record = _pair(first, second, options)
            if record is not None:
                yield record
    if inputs != targets:
        raise DataError(
            str(target), f"{targets} lines", f"{inputs}, as many as {path} has",
            "line n of the one belongs to line n of the other",
        )  # fmt: skip
    if not inputs:
        raise DataError(str(path), "no line", "one text per line")


def _lines(path: Path) -> Iterator[Line]:
    with readable(path, "a text file with one text per line", *BROKEN), open_file(path) as file:
        yield from text_lines(file, str(path))


def _pair(first: Line, second: Line, options: ParallelOptions) -> Record | DataError:
    for _, text in (first, second):
        if isinstance(text, DataError):
            return text
    (where, text), (_, target) = first, second
    assert isinstance(text, str) and isinstance(target, str)
    if options.drop_empty and is_empty(text, [target]):
        return LeftOut(where, "an empty side")
    try:
        check_pair(text, [target], where)
    except DataError as error:
        return error
    return where, {"input": text, "targets": [target]}


PARALLEL_LINES = Reader(
    ("seq2seq",), ParallelOptions, read, lambda path, options: [target_file(path, options)]
)
