"""A user's table: four formats, four tasks, columns by name and number, and what does not fit."""

from __future__ import annotations

import datetime
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from reading import check_line, outcomes

from tasks.data import load_corpus
from tasks.dataset_card import DatasetCard
from tasks.errors import DataError
from tasks.readers.reader import LeftOut
from tasks.readers.table import TableOptions, read

CLASSIFY, TAG = "text_classification", "sequence_tagging"
ASK, REWRITE = "question_answering", "seq2seq"


def options(task=CLASSIFY, **given):
    return TableOptions.model_validate(given, context={"task": task})


def rows(tmp_path, content, name="f.csv", task=CLASSIFY, split="train", **given):
    path = tmp_path / name
    if isinstance(content, list) and name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(content), path)
    elif isinstance(content, list):
        content = "".join(json.dumps(row) + "\n" for row in content)
    if not isinstance(content, list):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return outcomes(read(path, split, options(task, **given)))


# formats ---------------------------------------------------------------------------------------

REVIEWS = [
    {"text": "Good, very", "label": "5", "client": "7"},
    {"text": 'a "bad" one', "label": "1", "client": "ann"},
]
NAMES = {"text": "review", "label": "stars", "client": "user"}
CSV = 'stars,user,review,more\n5,7,"Good, very",\n1,ann,"a ""bad"" one",x\n'
TSV = 'stars\tuser\treview\tmore\n5\t7\tGood, very\t\n1\tann\ta "bad" one\tx\n'
OBJECTS = [
    {"stars": 5, "review": "Good, very", "user": 7},
    {"user": "ann", "stars": "1", "review": 'a "bad" one', "more": [{}]},
]


@pytest.mark.parametrize(("name", "content", "more"), [
    ("f.csv", CSV, {}),
    ("f.CSV", "\ufeff" + CSV.replace("\n", "\r\n"), {}),
    ("f.csv.gz", gzip.compress(CSV.encode()), {}),
    ("f.tsv", TSV, {}),
    ("f.txt", TSV, {"format": "tsv"}),
    ("f.csv", TSV.replace("\t", ";").replace('a "bad" one', '"a ""bad"" one"'), {"delimiter": ";"}),
    ("f.csv", TSV, {"delimiter": "\t", "quoting": False}),
    ("f.tsv", CSV.replace(",", "\t").replace("Good\t", "Good,"), {"quoting": True}),
    ("f.jsonl", OBJECTS, {}),
    ("f.json", "\n".join(map(json.dumps, OBJECTS)) + "\n\n", {}),
    ("f.ndjson.gz", gzip.compress("\n".join(map(json.dumps, OBJECTS)).encode()), {}),
])  # fmt: skip
def test_formats(tmp_path, name, content, more):
    assert rows(tmp_path, content, name, columns=NAMES, **more) == REVIEWS


def test_parquet(tmp_path):
    content = [{"stars": s, "review": r["text"], "user": r["client"], "more": 1.5}
               for s, r in zip((5, 1), REVIEWS, strict=True)]  # fmt: skip
    assert rows(tmp_path, content, "f.parquet", columns=NAMES) == REVIEWS
    table = pa.Table.from_pylist(content)
    category = table.set_column(1, "review", table["review"].dictionary_encode())
    pq.write_table(category, tmp_path / "g.parquet")
    assert outcomes(read(tmp_path / "g.parquet", "train", options(columns=NAMES))) == REVIEWS


def test_parquet_of_many_batches(tmp_path):
    content = [{"text": f"t{number}", "label": "x"} for number in range(2500)]
    assert rows(tmp_path, content, "f.parquet") == content


def test_numbers_of_columns(tmp_path):
    numbers = {"text": 2, "label": 0, "client": 1}
    body = CSV.partition("\n")[2]
    assert rows(tmp_path, body, columns=numbers, header=False) == REVIEWS
    assert rows(tmp_path, CSV, columns=numbers, header=True) == REVIEWS
    assert rows(tmp_path, CSV, columns={**NAMES, "label": 0}) == REVIEWS


