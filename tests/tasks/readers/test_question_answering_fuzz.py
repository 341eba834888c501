"""Question answering readers on anything: a DataError, or answers that stand in their context."""

from __future__ import annotations

import copy
import gzip
import json
import os
import random
import tempfile
from pathlib import Path

import pytest
from fuzzing import seeds, times
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import check_line

from tasks.errors import DataError
from tasks.readers import READERS

SQUAD = {"data": [{"title": "t", "paragraphs": [{"context": "in Rome \U0001f600", "document_id": 3,
    "qas": [{"id": "q", "question": "Where?", "is_impossible": False,
             "answers": [{"text": "Rome", "answer_start": 3}]}]}]}]}  # fmt: skip
MRQA = {"context": "in Rome \U0001f600", "qas": [{"qid": "q", "question": "Where?",
    "detected_answers": [{"text": "rome", "char_spans": [[3, 6]]}]}]}  # fmt: skip
SENTENCES = "S:1\tThe café is in Rome .\nS:2\tIt rains .\n"
QUESTIONS = (
    "S:1\t3 4\t76\t0\t3\tWhere ?\t4\t261:3 4\t60:0 4\nS:2\t1\t76\t1\t1\tWhat ?\t1\t2:1\t6:0\n"
)

EVERY_OPTION = {
    "squad_json": [
        {},
        {"title_key": None, "unanswerable": "drop", "offset_tolerance": 9},
        {"title_key": "document_id", "integer_ids": True},
        {"client_key": "title"},
    ],
    "mrqa_jsonl": [{}, {"detected_text": "ignored"}],
    "qamr": [
        {"files": {"train": "questions"}, "sentences": "sentences"},
        {"files": {"train": "questions"}, "sentences": "sentences", "noncontiguous": "drop"},
    ],
}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("q" * 10_000),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
) | st.integers(0, 900).map(lambda depth: json.loads("[" * depth + "]" * depth or "0"))  # fmt: skip


def check(name, path):
    """Reads with every set of options; returns how many questions the first gave."""
    counts = []
    for number, options in enumerate(EVERY_OPTION[name]):
        reader, counted = READERS[name], 0
        try:
            for record in reader.read(path, "train", reader.options(**options)):
                if isinstance(record, DataError):
                    check_line(record)
                    continue
                row, counted = record[1], counted + 1
                answers = row["answers"]
                assert answers["text"] and len(answers["text"]) == len(answers["start"]), number
                for text, start in zip(answers["text"], answers["start"], strict=True):
                    assert start >= 0 and text.strip(), (row, number)
                    assert row["context"][start : start + len(text)] == text, (row, number)
                for column in ("id", "question", "context", "title"):
                    assert isinstance(row[column], str)
        except DataError as error:
            check_line(error)
        counts.append(counted)
    return counts[0]


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def places(value, path=()):
    """Where a JSON value has values."""
    yield path
    keys = {dict: list, list: lambda values: range(len(values))}.get(type(value), lambda _: ())
    for key in keys(value):
        yield from places(value[key], (*path, key))


def put(value, path, new):
    if not path:
        return new
    value = copy.deepcopy(value)
    owner = value
    for key in path[:-1]:
        owner = owner[key]
    owner[path[-1]] = new
    return value


@settings(max_examples=times(400), deadline=None)
@given(st.sampled_from(list(places(SQUAD))), anything)
def test_any_value_anywhere_in_squad(folder, path, new):
    (folder / "squad").write_text(json.dumps(put(SQUAD, path, new)), encoding="utf-8")
    check("squad_json", folder / "squad")


@settings(max_examples=times(400), deadline=None)
@given(st.sampled_from(list(places(MRQA))), anything, anything, st.booleans())
def test_any_value_anywhere_in_mrqa(folder, path, new, header, first):
    lines = [MRQA, put(MRQA, path, new), MRQA]
    lines = [{"header": header}, *lines] if first else [*lines, {"header": header}]
    text = "\n".join(map(json.dumps, lines))
    (folder / "mrqa").write_text(text, encoding="utf-8")
    found = check("mrqa_jsonl", folder / "mrqa")
    assert found >= 2 or first  # the good lines around it


cells = st.text(max_size=9) | st.lists(st.integers(-9, 99)).map(lambda n: " ".join(map(str, n)))


@settings(max_examples=times(400), deadline=None)
@given(st.integers(0, 8), cells, st.integers(0, 20), cells, st.booleans())
def test_any_cell_anywhere_in_qamr(folder, column, cell, token, word, colon):
    row = QUESTIONS.splitlines()[0].split("\t")
    row[column] = f"1:{cell}" if colon else cell
    words = SENTENCES.split(" ")
    words[token % len(words)] = word
    (folder / "questions").write_text("\t".join(row), encoding="utf-8")
    (folder / "sentences").write_text(" ".join(words), encoding="utf-8")
    check("qamr", folder)


