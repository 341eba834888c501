r"""CoNLL columns: one word per line, blank lines between sentences.

    EU      B-ORG
    rejects O

The format of the CoNLL shared tasks since Tjong Kim Sang and Buchholz 2000, and of WNUT-17,
WikiANN, the Broad Twitter Corpus and many more. A path is one file, or with `patterns` a directory
or an archive of files.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field, field_validator

from tasks.errors import DataError
from tasks.readers.compressed import COMPRESSED, check_plain
from tasks.readers.reader import Reader, ReaderOptions, Record, Records, readable
from tasks.readers.sentences import blank, blank_separated, sentences
from tasks.readers.table_values import name_of
from tasks.readers.tag_schemes import Scheme, to_iob2
from tasks.readers.text_lines import Line, unbroken_lines
from tasks.readers.unpack import BROKEN, entries, open_file


class ConllOptions(ReaderOptions):
    """How the columns are laid out.

    `separator` None: any run of blanks and tabs. Columns count from 0, from the end if negative.
    `scheme` of the tags, which become IOB2 (see tag_schemes.py). `token_prefix` is required on
    every word and stripped (`en:` in WikiANN). Lines whose first column is `document_marker` are
    dropped and end a sentence. Lines that start with `comment` are dropped; they end none. Give
    "# " rather than "#" where a word may be "#". `empty_word` is read where a word is empty or
    blank, in files that have lost some; None: that is a bad record. `patterns`: split -> the
    files of a directory or an archive, such as "*_train.txt"; what `*` stands for is the source.
    `client_column` holds the natural client, the same on every line of a sentence.
    """

    separator: str | None = Field(default="\t", min_length=1)
    columns: int | None = Field(default=None, ge=2)  # None: as many as the first line has
    token_column: int = 0
    tag_column: int = -1
    client_column: int | None = None
    scheme: Scheme = "iob2"
    token_prefix: str = ""
    document_marker: str | None = "-DOCSTART-"
    comment: str | None = Field(default=None, min_length=1)
    empty_word: str | None = Field(default=None, min_length=1)
    patterns: dict[str, str] | None = None

    @property
    def names_clients(self) -> bool:
        return self.client_column is not None

    def part(self, split: str) -> str:
        return (self.patterns or {}).get(split, "")

    @field_validator("patterns")
    @classmethod
    def _one_star(cls, patterns: dict[str, str] | None) -> dict[str, str] | None:
        for split, pattern in (patterns or {}).items():
            if pattern.count("*") != 1 or any(sign in pattern for sign in "?[]/"):
                raise ValueError(f"{split}: {pattern!r}; expected a file name with one *")
        return patterns


def read(path: Path, split: str, options: ConllOptions) -> Records:
    """Yields `words` and `tags` (names, IOB2) of every sentence; `where` names its first line.

    With `patterns` also `source`, with `client_column` also `client`. A sentence with a bad line is
    one bad record.

    Raises:
        DataError: a file cannot be read, has no sentence or is of the source of another, or none
            fits the pattern.
    """
    with readable(path, "a CoNLL file", *BROKEN):
        for where, lines, source in _files(path, split, options):
            found = False
            for record in _records(lines, options):
                found = True
                if source is not None and not isinstance(record, DataError):
                    record[1]["source"] = source
                yield record
            if not found:
                raise DataError(where, "no sentence", "lines of a word and its tag")


def _files(
    path: Path, split: str, options: ConllOptions
) -> Iterator[tuple[str, Iterable[Line], str | None]]:
    """Where a file is, its lines, and its source where its name tells it."""
    if options.patterns is None:
        with open_file(path) as file:
            yield str(path), unbroken_lines(file, str(path)), None
        return
    if split not in options.patterns:
        raise DataError(
            str(path), f"no pattern is known for the split {split}",
            f"one of {', '.join(options.patterns)}", "set local.options.patterns in the card",
        )  # fmt: skip
    pattern, found = options.patterns[split], dict[str, str]()
    before, after = map(len, pattern.split("*"))
    for parts, content in entries(path, lambda parts: _fits(parts[-1], pattern)):
        where = f"{path} entry {'/'.join(parts)}"
        check_plain(where, parts[-1])
        source = parts[-1][before : len(parts[-1]) - after].strip("-_. ")
        if source in found:
            raise DataError(
                where, f"a second file of the source {source!r}", f"only {found[source]}",
                "rename one",
            )  # fmt: skip
        found[source] = where
        yield where, unbroken_lines(io.BytesIO(content), where), source
    if not found:
        raise DataError(str(path), f"no file {pattern}", "at least one")


def _fits(name: str, pattern: str) -> bool:
    """Whether a file is one of the pattern's, or would be if it were not compressed."""
    endings = ("", *COMPRESSED)
    return any(fnmatchcase(name, f"{pattern}{ending}") for ending in endings)


