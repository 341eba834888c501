"""MRQA JSON lines: header, inclusive spans, detected texts that only agree, and broken lines."""

from __future__ import annotations

import copy
import gzip
import json

import pytest
from reading import good

from tasks.errors import DataError
from tasks.readers.mrqa_jsonl import MrqaOptions, read

HEADER = {"header": {"dataset": "TriviaQA-web", "split": "train"}}
CONTEXT = "[DOC] [TLE] Café \U0001f600 [PAR] Richard Marx sang. The A-ha song is by A-ha, not Marx."
LINE = {
    "id": "",
    "context": CONTEXT,
    "context_tokens": [["[", 0], ["DOC", 1]],
    "qas": [
        {
            "qid": "feabd1ae",
            "id": "",
            "question": "Who sang?",
            "question_tokens": [["Who", 0], ["sang", 4], ["?", 8]],
            "answers": ["richard marx", "richard noel marx"],
            "detected_answers": [
                {"text": "richard marx", "char_spans": [[25, 36]], "token_spans": [[9, 10]]},
                {"text": "Marx", "char_spans": [[33, 36], [74, 77]], "token_spans": [[10, 10]]},
                {"text": "richard marx", "char_spans": [[25, 36]], "token_spans": [[9, 10]]},
            ],
        },
        {
            "qid": "355adac4",
            "question": "Which dwarf?",
            "answers": ["doc"],
            "detected_answers": [{"text": "doc", "char_spans": [[0, 4]], "token_spans": [[0, 2]]}],
        },
    ],
}


def lines(*values):
    return "".join(json.dumps(value) + "\n" for value in values).encode()


def records(tmp_path, content, name="f.jsonl.gz", **options):
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return list(read(path, "train", MrqaOptions(**options)))


def rows(*arguments, **options):
    return [row for _, row in good(records(*arguments, **options))]


def changed(change):
    line = copy.deepcopy(LINE)
    change(line["qas"][0], line)
    return lines(HEADER, line)


@pytest.mark.parametrize("name", ["f.jsonl.gz", "f.jsonl", "f"])
def test_rows(tmp_path, name):
    first, second = rows(tmp_path, lines(HEADER, LINE), name)
    assert first == {
        "id": "feabd1ae", "question": "Who sang?", "context": CONTEXT, "title": "",
        "answers": {"text": ["Richard Marx", "Marx", "Marx"], "start": [25, 33, 74]},
        "source": "TriviaQA-web",
    }  # fmt: skip
    assert second["answers"] == {"text": ["[DOC]"], "start": [0]}


def test_without_a_header_the_file_is_the_source(tmp_path):
    assert rows(tmp_path, lines(LINE), "NewsQA.jsonl.gz")[0]["source"] == "NewsQA"


def test_byte_order_mark_crlf_and_blank_lines(tmp_path):
    content = b"\xef\xbb\xbf" + lines(HEADER, LINE).replace(b"\n", b"\r\n\r\n")
    assert rows(tmp_path, content) == rows(tmp_path, lines(HEADER, LINE))


@pytest.mark.parametrize("text", ["the richard marx!", "RICHARD  MARX", "Richard- Marx"])
def test_detected_texts_that_agree(tmp_path, text):
    content = changed(lambda q, f: q["detected_answers"][0].update(text=text))
    assert rows(tmp_path, content) == rows(tmp_path, lines(HEADER, LINE))


def test_a_detected_text_that_does_not_agree(tmp_path):
    content = changed(lambda q, f: q["detected_answers"][0].update(char_spans=[[25, 37]]))
    assert rows(tmp_path, content)[0]["answers"]["text"][0] == "Richard Marx "  # but for blanks
    content = changed(lambda q, f: q["detected_answers"][0].update(char_spans=[[26, 36]]))
    with pytest.raises(
        DataError, match=r"line 2 qid feabd1ae span \[26, 36\]: answer 'richard marx', but 'ich"
    ):
        rows(tmp_path, content)
    first = rows(tmp_path, content, detected_text="ignored")[0]
    assert first["answers"]["text"][0] == "ichard Marx"