def test_a_header_that_is_repeated(tmp_path):
    """As `cat a.csv b.csv` makes it."""
    first, bad, second = rows(tmp_path, "label,text\n1,a\n\ufefflabel,text\n2,b\n")
    assert (first["label"], second["label"]) == ("1", "2")
    assert "f.csv line 3: the header again; expected a row; drop the line" in bad
    twice = rows(tmp_path, "a,1\na,1\n", columns={"text": 0, "label": 1}, header=False)
    assert twice == [{"text": "a", "label": "1"}] * 2


def test_encodings(tmp_path):
    content = "text,label\ncafé €,1\n".encode("cp1252")
    assert rows(tmp_path, content, encoding="windows-1252") == [{"text": "café €", "label": "1"}]
    assert "not UTF-8" in rows(tmp_path, content)[0]


def test_names_of_labels(tmp_path):
    text = "text,label\na,0\nb,1\nc,2\n"
    found = rows(tmp_path, text, label_names=["bad", "good"])
    assert [row["label"] for row in found[:2]] == ["bad", "good"]
    assert "line 4: label '2'; expected one of 0, 1" in found[2]
    text = "text,label\na,0\nb,4\n"
    found = rows(tmp_path, text, label_names={0: "bad", 4: "good"})
    assert [row["label"] for row in found] == ["bad", "good"]


