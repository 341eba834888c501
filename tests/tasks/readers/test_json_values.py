"""JSON of unknown origin."""

from __future__ import annotations

import json

import pytest
from reading import outcomes

from tasks.errors import DataError
from tasks.readers import READERS
from tasks.readers.json_values import parsed

QUESTION = {"id": "a", "question": "Where?", "answers": [{"text": "Rome", "answer_start": 3}]}


def test_a_key_that_stands_twice():
    assert parsed('{"a": {"b": 1}, "c": {"b": 2}}', "f", "JSON") == {"a": {"b": 1}, "c": {"b": 2}}
    with pytest.raises(DataError, match="f: the key 'b' twice in one object; expected every key"):
        parsed('[{"a": 1}, {"b": {"a": 1}, "c": 2, "b": 3}]', "f", "JSON")


@pytest.mark.parametrize(("reader", "task", "good", "bad"), [
    ("table", "text_classification", '{"text": "a", "label": 1}',
     '{"text": "a", "label": 1, "label": 2}'),
    ("mrqa_jsonl", "question_answering", json.dumps({"context": "in Rome", "qas": [
        {"qid": "1", "question": "Where?",
         "detected_answers": [{"text": "Rome", "char_spans": [[3, 6]]}]},
    ]}), '{"context": "a", "context": "in Rome", "qas": []}'),
])  # fmt: skip
def test_in_json_lines_it_is_one_bad_record(tmp_path, reader, task, good, bad):
    path = tmp_path / "f.jsonl"
    path.write_text(f"{good}\n{bad}\n{good}\n", encoding="utf-8")
    options = READERS[reader].options.model_validate({}, context={"task": task})
    first, broken, last = outcomes(READERS[reader].read(path, "train", options))
    assert first["source" if reader == "mrqa_jsonl" else "label"] and last.keys() == first.keys()
    assert "f.jsonl line 2: the key '" in broken and "twice in one object" in broken


def test_in_a_whole_file_it_is_an_error(tmp_path):
    path = tmp_path / "f.json"
    question = json.dumps(QUESTION).replace('"id"', '"question": "Who?", "id"')
    content = {
        "data": [{"title": "t", "paragraphs": [{"context": "in Rome", "qas": ["QUESTION"]}]}]
    }
    path.write_text(json.dumps(content).replace('"QUESTION"', question), encoding="utf-8")
    with pytest.raises(DataError, match=r"f.json: the key 'question' twice in one object"):
        outcomes(READERS["squad_json"].read(path, "train", READERS["squad_json"].options()))