@pytest.mark.parametrize(("change", "message"), [
    (lambda q, f: f.update(qas={}), "line 2: qas: a dict; expected 'qas', a list"),
    (lambda q, f: f["qas"].insert(0, "x"), "line 2: 'x'; expected an object with 'qid'"),
    (lambda q, f: q.pop("qid"), "line 2: no 'qid'"),
    (lambda q, f: q.update(qid=7), "line 2: qid: 7; expected 'qid', a str"),
    (lambda q, f: q.pop("question"), "qid feabd1ae: no 'question'"),
    (lambda q, f: q.pop("detected_answers"), "qid feabd1ae: no 'detected_answers'"),
    (lambda q, f: q.update(detected_answers=[]), "qid feabd1ae: 0 answer texts"),
    (lambda q, f: q["detected_answers"][0].pop("text"), "no 'text'"),
    (lambda q, f: q["detected_answers"][0].update(char_spans=[25, 36]), "span 25; expected [start"),
    (lambda q, f: q["detected_answers"][0].update(char_spans=[[25]]), "span a list; expected"),
    (lambda q, f: q["detected_answers"][0].update(char_spans=[[25, 36.0]]), "span a list"),
    (lambda q, f: q["detected_answers"][0].update(char_spans=[[True, 36]]), "span a list"),
    (lambda q, f: q["detected_answers"][0].update(char_spans=[[36, 25]]), "span [36, 25]"),
    (lambda q, f: q["detected_answers"][0].update(char_spans=[[-1, 3]]), "span [-1, 3]"),
    (lambda q, f: q["detected_answers"][0].update(char_spans=[[70, 79]]), "span [70, 79]"),
    (lambda q, f: q["detected_answers"][0].update(text="", char_spans=[[5, 5]]), "a visible text"),
])  # fmt: skip
def test_a_broken_record_is_one_and_reading_goes_on(tmp_path, change, message):
    content = changed(change) + lines({**LINE, "qas": [{**LINE["qas"][1], "qid": "last"}]})
    found = records(tmp_path, content)
    (bad,) = [record for record in found if isinstance(record, DataError)]
    assert message in str(bad) and "f.jsonl.gz line 2" in str(bad) and "\n" not in str(bad)
    assert found[-1][1]["id"] == "last"


def test_a_bad_context_is_as_many_bad_records_as_questions(tmp_path):
    content = lines(HEADER, {**LINE, "context": None}, LINE)
    *bad, first, _ = records(tmp_path, content)
    assert [str(error) for error in bad] == [str(bad[0])] * 2 and first[1]["id"] == "feabd1ae"
    assert "line 2: context: None; expected 'context', a str" in str(bad[0])


def test_a_second_header(tmp_path):
    """As `cat a.jsonl b.jsonl` makes it: the questions after it are of another data set."""
    other = {"header": {"dataset": "NewsQA", "split": "train"}}
    found = read_all(tmp_path, lines(HEADER, LINE, other, LINE))
    assert len(found) == 3 and "line 3: a header inside the file" in str(found[-1])
    assert len(records(tmp_path, b"\n" + lines(HEADER, LINE))) == 2


def read_all(tmp_path, content):
    """The records, and the error that ended reading."""
    (tmp_path / "f.jsonl").write_bytes(content)
    found = []
    try:
        for record in read(tmp_path / "f.jsonl", "train", MrqaOptions()):
            found.append(record)
    except DataError as error:
        found.append(error)
    return found


def test_broken_lines(tmp_path):
    broken = [b'{"context": \n', b"\xff\n", b"a\0b\n", b"[" * 100_000 + b"\n", b"9" * 5000 + b"\n",
              b"[]\n", b'"' + b"x" * 9 * 2**20 + b'"\n', lines({"qas": []})]  # fmt: skip
    content = lines(HEADER) + b"".join(broken) + lines(LINE)
    found = records(tmp_path, content, "f.jsonl")
    for number, (bad, message) in enumerate(zip(found, [
        "column 13: Expecting value", "not UTF-8", "a NUL byte", "JSON nested too deep",
        "thousands of digits", "a list; expected an object", "more than", "no 'context'",
    ], strict=False), 2):  # fmt: skip
        assert f"f.jsonl line {number}" in str(bad) and message in str(bad)
    assert [row["id"] for _, row in found[len(broken) :]] == ["feabd1ae", "355adac4"]


@pytest.mark.parametrize(("content", "message"), [
    (b"", "no question"),
    (lines(HEADER), "no question"),
    (lines({"header": {}}, LINE), "line 1 header: no 'dataset'"),
    (lines({"header": "SQuAD"}, LINE), "line 1 header: 'SQuAD'; expected an object with 'dataset'"),
])  # fmt: skip
def test_broken_files(tmp_path, content, message):
    with pytest.raises(DataError) as error:
        records(tmp_path, content)
    assert message in str(error.value) and "f.jsonl.gz" in str(error.value)


def test_truncated_and_missing_files(tmp_path):
    whole = gzip.compress(lines(HEADER, *[LINE] * 50))
    (tmp_path / "f.gz").write_bytes(whole[:-20])
    with pytest.raises(DataError, match=r"f\.gz: cannot be read .*fetch the file again"):
        list(read(tmp_path / "f.gz", "train", MrqaOptions()))
    with pytest.raises(DataError, match="no such file"):
        list(read(tmp_path / "none", "train", MrqaOptions()))
