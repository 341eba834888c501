"""WikiNER: one sentence a line, its words as `word|POS|tag` with blanks between them.

    The|DT|O Oxford|NNP|I-ORG Companion|NNP|I-ORG to|TO|I-ORG Philosophy|NNP|I-ORG says|VBZ|O

Nothman et al. 2013, "Learning multilingual named entity recognition from Wikipedia", distributed as
`aij-wikiner-<language>-wp<2 or 3>.bz2`. Tags are in IOB1. Blank lines stand between paragraphs.
A word may hold a `|`; part of speech and tag do not.
"""

from __future__ import annotations

from pathlib import Path

from tasks.errors import DataError
from tasks.readers.reader import Reader, ReaderOptions, Record, Records, readable
from tasks.readers.sentences import blank, blank_separated
from tasks.readers.tag_schemes import Scheme, to_iob2
from tasks.readers.text_lines import unbroken_lines
from tasks.readers.unpack import BROKEN, open_file


class WikinerOptions(ReaderOptions):
    """`scheme` of the tags, which become IOB2 (see tag_schemes.py)."""

    scheme: Scheme = "iob1"


def read(path: Path, split: str, options: WikinerOptions) -> Records:
    """Yields `words` and `tags` (names, IOB2) of every sentence.

    Raises:
        DataError: the file cannot be read, or has no sentence.
    """
    found = 0
    with readable(path, "a WikiNER file", *BROKEN), open_file(path) as file:
        for where, line in unbroken_lines(file, str(path)):
            if isinstance(line, str) and blank(line):
                continue
            found += 1
            try:
                if isinstance(line, DataError):
                    raise line
                yield _record(where, line, options)
            except DataError as error:
                yield error
    if not found:
        raise DataError(str(path), "no sentence", "lines of word|POS|tag")


def _record(where: str, line: str, options: WikinerOptions) -> Record:
    words, tags = [], []
    for number, token in enumerate(blank_separated(line), 1):
        parts = token.rsplit("|", 2)
        if len(parts) != 3 or blank(parts[0]):
            raise DataError(f"{where} word {number}", repr(token[:80]), "word|POS|tag")
        words.append(parts[0])
        tags.append(parts[2])
    return where, {"words": words, "tags": to_iob2(tags, options.scheme, where)}


WIKINER = Reader(("sequence_tagging",), WikinerOptions, read)
