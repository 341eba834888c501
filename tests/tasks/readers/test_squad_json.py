"""SQuAD JSON: the format, offsets in characters, and answers that are not where they should be."""

from __future__ import annotations

import copy
import json

import pytest
from reading import good

from tasks.errors import DataError
from tasks.readers.answers import nearby
from tasks.readers.reader import LeftOut
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


def rows(tmp_path, content, **options):
    path = tmp_path / "f.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return [row for _, row in good(read(path, "train", SquadOptions(**options)))]


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


@pytest.mark.parametrize("change", [
    lambda f: f["data"][0]["paragraphs"][0].update(context=None),
    lambda f: f["data"][0].pop("title"),
])  # fmt: skip
def test_a_bad_context_or_title_is_as_many_bad_records_as_questions(tmp_path, change):
    content = copy.deepcopy(FILE)
    change(content)
    whole = copy.deepcopy(FILE["data"][0])
    content["data"].append(whole)
    (tmp_path / "f.json").write_text(json.dumps(content))
    *bad, first, _ = read(tmp_path / "f.json", "train", SquadOptions())
    assert [str(error) for error in bad] == [str(bad[0])] * 2 and first[1]["id"] == "q1"
    assert "article 1 paragraph 1" in str(bad[0])


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
    (lambda q, f: q["answers"][0].update(answer_start=True), "id q2: answer_start: True"),
    (lambda q, f: q.update(answers=[]), "id q2: an unanswerable question"),
    (lambda q, f: q.pop("answers"), "id q2: no 'answers'"),
    (lambda q, f: q.update(id=7), "article 1 paragraph 1: id: 7"),
    (lambda q, f: q.update(id=True), "article 1 paragraph 1: id: True"),
    (lambda q, f: q.update(id="q\n2\x1b\ud800", answers={}), r"id q 2\x1b\ud800: answers: a dict"),
    (lambda q, f: q["answers"].append({"text": " ", "answer_start": 2}), "a visible text exactly"),
    (lambda q, f: q["answers"].append([]), "id q2: a list; expected an object with 'text'"),
    (lambda q, f: q.update(is_impossible=True), "id q2: is_impossible, and answers"),
    (lambda q, f: q.update(is_impossible=1), "id q2: is_impossible: 1; expected"),
    (lambda q, f: q.pop("question"), "id q2: no 'question'"),
    (lambda q, f: f["data"][0].pop("title"), "article 1 paragraph 1: no 'title'"),
    (lambda q, f: f["data"].append("x"), "article 2: 'x'; expected an object with 'paragraphs'"),
    (lambda q, f: f.pop("data"), "no 'data'"),
    (lambda q, f: f.update(data=[]), "no question"),
])  # fmt: skip
def test_broken_content(tmp_path, change, message):
    with pytest.raises(DataError) as error:
        rows(tmp_path, changed(change))
    assert message in str(error.value) and "f.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_unanswerable_questions(tmp_path):
    def unanswerable(question, content):
        question.update(is_impossible=True, answers=[], plausible_answers=[{"text": "in"}])

    content = changed(unanswerable)
    content["data"][0]["paragraphs"][0]["qas"][0]["is_impossible"] = False
    with pytest.raises(DataError, match=r"q2: an unanswerable question.*unanswerable: drop"):
        rows(tmp_path, content)
    (first, second) = read(tmp_path / "f.json", "train", SquadOptions(unanswerable="drop"))
    assert first[1]["id"] == "q1"
    assert isinstance(second, LeftOut) and second.found == "unanswerable"


def test_reading_goes_on_after_a_bad_question(tmp_path):
    content = changed(lambda q, f: q["answers"][0].update(answer_start=30))
    content["data"][0]["paragraphs"][0]["qas"].reverse()
    content["data"].insert(0, 3)
    (tmp_path / "f.json").write_text(json.dumps(content), encoding="utf-8")
    article, bad, fine = read(tmp_path / "f.json", "train", SquadOptions())
    assert "article 1: 3; expected an object" in str(article)
    assert "id q2" in str(bad) and fine[1]["id"] == "q1"


