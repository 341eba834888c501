"""SQuAD v1.1 JSON: articles, paragraphs, questions, each with at least one answer.

`{"data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question", "answers": [...]}]}]}]}`
with answers `{"text", "answer_start"}`, offsets in characters. See Rajpurkar et al. 2016.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from tasks.errors import DataError
from tasks.readers.answers import check_answers
from tasks.readers.reader import Reader, ReaderOptions, Record, Records, readable
from tasks.readers.unpack import BROKEN, open_file

T = TypeVar("T")


class SquadOptions(ReaderOptions):
    """The format has no variants."""


def read(path: Path, split: str, options: SquadOptions) -> Records:
    """Yields `id`, `question`, `context`, `title` and `answers` of every question, in file order.

    Raises:
        DataError: the file is not JSON, or no SQuAD file.
    """
    with readable(path, "a SQuAD JSON file", RecursionError, *BROKEN), open_file(path) as file:
        try:
            content = json.loads(file.read().decode("utf-8-sig"))
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path} line {error.lineno} column {error.colno}", error.msg,
                "a complete SQuAD JSON file", "fetch the file again",
            ) from None  # fmt: skip
    found = 0
    for record in _questions(path, content):
        found += 1
        yield record
    if not found:
        raise DataError(str(path), "no question", "at least one")


def _questions(path: Path, content: Any) -> Records:
    for number, article in enumerate(_field(content, "data", list, str(path)), 1):
        where = f"{path} article {number}"
        try:
            title = _field(article, "title", str, where)
            paragraphs = _field(article, "paragraphs", list, where)
        except DataError as error:
            yield error
            continue
        for place, paragraph in enumerate(paragraphs, 1):
            inside = f"{where} paragraph {place}"
            try:
                context = _field(paragraph, "context", str, inside)
                questions = _field(paragraph, "qas", list, inside)
            except DataError as error:
                yield error
                continue
            for question in questions:
                try:
                    yield _question(path, inside, title, context, question)
                except DataError as error:
                    yield error


def _question(path: Path, inside: str, title: str, context: str, question: Any) -> Record:
    key = _field(question, "id", str, inside)
    where = f"{path} id {key}"
    return where, {
        "id": key,
        "question": _field(question, "question", str, where),
        "context": context,
        "title": title,
        "answers": _answers(question, context, where),
    }


def _answers(question: Any, context: str, where: str) -> dict[str, list[Any]]:
    answers = _field(question, "answers", list, where)
    texts = [_field(answer, "text", str, where) for answer in answers]
    starts = [_field(answer, "answer_start", int, where) for answer in answers]
    return check_answers(context, texts, starts, where)


def _field(owner: Any, key: str, kind: type[T], where: str) -> T:
    value = owner.get(key) if isinstance(owner, dict) else None
    if not isinstance(value, kind):
        found = f"a {type(owner).__name__}" if not isinstance(owner, dict) else f"{key}: {value!r}"
        if isinstance(owner, dict) and key not in owner:
            found = f"no {key!r}"
        raise DataError(where, found[:80], f"{key!r}, a {kind.__name__}")
    return value


SQUAD_JSON = Reader(("question_answering",), SquadOptions, read)
