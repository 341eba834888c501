"""Test examples whose input stands in train as well."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tasks.overlap import repeated
from tasks.schema import features


def table(task, rows):
    schema = features(task).arrow_schema
    empty = {"client": "", "source": "", "row": 0}
    return pa.Table.from_pylist([{**empty, **row} for row in rows], schema=schema)


ANSWERS = {"text": ["a"], "start": [0]}
CASES = {
    "text_classification": lambda text: {"text": text, "label": len(text)},
    "sequence_tagging": lambda text: {"words": text.split(), "tags": [0] * len(text.split())},
    "question_answering": lambda text: {
        "id": text, "question": text[:1], "context": text[1:], "title": "", "answers": ANSWERS,
    },
    "seq2seq": lambda text: {"input": text, "targets": ["a"]},
}  # fmt: skip


@pytest.mark.parametrize("task", CASES)
def test_inputs_are_compared_whole(task):
    train = table(task, map(CASES[task], ["a b", "c d", "c d", "é"]))
    test = table(task, map(CASES[task], ["a b", "a bc", "c d", "c d", "ab", "É"]))
    assert repeated(task, train, test) == 3
    assert repeated(task, pa.concat_tables([test, train]), test) == 6
    assert repeated(task, train, test[:0]) == 0 == repeated(task, train[:0], test)


def test_the_label_does_not_count():
    row = CASES["text_classification"]("a")
    train = table("text_classification", [row])
    test = table("text_classification", [{**row, "label": 7}])
    assert repeated("text_classification", train, test) == 1
