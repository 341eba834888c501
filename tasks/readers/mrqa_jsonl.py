"""MRQA 2019 JSON lines, mostly `.jsonl.gz`: a header line, then one context with questions a line.

`{"header": {"dataset": "SQuAD", "split": "train"}}`
`{"context", "qas": [{"qid", "question", "detected_answers": [{"text", "char_spans"}]}]}`

`char_spans` are places of the answer in the context, `[start, end]` in characters, the end
included; there may be several, and the same one several times (one per annotator). See Fisch et
al. 2019.

What stands in the context at a span is the answer. The `text` of a detected answer agrees with it
only after the normalisation of SQuAD ("richard marx" is detected at "Richard Marx", and, in one
question of TriviaQA, "doc" at the mark "[DOC]"). The official evaluation scores against `answers`,
which may also hold strings that stand nowhere in the context; those are not read, since every
answer of this task is a span, so a score here can be a little below the official one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from tasks.errors import DataError
from tasks.metrics_squad import normalise
from tasks.readers.answers import check_answers
from tasks.readers.json_values import field, parsed, shown
from tasks.readers.reader import Reader, ReaderOptions, Record, Records, readable
from tasks.readers.text_lines import text_lines
from tasks.readers.unpack import BROKEN, open_file


class MrqaOptions(ReaderOptions):
    """`detected_text`: it must agree with the context at its spans, but for letter case,
    punctuation, articles and blanks (`agrees`), or does not matter (`ignored`).
    """

    detected_text: Literal["agrees", "ignored"] = "agrees"


def read(path: Path, split: str, options: MrqaOptions) -> Records:
    """Yields `id`, `question`, `context`, `title` (""), `answers` and `source` of every question.

    The source is the header's data set, or the file's name up to its first dot where there is no
    header. A line that is no JSON is one bad record, a bad context as many as it has questions.

    Raises:
        DataError: the file cannot be read, its header names no data set, a second header follows,
            or it has no question.
    """
    found, source = 0, path.name.partition(".")[0]
    with readable(path, "a file of MRQA JSON lines", *BROKEN), open_file(path) as file:
        first = True
        for where, line in text_lines(file, str(path)):
            if isinstance(line, str) and not line.strip():
                continue
            try:
                if isinstance(line, DataError):
                    raise line
                value = parsed(line, where, "a line of JSON", one_line=True)
            except DataError as error:
                found, first = found + 1, False
                yield error
                continue
            header, first = first, False
            if isinstance(value, dict) and "header" in value:
                if not header:  # of which data set are the questions that follow?
                    raise DataError(
                        where, "a header inside the file", "one, in its first line",
                        "make a file of each data set",
                    )  # fmt: skip
                source = field(value["header"], "dataset", str, f"{where} header")
                continue
            for record in _questions(where, value, source, options):
                found += 1
                yield record
    if not found:
        raise DataError(str(path), "no question", "at least one")


def _questions(where: str, paragraph: Any, source: str, options: MrqaOptions) -> Records:
    questions: list[Any] = [None]  # one bad record, if that is all that can be known
    try:
        questions = field(paragraph, "qas", list, where)
        context = field(paragraph, "context", str, where)
    except DataError as error:
        yield from [error] * max(len(questions), 1)
        return
    for question in questions:
        try:
            yield _question(where, context, question, source, options)
        except DataError as error:
            yield error


def _question(line: str, context: str, question: Any, source: str, options: MrqaOptions) -> Record:
    key = field(question, "qid", str, line)
    where = f"{line} qid {key[:80]}"
    spans = dict[tuple[int, int], None]()  # each place once, in the file's order
    for answer in field(question, "detected_answers", list, where):
        text = field(answer, "text", str, where)
        for pair in field(answer, "char_spans", list, where):
            start, end = _span(pair, context, where)
            spans[start, end] = None
            there = context[start:end]
            if options.detected_text == "agrees" and not _agree(text, there):
                raise DataError(
                    f"{where} span [{start}, {end - 1}]",
                    f"answer {text[:60]!r}, but {there[:60]!r} stands there",
                    "the same but for case, punctuation, articles and blanks",
                    "correct char_spans; their ends are included",
                )  # fmt: skip
    texts = [context[start:end] for start, end in spans]
    return where, {
        "id": key,
        "question": field(question, "question", str, where),
        "context": context,
        "title": "",
        "answers": check_answers(context, texts, [start for start, _ in spans], where),
        "source": source,
    }


def _span(pair: Any, context: str, where: str) -> tuple[int, int]:
    """Start and end, the end not included any more."""
    if not isinstance(pair, list) or [type(number) for number in pair] != [int, int]:
        raise DataError(where, f"span {shown(pair)}", "[start, end], two whole numbers")
    start, end = pair
    if not 0 <= start <= end < len(context):
        raise DataError(
            where, f"span [{shown(start)}, {shown(end)}]",
            f"start to end, both in the {len(context)} characters of the context",
        )  # fmt: skip
    return start, end + 1


def _agree(text: str, there: str) -> bool:
    """Whether they are equal normalised as in SQuAD, or in letters and digits alone."""
    return normalise(text) == normalise(there) or _bare(text) == _bare(there)


def _bare(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


MRQA_JSONL = Reader(("question_answering",), MrqaOptions, read)
