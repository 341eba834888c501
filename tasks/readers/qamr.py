"""QAMR: questions about single sentences, whose answers are sets of tokens. Michael et al. 2018.

A folder (or archive) with one sentence file, `id<TAB>tokens divided by one blank`, and a file of
questions per split, nine columns divided by tabs:

    0 sentence id   1 target words   2 worker   3 number of the question in the worker's task
    4 target word of the question   5 question   6 the worker's own answer
    7 and 8 answers of two validators, `<worker>:<answer>`

An answer is token numbers from 0, divided by blanks. Columns 0 to 3 together are unique. This is
the `filtered` version; in the `full` one a validator may say `Invalid` or `Redundant-<n>` instead
of an answer, which is a bad record here.

The context is the tokens joined by one blank, as they stand in the file (with `-LRB-` for a
bracket): every offset is then exact. The sentence is also the document (`title`), the worker who
wrote the question is its natural client.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Literal

from pydantic import Field

from tasks.errors import DataError
from tasks.readers.answers import check_answers
from tasks.readers.reader import LeftOut, Reader, ReaderOptions, Record, Records, readable
from tasks.readers.text_lines import Line, text_lines
from tasks.readers.unpack import BROKEN, open_entry

COLUMNS = 9

Sentences = dict[str, list[str] | DataError]


class QamrOptions(ReaderOptions):
    """Files by their names in the folder or archive, and what becomes of an answer with gaps.

    `noncontiguous`: of an answer that is not one run of tokens (2 % of them) the `longest` run is
    taken, the first of equal ones; or answers with gaps are `drop`ped, and a question that has no
    other answer is left out and counted. Either way answers without gaps come first, so that a
    model is trained on an answer that somebody gave wherever there is one.
    """

    files: dict[str, str] = Field(
        default={"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}
    )
    sentences: str = "wiki-sentences.tsv"
    noncontiguous: Literal["longest", "drop"] = "longest"

    def part(self, split: str) -> str:
        return self.files.get(split, "")


def read(path: Path, split: str, options: QamrOptions) -> Records:
    """Yields `id`, `question`, `context`, `title`, `answers` and `client` of every question.

    A line of the sentence file without an id is a bad record of train, as is a question about a
    sentence that is missing or wrong in its split.

    Raises:
        DataError: a file is missing or cannot be read, or there is no question.
    """
    if split not in options.files:
        raise DataError(
            str(path), f"no file is known for the split {split}",
            f"one of {', '.join(options.files)}", "set local.options.files in the card",
        )  # fmt: skip
    found = 0
    with readable(path, "a folder or an archive with the QAMR files", *BROKEN):
        sentences = Sentences()
        with open_entry(path, options.sentences) as (where, file):
            problems = list(_read_sentences(text_lines(file, where), sentences))
        if split == "train":  # every split reads the file, and its lines are bad once
            yield from problems
        with open_entry(path, options.files[split]) as (where, file):
            for place, line in text_lines(file, where):
                found += 1
                try:
                    if isinstance(line, DataError):
                        raise line
                    yield _question(place, line, sentences, options)
                except DataError as error:
                    yield error
    if not found:
        raise DataError(f"{path} {options.files[split]}", "no question", "at least one")


def _read_sentences(lines: Iterable[Line], sentences: Sentences) -> Iterator[DataError]:
    """Fills the sentences; yields what is wrong with lines that have no id."""
    for where, line in lines:
        if isinstance(line, DataError):
            yield line
            continue
        key, *texts = line.split("\t")
        tokens = texts[0].split(" ") if len(texts) == 1 else []
        if not key or not tokens:
            yield DataError(
                where, f"{len(texts) + 1} columns", "2: an id and a sentence",
                "local.files names the folder, local.options.sentences the file in it",
            )  # fmt: skip
        elif key in sentences:
            sentences[key] = DataError(where, f"a second sentence {key[:80]}", "ids that differ")
        elif not all(token.strip() for token in tokens):
            sentences[key] = DataError(where, "an empty token", "tokens divided by one blank")
        else:
            sentences[key] = tokens


def _question(where: str, line: str, sentences: Sentences, options: QamrOptions) -> Record:
    columns = line.split("\t")
    if len(columns) != COLUMNS:
        raise DataError(where, f"{len(columns)} columns", f"{COLUMNS}")
    sentence, targets, worker, number, _, question, own, *validators = columns
    tokens = sentences.get(sentence)
    if tokens is None:
        raise DataError(
            where, f"no sentence {sentence[:80]!r}", f"one of those in {options.sentences}"
        )
    if isinstance(tokens, DataError):
        raise tokens
    answers = [_numbers(where, own, len(tokens))]
    for judgment in validators:
        name, colon, answer = judgment.partition(":")
        if not name or not colon:
            raise DataError(where, f"judgment {judgment[:60]!r}", "<worker>:<token numbers>")
        answers.append(_numbers(where, answer, len(tokens)))
    answers.sort(key=_has_gaps)  # stable: else in the order of the columns
    if options.noncontiguous == "drop":
        answers = [answer for answer in answers if not _has_gaps(answer)]
        if not answers:
            raise LeftOut(where, "without a contiguous answer")
    begins = [0, *accumulate(len(token) + 1 for token in tokens)]
    context = " ".join(tokens)
    places = dict.fromkeys(
        (begins[run[0]], begins[run[-1]] + len(tokens[run[-1]]))
        for run in map(_longest_run, answers)
    )
    texts = [context[begin:end] for begin, end in places]
    return where, {
        "id": "/".join((sentence, targets.replace(" ", "-"), worker, number)),
        "question": question,
        "context": context,
        "title": sentence,
        "answers": check_answers(context, texts, [begin for begin, _ in places], where),
        "client": worker,
    }


def _numbers(where: str, answer: str, tokens: int) -> list[int]:
    """The token numbers of an answer, in ascending order."""
    parts = answer.split(" ")
    for part in parts:
        if not (part.isascii() and part.isdigit() and len(part) < 9 and int(part) < tokens):
            raise DataError(
                where, f"{part[:60]!r} in an answer", f"token numbers from 0 to {tokens - 1}",
                "the filtered version of the data has nothing else",
            )  # fmt: skip
    return sorted({int(part) for part in parts})


def _has_gaps(answer: list[int]) -> bool:
    return answer[-1] - answer[0] + 1 != len(answer)


def _longest_run(answer: list[int]) -> list[int]:
    runs = [answer[:1]]
    for number in answer[1:]:
        if number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return max(runs, key=len)


QAMR = Reader(("question_answering",), QamrOptions, read)
