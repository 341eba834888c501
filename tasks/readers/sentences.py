"""Sentences in files of one word per line: the lines between two blank ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from tasks.errors import DataError
from tasks.readers.text_lines import Line

_BLANKS = re.compile("[ \t]+")

# Where it begins, its lines (where, text), and what is wrong with the first that cannot be read.
Sentence = tuple[str, list[tuple[str, str]], DataError | None]


def blank(line: str) -> bool:
    """Nothing but white space, a lone tab or a no-break space too."""
    return not line or line.isspace()


def blank_separated(line: str) -> list[str]:
    """The columns between runs of blanks and tabs; a no-break space is part of a word."""
    return _BLANKS.split(line.strip(" \t"))


def sentences(
    lines: Iterable[Line], ends: Callable[[str], bool] = blank
) -> Iterator[tuple[Sentence | None, tuple[str, str] | None]]:
    """Yields every sentence with the line that ends it, (where, text) or None at the file's end.

    Such a line where no sentence is comes with None.

    Args:
        ends: whether a line ends a sentence, instead of being part of one.
    """
    first, words, problem = "", list[tuple[str, str]](), None
    for where, line in lines:
        if isinstance(line, DataError):
            first, problem = first or where, problem or line
        elif ends(line):
            yield ((first, words, problem) if first else None), (where, line)
            first, words, problem = "", [], None
        else:
            first = first or where
            words.append((where, line))
    yield ((first, words, problem) if first else None), None