def _records(lines: Iterable[Line], options: ConllOptions) -> Records:
    width = options.columns
    kept = (line for line in lines if not _is_comment(line[1], options))
    for sentence, _ in sentences(kept, lambda line: _ends(line, options)):
        if sentence is None:
            continue
        first, words, problem = sentence
        try:
            if problem is not None:
                raise problem
            width = width or _width(*words[0], options)
            yield _record(first, [_word(*word, width, options) for word in words], options)
        except DataError as error:
            yield error


def _width(where: str, line: str, options: ConllOptions) -> int:
    columns = len(_columns(line, options))
    if columns < 2:
        between = "blanks" if options.separator is None else repr(options.separator)
        raise DataError(
            where, "1 column", f"a word and its tag with {between} between",
            "set local.options.separator, such as \" \"",
        )  # fmt: skip
    return columns


def _is_comment(line: str | DataError, options: ConllOptions) -> bool:
    mark = options.comment
    return mark is not None and isinstance(line, str) and line.startswith(mark)


def _ends(line: str, options: ConllOptions) -> bool:
    if blank(line):
        return True
    marker = options.document_marker
    return marker is not None and line.startswith(marker) and _columns(line, options)[0] == marker


def _columns(line: str, options: ConllOptions) -> list[str]:
    return line.split(options.separator) if options.separator else blank_separated(line)


def _word(where: str, line: str, width: int, options: ConllOptions) -> tuple[str, str, str]:
    """The word, its tag and its client ("" if the file names none)."""
    columns = _columns(line, options)
    if len(columns) != width:
        raise DataError(
            where, f"{len(columns)} columns", f"{width}",
            "check local.options.separator and the line",
        )  # fmt: skip
    named = {"token_column": options.token_column, "tag_column": options.tag_column}
    if options.client_column is not None:
        named["client_column"] = options.client_column
    if not all(-width <= place < width for place in named.values()):
        raise DataError(
            where, f"{len(columns)} columns", f"columns {' and '.join(map(str, named.values()))}",
            f"check local.options.{' and '.join(named)}",
        )  # fmt: skip
    word, tag, *client = (columns[place] for place in named.values())
    if not word.startswith(options.token_prefix):
        raise DataError(where, f"word {word!r}", f"the prefix {options.token_prefix!r}")
    word = word[len(options.token_prefix) :]
    if blank(word):
        if options.empty_word is None:
            raise DataError(
                where, "an empty word", "a word and its tag",
                "correct the line, or set local.options.empty_word",
            )  # fmt: skip
        word = options.empty_word
    return word, tag, client[0] if client else ""


def _record(where: str, sentence: list[tuple[str, str, str]], options: ConllOptions) -> Record:
    words, tags, clients = (list(column) for column in zip(*sentence, strict=True))
    row = {"words": words, "tags": to_iob2(tags, options.scheme, where)}
    if options.client_column is None:
        return where, row
    first, other = clients[0], next((name for name in clients if name != clients[0]), None)
    if other is not None or blank(first):
        raise DataError(
            where, f"clients {first!r} and {other!r}" if other is not None else "an empty client",
            "one name on every line of a sentence", "correct local.options.client_column",
        )  # fmt: skip
    return where, {**row, "client": name_of(where, "client", first)}


CONLL = Reader(("sequence_tagging",), ConllOptions, read)