def test_names_that_are_no_strings(tmp_path):
    """What pandas makes of ids with a missing value, of dates, of yes and no."""
    days = [datetime.date(2024, 2, 29), datetime.datetime(2024, 3, 1, 12, 30)]
    table = pa.table({
        "text": pa.array([b"a", "é".encode(), b"\xff", b"d"]),
        "label": [True, False, True, True],
        "user": pa.array([7.0, None, 8.0, 8.5]),
        "day": pa.array([days[0]] * 4),
        "time": pa.array([days[1]] * 4, pa.timestamp("ns")),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "f.parquet")

    def found(client, names):
        given = options(columns={"client": client}, label_names=names)
        return outcomes(read(tmp_path / "f.parquet", "train", given))

    first, missing, bytes_, odd = found("user", None)
    assert first == {"text": "a", "label": "true", "client": "7"}
    assert "row 2: an empty client" in missing
    assert "row 3: text: bytes that are not UTF-8" in bytes_
    assert "row 4: client: 8.5; expected a name or a whole number" in odd
    first, second, _, _ = found("day", {True: "good", False: "bad"})
    assert first == {"text": "a", "label": "good", "client": "2024-02-29"}
    assert second == {"text": "é", "label": "bad", "client": "2024-02-29"}
    assert found("time", None)[0]["client"] == "2024-03-01T12:30:00"
    assert "label 'true'; expected one of 0, 1" in found("day", ["bad", "good"])[0]


def test_whole_numbers_that_are_floats(tmp_path):
    content = [{"text": "a", "label": 1.0}, {"text": "b", "label": -0.0}]
    for name in ("f.jsonl", "f.parquet"):
        found = rows(tmp_path, content, name, label_names=["bad", "good"])
        assert [row["label"] for row in found] == ["good", "bad"]


NESTED = [{"pair": {"de": "ja", "en": "yes"}, "meta": {"user": {"id": n}}} for n in (1, 2)]


@pytest.mark.parametrize("name", ["f.jsonl", "f.parquet"])
def test_columns_inside_columns(tmp_path, name):
    columns = {"input": "pair.de", "targets": "pair.en", "client": "meta.user.id"}
    found = rows(tmp_path, NESTED, name, REWRITE, columns=columns)
    assert found == [{"input": "ja", "targets": ["yes"], "client": c} for c in "12"]
    first, bad = rows(tmp_path, [NESTED[0], {**NESTED[1], "meta": None}], name, REWRITE,
                      columns=columns)  # fmt: skip
    assert first == found[0] and "2: an empty client" in bad
    literal = [{**NESTED[0], "pair.de": "nein"}]
    assert rows(tmp_path, literal, "f.jsonl", REWRITE, columns=columns)[0]["input"] == "nein"


def test_columns_inside_columns_that_are_not_there(tmp_path):
    columns = {"input": "pair.fr", "targets": "pair.en"}
    for bad in (NESTED[0], {"pair": 3}, {"pair": ["fr"]}, {"other": 1}):
        (found,) = rows(tmp_path, [bad], "f.jsonl", REWRITE, columns=columns)
        assert "f.jsonl line 1: no column 'pair.fr'" in found
    with pytest.raises(DataError, match=r"no column 'pair\.fr' for 'input'; expected one of"):
        rows(tmp_path, NESTED, "f.parquet", REWRITE, columns=columns)
    twice = [{**NESTED[0], "pair.en": "no"}]
    with pytest.raises(DataError, match=r"2 columns 'pair\.en'"):
        rows(tmp_path, twice, "f.parquet", REWRITE, columns={**columns, "input": "pair.de"})


# tasks -----------------------------------------------------------------------------------------

SENTENCE = {"words": ["Ada", "saw", "New", "York"], "tags": ["B-PER", "O", "B-LOC", "I-LOC"]}


def test_tagging(tmp_path):
    lists = [SENTENCE]
    assert rows(tmp_path, lists, "f.jsonl", TAG) == lists
    assert rows(tmp_path, lists, "f.parquet", TAG) == lists
    strings = "tags,words\nB-PER O B-LOC I-LOC,Ada saw  New York \n"
    assert rows(tmp_path, strings, task=TAG) == lists
    numbers = [{**SENTENCE, "tags": [1, 0, 3, 4]}]
    names = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    assert rows(tmp_path, numbers, "f.jsonl", TAG, label_names=names) == lists


@pytest.mark.parametrize(("scheme", "tags"), [
    ("iob1", ["I-PER", "O", "I-LOC", "I-LOC"]),
    ("bioes", ["S-PER", "O", "B-LOC", "E-LOC"]),
])  # fmt: skip
def test_other_schemes_of_tags(tmp_path, scheme, tags):
    content = [{**SENTENCE, "tags": tags}]
    assert rows(tmp_path, content, "f.jsonl", TAG, scheme=scheme) == [SENTENCE]
    (bad,) = rows(tmp_path, content, "f.jsonl", TAG)
    assert "line 1 word 1: tag" in bad


@pytest.mark.parametrize(("change", "message"), [
    ({"tags": ["I-PER", "O", "O", "O"]}, "word 1: tag I-PER follows the sentence start"),
    ({"tags": ["PER", "O", "O", "O"]}, "word 1: tag 'PER'"),
    ({"words": []}, "an empty words"),
    ({"words": None}, "an empty words"),
    ({"words": ["a", " ", "b", "c"]}, "an empty word;"),
    ({"words": ["a", 1, "b", "c"]}, "word: int"),
    ({"tags": [1.5] * 4}, "tag: 1.5"),
    ({"tags": {"a": 1}}, "tags: dict"),
])  # fmt: skip
def test_tagging_that_does_not_fit(tmp_path, change, message):
    bad, good = rows(tmp_path, [{**SENTENCE, **change}, SENTENCE], "f.jsonl", TAG)
    assert message in bad and "f.jsonl line 1" in bad and good == SENTENCE


QUESTION = {"id": "q", "title": "T", "question": "Where?", "context": "in \U0001f600 Rome"}
ANSWERS = {"text": ["Rome", "in"], "start": [5, 0]}


def hub(answers):
    return {**QUESTION, "answers": {"text": answers["text"], "answer_start": answers["start"]}}


@pytest.mark.parametrize("name", ["f.jsonl", "f.parquet"])
def test_questions(tmp_path, name):
    expected = {**QUESTION, "answers": ANSWERS}
    assert rows(tmp_path, [hub(ANSWERS)], name, ASK) == [expected]
    flat = [{**QUESTION, "answer_text": ANSWERS["text"], "answer_start": ANSWERS["start"]}]
    assert rows(tmp_path, flat, name, ASK) == [expected]


def test_questions_in_csv(tmp_path):
    text = "question,context,answer_text,answer_start\nWhere?,in \U0001f600 Rome,Rome,5\n"
    answers = {"text": ["Rome"], "start": [5]}
    expected = {**QUESTION, "title": "", "answers": answers}
    del expected["id"]
    assert rows(tmp_path, text, task=ASK) == [expected]
    named = text.replace("answer_text,answer_start", "gold,from")
    columns = {"answer_text": "gold", "answer_start": "from"}
    assert rows(tmp_path, named, task=ASK, columns=columns) == [expected]


@pytest.mark.parametrize("name", ["f.jsonl", "f.parquet"])
def test_answers_as_a_list_of_objects(tmp_path, name):
    answers = [{"text": t, "answer_start": s} for t, s in zip(*ANSWERS.values(), strict=True)]
    expected = {**QUESTION, "answers": ANSWERS}
    assert rows(tmp_path, [{**QUESTION, "answers": answers}], name, ASK) == [expected]


UNANSWERED = [
    {"answers": {"text": [], "answer_start": []}},
    {"answers": []},
    {"answer_text": [], "answer_start": []},
    {"answer_text": None, "answer_start": None},
    {"answer_text": "", "answer_start": float("nan")},
]


@pytest.mark.parametrize("none", UNANSWERED)
def test_unanswerable_questions(tmp_path, none):
    content = [{**QUESTION, **none}]
    (bad,) = rows(tmp_path, content, "f.jsonl", ASK)
    assert "line 1: an unanswerable question" in bad and "options.unanswerable: drop" in bad
    (left,) = read(tmp_path / "f.jsonl", "train", options(ASK, unanswerable="drop"))
    assert isinstance(left, LeftOut) and left.found == "unanswerable"


def test_unanswerable_questions_in_csv(tmp_path):
    """As pandas writes them: offsets beside a missing one are floats in Parquet."""
    text = "question,context,answer_text,answer_start\nWho?,in Rome,,\nWhere?,in Rome,Rome,3\n"
    (kept,) = rows(tmp_path, text, task=ASK, unanswerable="drop")
    content = [{"question": "Who?", "context": "in Rome", "answer_text": None,
                "answer_start": None},
               {"question": "Where?", "context": "in Rome", "answer_text": "Rome",
                "answer_start": 3.0}]  # fmt: skip
    assert rows(tmp_path, content, "f.parquet", ASK, unanswerable="drop") == [kept]
    assert kept["answers"] == {"text": ["Rome"], "start": [3]}


@pytest.mark.parametrize(("change", "message"), [
    ({"answers": ["Rome"]}, "'Rome'; expected an object with 'text'"),
    ({"answers": [{"text": "Rome", "start": 5}]}, "no 'answer_start'"),
    ({"answers": None}, "answers None; expected {text"),
    ({"answers": {"text": ["Rome"]}}, "expected {text"),
    ({"answers": {"text": "Rome", "answer_start": 5}}, "one answer's text or offset alone"),
    ({"answers": {"text": ["Rome"], "answer_start": [4]}}, "answer 'Rome' is not at offset 4"),
    ({"answers": {"text": ["Rome"], "answer_start": ["5"]}}, "answer 'Rome' at '5'"),
    ({"answers": {"text": [], "answer_start": []}}, "at least one answer"),
    ({"context": ""}, "an empty context"),
    ({"question": 3}, "question: int; expected text"),
    ({"id": None}, "an empty id"),
])  # fmt: skip
def test_questions_that_do_not_fit(tmp_path, change, message):
    bad, _ = rows(tmp_path, [{**hub(ANSWERS), **change}, hub(ANSWERS)], "f.jsonl", ASK)
    assert message in bad and "f.jsonl line 1" in bad


@pytest.mark.parametrize("start", ["4", "-1", "5.0", "x", "", "9" * 5000])
def test_offsets_in_csv_that_do_not_fit(tmp_path, start):
    text = f"question,context,answer_text,answer_start\nWhere?,in \U0001f600 Rome,Rome,{start}\n"
    (bad,) = rows(tmp_path, text, task=ASK)
    assert "f.csv line 2: answer 'Rome'" in bad


def test_targets(tmp_path):
    text = "input,targets\na,x\nb,y\na,z\n"
    train = [{"input": i, "targets": [t]} for i, t in ("ax", "by", "az")]
    grouped = [{"input": "a", "targets": ["x", "z"]}, {"input": "b", "targets": ["y"]}]
    assert rows(tmp_path, text, task=REWRITE) == train
    assert rows(tmp_path, text, task=REWRITE, split="test") == grouped
    lists = [{"input": "a", "targets": ["x"]}, {"input": "b", "targets": ["y"]},
             {"input": "a", "targets": ["z"]}]  # fmt: skip
    for name in ("f.jsonl", "f.parquet"):
        assert rows(tmp_path, lists, name, REWRITE, "validation") == grouped
    columns = {"input": "document", "targets": "summary"}
    text = text.replace("input,targets", "document,summary")
    assert rows(tmp_path, text, task=REWRITE, columns=columns) == train
    for targets in ([], None, ["x", ""], [["x"]]):
        (bad,) = rows(tmp_path, [{"input": "a", "targets": targets}], "f.jsonl", REWRITE)
        assert "f.jsonl line 1" in bad and "target" in bad


# what does not fit -----------------------------------------------------------------------------


@pytest.mark.parametrize(("line", "message"), [
    ("a", "line 3: 1 columns; expected 2 as in line 1"),
    ("a,b,c", "line 3: 3 columns; expected 2"),
    (",1", "line 3: an empty text"),
    ("a,", "line 3: an empty label"),
    ('"a"b,1', "line 3: a row that is not CSV"),
    (b"\xff,1", "line 3: bytes that are not UTF-8"),
    (b"\0,1", "line 3: a NUL byte"),
    (b"a" * (9 * 2**20) + b",1", "line 3: more than"),
])  # fmt: skip
def test_a_bad_line_of_csv_is_one_bad_record(tmp_path, line, message):
    line = line if isinstance(line, bytes) else line.encode()
    first, bad, last = rows(tmp_path, b"text,label\na,1\n" + line + b"\nb,2\n")
    assert message in bad and "f.csv" in bad
    assert (first["label"], last["label"]) == ("1", "2")


@pytest.mark.parametrize(("line", "message"), [
    ("{", "line 2 column 2: Expecting property name"),
    ('[{"text": "a", "label": 1}]', "line 2: a list; expected one JSON object per line"),
    ('{"text": "a"}', "line 2: no column 'label' for 'label'; expected one of text"),
    ("{}", "line 2: no column 'text'"),
    ('{"text": null, "label": 1}', "line 2: an empty text"),
    ('{"text": 1.5, "label": 1}', "line 2: text: 1.5; expected text"),
    ('{"text": "a", "label": 1.5}', "line 2: label: 1.5; expected a name or a whole number"),
    ('{"text": "a", "label": 1e300}', "line 2: label: 1e+300"),
    ('{"text": "a", "label": Infinity}', "line 2: label: inf"),
    ('{"text": "a", "label": NaN}', "line 2: an empty label"),
    ('{"text": "a", "label": [true]}', "line 2: label: list"),
    ('{"text": "a", "label": ' + "9" * 5000 + "}", "line 2: "),
    ("[" * 100_000, "line 2: "),
    (b'{"text": "\xff", "label": 1}', "line 2: bytes that are not UTF-8"),
])  # fmt: skip
def test_a_bad_line_of_json_is_one_bad_record(tmp_path, line, message):
    good = b'{"text": "a", "label": 1}\n'
    line = line if isinstance(line, bytes) else line.encode()
    first, bad, last = rows(tmp_path, good + line + b"\n" + good, "f.jsonl")
    assert message in bad and "f.jsonl" in bad and first == last and len(bad) < 400


def test_a_bad_row_of_parquet_is_one_bad_record(tmp_path):
    content = [
        {"text": "a", "label": "x"},
        {"text": None, "label": "x"},
        {"text": "b", "label": ""},
    ]
    good, *bad = rows(tmp_path, content, "f.parquet")
    assert good == content[0]
    assert "f.parquet row 2: an empty text" in bad[0]
    assert "f.parquet row 3: an empty label" in bad[1]


def test_a_client_that_is_missing(tmp_path):
    (bad,) = rows(tmp_path, "text,label,user\na,1,\n", columns={"client": "user"})
    assert "line 2: an empty client" in bad


@pytest.mark.parametrize(("content", "name", "more", "message"), [
    ("", "f.csv", {}, "no rows"),
    ("text,label\n", "f.csv", {}, "no rows"),
    ("\n\n", "f.jsonl", {}, "no rows"),
    ("body,label\na,1\n", "f.csv", {}, "line 1: no column 'text' for 'text'; expected one of body"),
    ("text,label\na,1\n", "f.csv", {"columns": {"text": "body"}}, "no column 'body' for 'text'"),
    ("text,label\na,1\n", "f.csv", {"columns": {"client": "user"}}, "no column 'user' for"),
    ("a,1\n", "f.csv", {"header": False}, "no column 'text' for 'text'; expected one of 0, 1"),
    ("a,1\n", "f.csv", {"columns": {"text": 2, "label": 1}, "header": False}, "no column 2"),
    ("text,label,text\na,1,b\n", "f.csv", {}, "line 1: 2 columns 'text'"),
    ("text,label\na,1\n", "f.xlsx", {}, "expected one that ends with .csv"),
    ("text,label\na,1\n", "f.gz", {}, "expected one that ends with .csv"),
    (gzip.compress(CSV.encode())[:-9], "f.csv.gz", {"columns": NAMES}, "cannot be read"),
    (b"PK\x03\x04 and so on", "f.csv", {}, "a zip archive; expected a file; unpack it"),
    ("PAR1 no parquet PAR1", "f.parquet", {}, "cannot be read"),
    ("", "f.parquet", {}, "cannot be read"),
    ([{"a": 1}], "f.parquet", {}, "no column 'text' for 'text'; expected one of a"),
])  # fmt: skip
def test_unreadable_files(tmp_path, content, name, more, message):
    with pytest.raises(DataError) as error:
        rows(tmp_path, content, name, **more)
    assert message in str(error.value) and name in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_file_and_directory(tmp_path):
    for name in ("none.csv", "none.jsonl", "none.parquet"):
        with pytest.raises(DataError, match="no such file"):
            list(read(tmp_path / name, "train", options()))
        (tmp_path / ("d" + name)).mkdir()
        with pytest.raises(DataError, match="is a directory"):
            list(read(tmp_path / ("d" + name), "train", options()))


def test_bombs(tmp_path):
    with pytest.raises(DataError, match="bytes that unpack to"):
        rows(tmp_path, gzip.compress(b"text,label\n" + (b"a" * 9000 + b",1\n") * 9000), "f.csv.gz")
    table = pa.table({"text": ["a" * 2**20] * 100, "label": ["1"] * 100})
    for dictionary in (False, True):  # one that repeats a value looks small from outside
        pq.write_table(table, tmp_path / "f.parquet", compression="zstd", use_dictionary=dictionary)
        with pytest.raises(DataError, match="bytes that unpack to"):
            list(read(tmp_path / "f.parquet", "train", options()))


@pytest.mark.parametrize(("task", "given", "message"), [
    (CLASSIFY, {"columns": {"words": "w"}}, "columns has 'words', which is no column of text_cla"),
    (REWRITE, {"label_names": ["a"]}, "label_names: seq2seq has no labels"),
    (CLASSIFY, {"scheme": "iob2"}, "scheme: text_classification has no tags"),
    (TAG, {"scheme": "iob3"}, "scheme"),
    (REWRITE, {"unanswerable": "drop"}, "unanswerable: seq2seq has no questions"),
    (CLASSIFY, {"delimiter": "\n"}, "cannot separate values"),
    (CLASSIFY, {"delimiter": "ab"}, "at most 1 character"),
    (CLASSIFY, {"format": "xlsx"}, "'csv', 'tsv', 'jsonl' or 'parquet'"),
    (CLASSIFY, {"columns": {"text": True}}, "columns"),
    (CLASSIFY, {"label_names": {1: "a", "1": "b"}}, "two names of the label '1'; expected one"),
    (CLASSIFY, {"columns": {"text": 1, "label": 0}}, "say header: false if the first line is a ro"),
])  # fmt: skip
def test_options_that_do_not_fit(task, given, message):
    with pytest.raises(ValidationError, match=message.replace("(", r"\(")):
        options(task, **given)


SMALL = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@SMALL
@given(st.data(), st.sampled_from(["f.csv", "f.tsv", "f.jsonl", "f.parquet"]))
def test_damaged_files(tmp_path, data, name):
    """Any bytes give records, bad records or a DataError."""
    if name == "f.parquet":
        pq.write_table(pa.Table.from_pylist([{"text": "ab", "label": 1}] * 9), tmp_path / name)
        content = bytearray((tmp_path / name).read_bytes())
    else:
        content = bytearray({"f.csv": CSV, "f.tsv": TSV}.get(name, json.dumps(OBJECTS)).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, max(len(content) - 1, 0)))
        content[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    (tmp_path / name).write_bytes(bytes(content))
    try:
        for record in read(tmp_path / name, "train", options()):
            if isinstance(record, DataError):
                check_line(record)
    except DataError as error:
        check_line(error)
        assert name in str(error)


def test_line_ends_inside_quotes_count_in_offsets(tmp_path):
    text = 'question,context,answer_text,answer_start\r\nWhere?,"Go\r\nto Rome",Rome,7\r\n'
    (found,) = rows(tmp_path, text, task=ASK)
    assert found["context"] == "Go\r\nto Rome" and found["answers"]["start"] == [7]


# cards -----------------------------------------------------------------------------------------


def card(local, **more):
    return DatasetCard.parse({
        "name": "x", "task": CLASSIFY, "version": 1, "licence": "l", "language": "en",
        "description": "d", "skew": "label", "test": {"fraction": 0.25},
        "local": {"reader": "table", **local}, **more,
    }, "x.yaml")  # fmt: skip


def test_a_card_gives_a_corpus_with_clients(tmp_path):
    lines = (f"{i % 5 + 1},u{i % 3},text {i}\n" for i in range(40))
    (tmp_path / "a.csv").write_text("stars,user,review\n" + "".join(lines))
    given = card({"files": {"train": "a.csv"}, "options": {"columns": NAMES}})
    assert given.has_clients
    corpus = load_corpus(given, data_root=tmp_path, cache_dir=tmp_path / "cache")
    assert {s: len(rows) for s, rows in corpus.splits.items()} == {
        "train": 27, "validation": 3, "test": 10,
    }  # fmt: skip
    assert corpus.labels == ["1", "2", "3", "4", "5"]
    assert set(corpus.splits["train"]["client"]) == {"u0", "u1", "u2"}


def test_a_card_with_columns_of_another_task():
    with pytest.raises(DataError, match=r"x\.yaml local\.options: columns has 'words'"):
        card({"files": {"train": "a.csv"}, "options": {"columns": {"words": "w"}}})
    assert not card({"files": {"train": "a.csv"}}).has_clients


def test_a_second_question_with_the_same_id(tmp_path):
    content = "".join(json.dumps(hub(ANSWERS)) + "\n" for _ in range(4))
    (tmp_path / "a.jsonl").write_text(content)
    given = card({"files": {"train": "a.jsonl"}}, task=ASK, skew="title")
    with pytest.raises(DataError, match="line 2: a second question with the id q"):
        load_corpus(given, data_root=tmp_path, cache_dir=tmp_path / "cache")


def test_questions_without_ids_in_two_files_of_one_name(tmp_path):
    """One file: its name and the row. Several: their place in the card as well."""
    content = [{**hub(ANSWERS), "title": f"T{n}", "from": "x"} for n in range(4)]
    for row in content:
        del row["id"]
    options = {"columns": {"source": "from"}}  # which the name of a file cannot be here
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        rows = [json.dumps({**row, "question": f"{folder}?"}) for row in content]
        (tmp_path / folder / "f.jsonl").write_text("\n".join(["{}", *rows, ""]))

    (tmp_path / "t.jsonl").write_text(json.dumps({**content[0], "title": "test"}) + "\n")

    def ids(train):
        given = card({"files": {"train": train, "test": "t.jsonl"}, "options": options},
                     task=ASK, skew="title", test=None, validation={"fraction": 0.5})  # fmt: skip
        corpus = load_corpus(given, data_root=tmp_path, cache_dir=tmp_path / "cache", skip_bad=9)
        return [key for split in ("train", "validation") for key in corpus.splits[split]["id"][:]]

    assert sorted(ids("a/f.jsonl")) == ["f-2", "f-3", "f-4", "f-5"]
    assert sorted(ids(["a/f.jsonl", "b/f.jsonl"])) == [
        f"{place}/f-{row}" for place in (1, 2) for row in (2, 3, 4, 5)
    ]