def test_numbers_as_ids_and_the_document_as_title(tmp_path):
    question = {"id": 262, "question": "When?", "answers": [{"text": "1834", "answer_start": 31}]}
    paragraph = {"context": CONTEXT, "document_id": 630, "qas": [question]}
    content = {"data": [{"paragraphs": [paragraph]}]}
    (row,) = rows(tmp_path, content, title_key="document_id", integer_ids=True)
    assert (row["id"], row["title"]) == ("262", "630")
    with pytest.raises(DataError, match=r"document_id: 630; expected text; set .*integer_ids"):
        rows(tmp_path, content, title_key="document_id")
    with pytest.raises(DataError, match=r"id: 262; expected text; set .*integer_ids"):
        rows(tmp_path, content, title_key=None)
    question["id"] = "262"
    assert rows(tmp_path, content, title_key=None)[0]["title"] == ""
    with pytest.raises(DataError, match="id: '262'; expected 'id', a int"):
        rows(tmp_path, content, title_key=None, integer_ids=True)


@pytest.mark.parametrize("start", [28, 30, 31, 32, 34])
def test_offsets_within_a_tolerance(tmp_path, start):
    content = changed(lambda q, f: q["answers"][0].update(answer_start=start))
    assert rows(tmp_path, content, offset_tolerance=3)[1]["answers"]["start"] == [31]
    if abs(start - 31) > 2:
        with pytest.raises(DataError, match=f"'1834' is not at offset {start}"):
            rows(tmp_path, content, offset_tolerance=2)


@pytest.mark.parametrize(("context", "text", "start", "within", "found"), [
    ("a a a", "a", 2, 3, 2),  # where it is said to be
    ("a a a", "a", 1, 1, 1),  # two places: not for us to choose
    ("a a a", "a", 5, 1, 4),
    ("b", "a", 0, 3, 0),
    ("b", "", 0, 3, 0),
    ("ab", "b", -1, 2, 1),
    ("ab", "b", -9, 2, -9),
    ("ab", "b", 10**30, 2, 10**30),
])  # fmt: skip
def test_where_an_answer_stands(context, text, start, within, found):
    assert nearby(context, text, start, within) == found


@pytest.mark.parametrize("keep", [0, 1, 40, 200, -1])
def test_truncated(tmp_path, keep):
    with pytest.raises(DataError, match=r"f\.json line 1 column"):
        rows(tmp_path, json.dumps(FILE).encode()[:keep])


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"3",
        b"null",
        b"[" * 100_000,
        b'{"data": "\xff"}',
        b'{"data": ' + b"9" * 5000 + b"}",
        b'{"data": {}}',
    ],
)
def test_no_squad(tmp_path, content):
    with pytest.raises(DataError, match=r"f\.json"):
        rows(tmp_path, content)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        list(read(tmp_path / "none.json", "train", SquadOptions()))


def test_a_key_of_natural_clients(tmp_path):
    """Of the question, else of its paragraph, else of the article."""

    def named(question, content):
        question["user"] = 7
        content["data"][0]["user"] = "ann"

    content = changed(named)
    assert [row["client"] for row in rows(tmp_path, content, client_key="user")] == ["ann", "7"]
    content["data"][0]["paragraphs"][0]["user"] = "bob"
    assert [row["client"] for row in rows(tmp_path, content, client_key="user")] == ["bob", "7"]
    assert "client" not in rows(tmp_path, content)[0]
    assert SquadOptions(client_key="user").names_clients and not SquadOptions().names_clients


@pytest.mark.parametrize("value", [None, " ", True, ["ann"], 1.5])
def test_a_client_that_is_no_name(tmp_path, value):
    def named(question, content):
        question["user"] = value
        content["data"][0]["user"] = "ann"

    with pytest.raises(DataError, match=r"id q2: user: .*; expected a name or a whole number"):
        rows(tmp_path, changed(named), client_key="user")
    with pytest.raises(DataError, match="id q1: owner: None"):
        rows(tmp_path, FILE, client_key="owner")
