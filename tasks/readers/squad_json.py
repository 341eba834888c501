"""SQuAD JSON: articles, paragraphs, questions, each with at least one answer.

`{"data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question", "answers": [...]}]}]}]}`
with answers `{"text", "answer_start"}`, offsets in characters; other keys are ignored. See
Rajpurkar et al. 2016. SQuAD 2.0 (Rajpurkar et al. 2018) adds unanswerable questions, which are no
part of this task: `"is_impossible": true` and no answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from tasks.errors import DataError
from tasks.readers.answers import Unanswerable, check_answers, nearby, no_answer
from tasks.readers.json_values import field, parsed, shown
from tasks.readers.reader import Reader, ReaderOptions, Record, Records, readable
from tasks.readers.table_values import name_of
from tasks.readers.unpack import BROKEN, open_file


class SquadOptions(ReaderOptions):
    """In what a file differs from SQuAD v1.1.

    `title_key`: the key, of a paragraph or of its article, that names the document; None where
    documents have no name. `integer_ids`: ids of questions and documents are whole numbers.
    `unanswerable`: such a question is a bad record (`error`), or left out and counted (`drop`).
    `offset_tolerance`: an answer that is not at its offset is taken where its text stands, if that
    is one place within so many characters. `client_key`: the key that names the natural client, by
    a string or a whole number: of the question, else of its paragraph, else of the article.
    """

    title_key: str | None = "title"
    integer_ids: bool = False
    unanswerable: Unanswerable = "error"
    offset_tolerance: int = Field(default=0, ge=0, le=100)
    client_key: str | None = None

    @property
    def names_clients(self) -> bool:
        return self.client_key is not None


def read(path: Path, split: str, options: SquadOptions) -> Records:
    """Yields `id`, `question`, `context`, `title` and `answers` of every question, in file order.

    With `client_key` also `client`. A bad context or title is as many bad records as questions
    that are lost with it.

    Raises:
        DataError: the file is not JSON, or no SQuAD file.
    """
    with readable(path, "a SQuAD JSON file", *BROKEN), open_file(path) as file:
        text = file.read().decode("utf-8-sig")
    content = parsed(text, str(path), "a complete SQuAD JSON file")
    found = 0
    for record in _questions(path, content, options):
        found += 1
        yield record
    if not found:
        raise DataError(str(path), "no question", "at least one")


def _questions(path: Path, content: Any, options: SquadOptions) -> Records:
    for number, article in enumerate(field(content, "data", list, str(path)), 1):
        where = f"{path} article {number}"
        try:
            paragraphs = field(article, "paragraphs", list, where)
        except DataError as error:
            yield error
            continue
        for place, paragraph in enumerate(paragraphs, 1):
            inside = f"{where} paragraph {place}"
            questions: list[Any] = [None]  # one bad record, if that is all that can be known
            try:
                questions = field(paragraph, "qas", list, inside)
                context = field(paragraph, "context", str, inside)
                title = _title(article, paragraph, inside, options)
            except DataError as error:
                yield from [error] * max(len(questions), 1)
                continue
            for question in questions:
                try:
                    record = _question(path, inside, title, context, question, options)
                    if options.client_key is not None:
                        owners = (question, paragraph, article)
                        record[1]["client"] = _client(owners, options.client_key, record[0])
                    yield record
                except DataError as error:
                    yield error


def _title(article: Any, paragraph: Any, where: str, options: SquadOptions) -> str:
    if options.title_key is None:
        return ""
    owner = paragraph if options.title_key in paragraph else article
    return _name(owner, options.title_key, where, options)


def _name(owner: Any, key: str, where: str, options: SquadOptions) -> str:
    if not options.integer_ids and isinstance(owner, dict) and type(owner.get(key)) is int:
        fix = "set local.options.integer_ids: true in the card"
        raise DataError(where, f"{key}: {shown(owner[key])}", "text", fix)
    return str(field(owner, key, int if options.integer_ids else str, where))


def _client(owners: tuple[dict[str, Any], ...], key: str, where: str) -> str:
    found = next((owner[key] for owner in owners if key in owner), None)
    if isinstance(found, str) and found.strip():
        return name_of(where, key, found)
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    raise DataError(
        where, f"{key}: {shown(found)}", "a name or a whole number, the natural client",
        "correct local.options.client_key",
    )  # fmt: skip


def _question(
    path: Path, inside: str, title: str, context: str, question: Any, options: SquadOptions
) -> Record:
    key = _name(question, "id", inside, options)
    where = f"{path} id {key[:80]}"
    return where, {
        "id": key,
        "question": field(question, "question", str, where),
        "context": context,
        "title": title,
        "answers": _answers(question, context, where, options),
    }


def _answers(question: Any, context: str, where: str, options: SquadOptions) -> dict[str, list]:
    answers = field(question, "answers", list, where)
    impossible = field({"is_impossible": False, **question}, "is_impossible", bool, where)
    if impossible and answers:
        raise DataError(where, "is_impossible, and answers", "one of the two")
    if not answers:
        raise no_answer(where, options.unanswerable, "local.options.unanswerable")
    texts = [field(answer, "text", str, where) for answer in answers]
    starts = [field(answer, "answer_start", int, where) for answer in answers]
    if options.offset_tolerance:
        starts = [
            nearby(context, text, start, options.offset_tolerance)
            for text, start in zip(texts, starts, strict=True)
        ]
    return check_answers(context, texts, starts, where)


SQUAD_JSON = Reader(("question_answering",), SquadOptions, read)