@settings(max_examples=times(300), deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from([b"", b"{", b"[[", b"\x1f\x8b", b"BZh9", b"PK\3\4"])
)
def test_any_bytes(folder, content, start):
    for name in ("any", "questions", "sentences"):
        (folder / name).write_bytes(start + content)
    for name in ("squad_json", "mrqa_jsonl"):
        check(name, folder / "any")
    check("qamr", folder / "any")
    check("qamr", folder)


# mutations of real files -----------------------------------------------------------------------


HOSTILE = (b"\0", b"\xff", b"\n", b"\t", b'"', b"{", b"[", b"\\ud800", b"NaN", b"1e999", b"-",
           b"9" * 5000, b"[" * 5000)  # fmt: skip


def mutated(content, seed):
    """A few cuts, repeats, and changed bytes, digits and signs of JSON; by a seed."""
    draw = random.Random(seed)
    content = bytearray(content)
    for _ in range(draw.choice([1, 1, 3, 30])):
        at = draw.randrange(len(content) + 1)
        length = draw.choice([1, 1, 5, 100, 5000])
        kind = draw.randrange(6)
        if kind == 0:
            content[at : at + length] = b""
        elif kind == 1:
            content[at:at] = content[at : at + length]
        elif kind == 2:
            content[at : at + 1] = bytes([draw.randrange(256)])
        elif kind == 3:
            content[at:at] = draw.choice(HOSTILE)
        elif kind == 4:
            digit = next((i for i in range(at, len(content)) if chr(content[i]).isdigit()), None)
            if digit is not None:
                content[digit] = ord(str(draw.randrange(10)))
        elif draw.random() < 0.1:
            del content[at:]
    return bytes(content)


def real(name):
    data = Path(os.environ["FEDNLP_DATA"]) / "data"
    if name == "covidqa":  # two of its long articles
        content = json.loads((data / "covidqa" / "200423_covidQA.json").read_text("utf-8"))
        return "squad_json", json.dumps({"data": content["data"][:2]}).encode()
    if name in ("policyqa", "squad_v1.1", "mrqa"):
        file = "squad_v1.1/test-by-article.json" if name != "policyqa" else "policyqa/dev.json"
        articles = json.loads((data / file).read_text("utf-8"))["data"]
        for article in articles:
            article["paragraphs"] = article["paragraphs"][:5]
        if name != "mrqa":
            return "squad_json", json.dumps({"data": articles}).encode()
        lines = [{"header": {"dataset": "SQuAD", "split": "dev"}}]
        for paragraph in (p for article in articles for p in article["paragraphs"]):
            questions = [as_mrqa(question) for question in paragraph["qas"]]
            lines.append({"context": paragraph["context"], "qas": questions})
        return "mrqa_jsonl", "\n".join(map(json.dumps, lines)).encode()
    questions = (data / "qamr" / "dev.tsv").read_bytes()[:20_000]
    if name == "qamr":
        return "qamr", questions
    asked = {line.partition(b"\t")[0] for line in questions.splitlines()}
    lines = (data / "qamr" / "wiki-sentences.tsv").read_bytes().splitlines(keepends=True)
    return "qamr", b"".join(line for line in lines if line.partition(b"\t")[0] in asked)


def as_mrqa(question):
    spans = []
    for answer in question["answers"]:
        start, text = answer["answer_start"], answer["text"]
        spans.append({"text": text, "char_spans": [[start, start + len(text) - 1]]})
    return {"qid": question["id"], "question": question["question"], "detected_answers": spans}


@pytest.mark.skipif("FEDNLP_DATA" not in os.environ, reason="needs FEDNLP_DATA")
@pytest.mark.parametrize("name", ["covidqa", "policyqa", "squad_v1.1", "mrqa", "qamr", "sentences"])
def test_mutations_of_real_files(folder, name):
    reader, whole = real(name)
    target = folder / {"qamr": "questions", "sentences": "sentences"}.get(name, "mutated")
    if reader == "qamr":
        (folder / "questions").write_bytes(real("qamr")[1])
        (folder / "sentences").write_bytes(real("sentences")[1])
    target.write_bytes(whole)
    sound = folder if reader == "qamr" else target
    for seed in seeds(150):
        content = mutated(whole, seed)
        if reader == "mrqa_jsonl" and seed % 4 == 0:  # of the packed file
            content = mutated(gzip.compress(whole), seed)
        target.write_bytes(content)
        try:
            check(reader, sound)
        except Exception as error:
            pytest.fail(f"{name}, seed {seed}: {type(error).__name__}: {error}")
