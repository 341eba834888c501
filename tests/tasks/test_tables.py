"""From records to tables: numbers of rows and labels, bad records, chunks."""

from __future__ import annotations

import pytest

from tasks import tables
from tasks.dataset_card import DatasetCard
from tasks.errors import DataError
from tasks.readers.reader import LeftOut
from tasks.tables import encoded_tables

BAD = DataError("f line 2", "nonsense", fix="mend it")


def card(task, **more):
    return DatasetCard.parse({
        "name": "mine", "task": task, "version": 1, "licence": "x", "language": "en",
        "description": "x", "skew": "cluster",
        "hub": {"id": "a/b", "revision": "0" * 40, "splits": {"train": "train", "test": "test"}},
        **more,
    }, "mine.yaml")  # fmt: skip


def texts(*labels):
    return [(f"f line {n}", {"text": f"t{n}", "label": x}) for n, x in enumerate(labels, 1)]


def tagged(*sentences):
    return [(f"s{n}", {"words": ["w"] * len(t), "tags": t}) for n, t in enumerate(sentences, 1)]


@pytest.mark.parametrize("chunk", [1, 2, 50_000])
def test_labels_get_their_one_order_however_they_come(chunk, monkeypatch):
    monkeypatch.setattr(tables, "CHUNK", chunk)
    parsed = encoded_tables(
        card("text_classification"), {"train": texts("c", "a", "c"), "test": texts("b", "a")}
    )
    assert parsed.labels == ["a", "b", "c"] and parsed.skipped == []
    assert parsed.tables["train"].column("label").to_pylist() == [2, 0, 2]
    assert parsed.tables["test"].column("label").to_pylist() == [1, 0]


@pytest.mark.parametrize("chunk", [1, 2, 50_000])
def test_tags_get_their_one_order(chunk, monkeypatch):
    monkeypatch.setattr(tables, "CHUNK", chunk)
    train = tagged(["O", "B-PER", "I-PER"], ["B-LOC"], ["O", "O"])
    parsed = encoded_tables(card("sequence_tagging"), {"train": train, "test": tagged(["B-ORG"])})
    assert parsed.labels == ["O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER"]
    assert parsed.tables["train"].column("tags").to_pylist() == [[0, 5, 6], [1], [0, 0]]
    assert parsed.tables["test"].column("tags").to_pylist() == [[3]]


def test_a_refused_record_brings_no_label():
    train = tagged(["O"], ["B-NEW", "B-PER "])
    parsed = encoded_tables(card("sequence_tagging"), {"train": train}, skip_bad=1)
    assert parsed.labels == ["O"] and len(parsed.skipped) == 1
    odd = ("f line 9", {"text": "\0", "label": "c"})
    records = {"train": [*texts("a", "b"), odd]}
    assert encoded_tables(card("text_classification"), records, 1).labels == ["a", "b"]


def test_bad_records_are_left_out_up_to_a_number_and_rows_keep_theirs():
    def records():
        first, second = texts("a", "b")
        return {"train": [first, BAD, second], "test": [*texts("a"), BAD]}

    with pytest.raises(DataError) as error:
        encoded_tables(card("text_classification"), records())
    assert str(error.value) == "f line 2: nonsense; mend it"
    with pytest.raises(DataError, match="one bad record more than the 1 of skip_bad"):
        encoded_tables(card("text_classification"), records(), skip_bad=1)
    parsed = encoded_tables(card("text_classification"), records(), skip_bad=2)
    assert parsed.skipped == ["f line 2: nonsense; mend it"] * 2
    assert parsed.tables["train"].column("row").to_pylist() == [0, 2]
    assert parsed.tables["train"].column("text").to_pylist() == ["t1", "t2"]


def test_what_the_options_leave_out_is_counted_and_is_not_bad():
    left = LeftOut("f line 2", "unanswerable")
    first, second = texts("a", "b")
    records = {"train": [first, left, left, second], "test": [*texts("a"), LeftOut("f", "other")]}
    parsed = encoded_tables(card("text_classification"), records)
    assert parsed.left_out == {"unanswerable": 2, "other": 1} and parsed.skipped == []
    assert parsed.tables["train"].column("row").to_pylist() == [0, 3]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "x", "label": "z"}, "here: label 'z'; expected one of a, b"),
        ({"text": "x\ud800", "label": "a"}, "here: half a surrogate pair"),
        ({"text": "x\0y", "label": "a"}, "here: a NUL byte"),
        ({"text": None, "label": "a"}, "here: an empty value"),
    ],
)
def test_what_only_the_card_or_the_schema_can_refuse_can_be_skipped_too(row, message):
    mine = card("text_classification", labels=["a", "b"])
    records = {"train": [*texts("a"), ("here", row)], "test": texts("b")}
    with pytest.raises(DataError) as error:
        encoded_tables(mine, records)
    assert str(error.value).startswith(message)
    assert encoded_tables(mine, records, skip_bad=1).tables["train"].num_rows == 1


def test_a_question_id_comes_once_in_a_split():
    row = {"id": "q1", "question": "q", "context": "c", "title": "",
           "answers": {"text": ["c"], "start": [0]}}  # fmt: skip
    mine = card("question_answering")
    with pytest.raises(DataError, match="two: a second question with the id q1"):
        encoded_tables(mine, {"train": [("one", row), ("two", row)], "test": [("one", row)]})
    encoded_tables(mine, {"train": [("one", row)], "test": [("one", row)]})


def test_a_split_of_bad_records_only_is_empty():
    with pytest.raises(DataError, match="split test: no examples"):
        encoded_tables(
            card("text_classification"), {"train": texts("a"), "test": [BAD]}, skip_bad=5
        )
