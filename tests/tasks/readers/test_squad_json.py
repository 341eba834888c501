"""SQuAD JSON: the format, offsets in characters, and answers that are not where they should be."""

from __future__ import annotations

import copy
import json

import pytest
from reading import good

from tasks.errors import DataError
from tasks.readers.squad_json import SquadOptions, read

CONTEXT = "\U0001f600 The café in Zürich opened in 1834."
FILE = {
    "version": "1.1",
    "data": [
        {
            "title": "Café",
            "paragraphs": [
                {
                    "context": CONTEXT,
                    "qas": [
                        {
                            "id": "q1",
                            "question": "Where?",
                            "answers": [
                                {"text": "Zürich", "answer_start": 14},
                                {"text": "in Zürich", "answer_start": 11},
                            ],
                        },
                        {
                            "id": "q2",
                            "question": "When?",
                            "answers": [{"text": "1834", "answer_start": 31}],
                        },
                    ],
                }
            ],
        }
    ],
}


def rows(tmp_path, content):
    path = tmp_path / "f.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return [row for _, row in good(read(path, "train", SquadOptions()))]


def changed(change):
    content = copy.deepcopy(FILE)
    change(content["data"][0]["paragraphs"][0]["qas"][1], content)
    return content


def test_rows(tmp_path):
    first, second = rows(tmp_path, FILE)
    assert first == {
        "id": "q1",
        "question": "Where?",
        "context": CONTEXT,
        "title": "Café",
        "answers": {"text": ["Zürich", "in Zürich"], "start": [14, 11]},
    }
    assert second["answers"] == {"text": ["1834"], "start": [31]}


def test_byte_order_mark(tmp_path):
    assert rows(tmp_path, b"\xef\xbb\xbf" + json.dumps(FILE).encode()) == rows(tmp_path, FILE)


@pytest.mark.parametrize(("change", "message"), [
    (lambda q, f: q["answers"][0].update(answer_start=30), "id q2: answer '1834' is not at offset"),
    (lambda q, f: q["answers"][0].update(answer_start=-4), "id q2: answer '1834' is not at offset"),
    (lambda q, f: q["answers"][0].update(text=CONTEXT[:5], answer_start=-1), "is not at offset -1"),
    (lambda q, f: q["answers"][0].update(answer_start=99), "id q2: answer '1834' is not at offset"),
    (lambda q, f: q["answers"][0].update(text="1835"), "id q2: answer '1835' is not at offset"),
    (lambda q, f: q["answers"][0].update(text=""), "id q2: answer '' is not at offset"),
    (lambda q, f: q["answers"][0].update(answer_start="31"), "id q2: answer_start: '31'"),
    (lambda q, f: q["answers"][0].update(answer_start=True), "id q2: answer '1834' at True"),
    (lambda q, f: q.update(answers=[]), "id q2: 0 answer texts"),
    (lambda q, f: q.pop("answers"), "id q2: no 'answers'"),
    (lambda q, f: q.update(id=7), "article 1 paragraph 1: id: 7"),
    (lambda q, f: q.pop("question"), "id q2: no 'question'"),
    (lambda q, f: f["data"][0].pop("title"), "article 1: no 'title'"),
    (lambda q, f: f["data"].append("x"), "article 2: a str"),
    (lambda q, f: f.pop("data"), "no 'data'"),
    (lambda q, f: f.update(data=[]), "no question"),
])  # fmt: skip
def test_broken_content(tmp_path, change, message):
    with pytest.raises(DataError) as error:
        rows(tmp_path, changed(change))
    assert message in str(error.value) and "f.json" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("keep", [0, 1, 40, 200, -1])
def test_truncated(tmp_path, keep):
    with pytest.raises(DataError, match=r"f\.json line 1 column"):
        rows(tmp_path, json.dumps(FILE).encode()[:keep])


@pytest.mark.parametrize("content", [b"[]", b"3", b"null", b"[" * 100_000, b'{"data": "\xff"}'])
def test_no_squad(tmp_path, content):
    with pytest.raises(DataError, match=r"f\.json"):
        rows(tmp_path, content)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        list(read(tmp_path / "none.json", "train", SquadOptions()))
