"""CoNLL columns: one word per line, blank lines between sentences, tags in IOB2.

EU      B-ORG
rejects O
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from tasks.errors import DataError
from tasks.readers.reader import Reader, ReaderOptions, Record, Records, readable
from tasks.readers.text_lines import Line, text_lines
from tasks.readers.unpack import BROKEN, open_file
from tasks.schema import check_iob2


class ConllOptions(ReaderOptions):
    """How the columns are laid out.

    `separator` None: any run of blanks and tabs. Columns count from 0, from the end if negative.
    `token_prefix` is required on every word and stripped (`en:` in WikiANN). Lines whose first
    column is `document_marker` are dropped and end a sentence.
    """

    separator: str | None = Field(default="\t", min_length=1)
    columns: int | None = Field(default=None, ge=2)  # None: as many as the first line has
    token_column: int = 0
    tag_column: int = -1
    token_prefix: str = ""
    document_marker: str | None = "-DOCSTART-"


def read(path: Path, split: str, options: ConllOptions) -> Records:
    """Yields `words` and `tags` (names) of every sentence; `where` names its first line.

    A sentence with a bad line is one bad record.

    Raises:
        DataError: the file cannot be read, or has no sentence.
    """
    found = 0
    with readable(path, "a CoNLL file", *BROKEN), open_file(path) as file:
        for sentence in _sentences(text_lines(file, str(path)), options):
            found += 1
            yield sentence
    if not found:
        raise DataError(str(path), "no sentence", "lines of a word and its tag")


def _sentences(lines: Iterable[Line], options: ConllOptions) -> Records:
    first, words, problem = "", list[tuple[str, str]](), None
    width = options.columns
    for where, line in lines:
        if isinstance(line, str) and _ends(line, options):
            if first:
                yield problem or _record(first, words)
            first, words, problem = "", [], None
            continue
        first = first or where
        try:
            if isinstance(line, DataError):
                raise line
            columns = line.split(options.separator)
            width = width or len(columns)
            words.append(_word(where, columns, width, options))
        except DataError as error:
            problem = problem or error
    if first:
        yield problem or _record(first, words)


def _ends(line: str, options: ConllOptions) -> bool:
    return not line.strip(" \t") or line.split(options.separator, 1)[0] == options.document_marker


def _word(where: str, columns: list[str], width: int, options: ConllOptions) -> tuple[str, str]:
    if len(columns) != width:
        raise DataError(
            where, f"{len(columns)} columns", f"{width}",
            "check local.options.separator and the line",
        )  # fmt: skip
    try:
        word, tag = columns[options.token_column], columns[options.tag_column]
    except IndexError:
        raise DataError(
            where, f"{len(columns)} columns",
            f"columns {options.token_column} and {options.tag_column}",
            "check local.options.token_column and tag_column",
        ) from None  # fmt: skip
    if not word.startswith(options.token_prefix):
        raise DataError(where, f"word {word!r}", f"the prefix {options.token_prefix!r}")
    word = word[len(options.token_prefix) :]
    if not word:
        raise DataError(where, "an empty word", "a word and its tag")
    return word, tag


def _record(where: str, sentence: list[tuple[str, str]]) -> Record | DataError:
    words, tags = (list(column) for column in zip(*sentence, strict=True))
    try:
        check_iob2(tags, where)
    except DataError as error:
        return error
    return where, {"words": words, "tags": tags}


CONLL = Reader(("sequence_tagging",), ConllOptions, read)
