"""OntoNotes in the columns of the CoNLL-2011 and 2012 shared tasks: named entities in brackets.

    #begin document (bc/cctv/00/cctv_0001); part 000
    bc/cctv/00/cctv_0001 0 0 Ada     NNP (TOP(S(NP* -  - - Speaker#1 (PERSON* (ARG0* (1
    bc/cctv/00/cctv_0001 0 1 Lovelace NNP        *) -  - - Speaker#1       *)     *)  1)
    bc/cctv/00/cctv_0001 0 2 slept   VBD  (VP*) sleep 01 1 Speaker#1       *   (V*)   -

    #end document

Columns are apart by blanks; as many follow the entities (column 11) as the sentence has predicates,
and one of coreference. The format is that of Pradhan et al. 2012, "CoNLL-2012 Shared Task". Files
are named `*.gold_conll` or `*_gold_conll`, thousands of them in a tree of folders.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path

from tasks.errors import DataError
from tasks.readers.compressed import COMPRESSED, check_plain
from tasks.readers.reader import Reader, ReaderOptions, Record, Records, readable
from tasks.readers.sentences import Sentence, blank, blank_separated, sentences
from tasks.readers.text_lines import Line, unbroken_lines
from tasks.readers.unpack import BROKEN, entries

MAX_DOCUMENT_BYTES = 256 * 2**20  # a file is one document; the longest have a few MB

_WORD, _ENTITY = 3, 10  # columns, from 0
_SUFFIX = "gold_conll"
_SUFFIXES = (_SUFFIX, *(_SUFFIX + ending for ending in COMPRESSED))
_BEGIN = re.compile(r"#begin document \(([^()\s]+)\)(; part \d+)?\s*")
_END = re.compile(r"#end document\s*")
_CELL = re.compile(r"\((?P<single>[^()*]+)\*?\)|\((?P<begin>[^()*]+)\*|\*(?P<end>\)?)")


class GoldConllOptions(ReaderOptions):
    """The format has no variants."""


def read(path: Path, split: str, options: GoldConllOptions) -> Records:
    """Yields `words`, `tags` (names, IOB2) and `source` (the document) of every sentence.

    Reads the files of a directory in sorted order, or those of an archive in its order. A document
    without entity annotation has no brackets, so all its tags are O.

    An empty file is one bad record.

    Raises:
        DataError: a file cannot be read or is compressed, or there is no sentence.
    """
    found = 0
    with readable(path, f"a directory or an archive of *{_SUFFIX} files", *BROKEN):
        for parts, content in entries(
            path, lambda parts: parts[-1].endswith(_SUFFIXES), MAX_DOCUMENT_BYTES
        ):
            where = f"{path} entry {'/'.join(parts)}"
            check_plain(where, parts[-1])
            if content.isspace() or not content:  # a document may have no sentence, a file no less
                yield DataError(where, "an empty file", "a document", "fetch it again")
            for record in _documents(where, unbroken_lines(io.BytesIO(content), where)):
                found += 1
                yield record
    if not found:
        raise DataError(str(path), "no sentence", f"files *{_SUFFIX}")


def _documents(where: str, lines: Iterable[Line]) -> Records:
    document: str | None = None
    for sentence, end in sentences(lines, _ends):
        if end is None and document is not None:
            # the last sentence may be cut as well
            yield DataError(
                where, f"the document {document} does not end", "#end document",
                "the file is incomplete; fetch it again",
            )  # fmt: skip
        elif sentence is not None:
            try:
                yield _sentence(sentence, document)
            except DataError as error:
                yield error
        if end is not None and not blank(end[1]):
            begin, expected = _BEGIN.fullmatch(end[1]), "#end document"
            if document is None:
                expected = "#begin document (<id>); part <number>"
            fits = begin is not None if document is None else _END.fullmatch(end[1])
            if not fits:
                yield DataError(end[0], f"the line {end[1][:80]!r}", expected)
            document = begin[1] if begin else None


def _ends(line: str) -> bool:
    return blank(line) or line.startswith(("#begin", "#end"))


def _sentence(sentence: Sentence, document: str | None) -> Record:
    where, lines, problem = sentence
    if problem is not None:
        raise problem
    if document is None:
        raise DataError(where, "a word outside a document", "#begin document (<id>) before it")
    words, cells = [], []
    width = len(blank_separated(lines[0][1]))
    for place, line in lines:
        columns = blank_separated(line)
        if len(columns) <= _ENTITY or len(columns) != width:
            raise DataError(
                place, f"{len(columns)} columns",
                f"at least {_ENTITY + 2}, and as many on every line of a sentence",
            )  # fmt: skip
        words.append(columns[_WORD])
        cells.append(columns[_ENTITY])
    return where, {"words": words, "tags": iob2_of_brackets(cells, where), "source": document}


def iob2_of_brackets(cells: Iterable[str], where: str) -> list[str]:
    """The tags of one sentence: `(PERSON*`, `*`, `*)` are B-PERSON, I-PERSON, I-PERSON.

    Raises:
        DataError: a cell of another form, an entity inside an entity, or one that begins or ends
            outside the sentence.
    """
    tags, inside = [], ""  # the type of the entity that is not over
    for number, cell in enumerate(cells, 1):
        place = f"{where} word {number}"
        match = _CELL.fullmatch(cell)
        if match is None:
            raise DataError(place, f"entity {cell!r}", "(<type>*, *, *) or (<type>)")
        begun = match["single"] or match["begin"]
        if begun:
            if inside:
                raise DataError(place, f"{cell} inside an entity {inside}", "entities side by side")
            tags.append(f"B-{begun}")
            inside = match["begin"] or ""
        else:
            if match["end"] and not inside:
                raise DataError(place, "a bracket that ends no entity", "brackets that balance")
            tags.append(f"I-{inside}" if inside else "O")
            inside = "" if match["end"] else inside
    if inside:
        raise DataError(where, f"an entity {inside} without an end", "brackets that balance")
    return tags


GOLD_CONLL = Reader(("sequence_tagging",), GoldConllOptions, read)
