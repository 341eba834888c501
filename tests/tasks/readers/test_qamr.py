"""QAMR: answers as sets of tokens, with gaps; a sentence file beside; every broken line."""

from __future__ import annotations

import zipfile

import pytest
from reading import good

from tasks.errors import DataError
from tasks.readers.qamr import QamrOptions, read
from tasks.readers.reader import LeftOut

SENTENCES = "S:1\tThe emblems , café \U0001f600 and texts are -LRB- rare -RRB- .\nS:2\tIt rains .\n"
QUESTION = "S:1\t3 4\t76\t0\t3\tWhat is listed ? \t1 3 4 5\t261:1\t60:0 1 3"
FILES = {"train": "dev.tsv", "test": "test.tsv"}


def folder(tmp_path, questions, sentences=SENTENCES):
    for name, content in (("dev.tsv", questions), ("wiki-sentences.tsv", sentences)):
        raw = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(raw)
    return tmp_path


def records(path, **options):
    return list(read(path, "train", QamrOptions(files=FILES, **options)))


def test_rows_and_answers_with_gaps(tmp_path):
    ((where, row),) = records(folder(tmp_path, QUESTION + "\n"))
    assert where == f"{tmp_path}/dev.tsv line 1"
    assert row == {
        "id": "S:1/3-4/76/0", "question": "What is listed ? ", "title": "S:1", "client": "76",
        "context": "The emblems , café \U0001f600 and texts are -LRB- rare -RRB- .",
        # without gaps first; then the longest run of each
        "answers": {"text": ["emblems", "café \U0001f600 and", "The emblems"], "start": [4, 14, 0]},
    }  # fmt: skip


def test_answers_with_gaps_may_be_dropped(tmp_path):
    only_gaps = QUESTION.replace("261:1", "261:1 3").replace("\t0\t", "\t1\t")
    path = folder(tmp_path, f"{QUESTION}\n{only_gaps}")
    (_, row), left = records(path, noncontiguous="drop")
    assert row["answers"] == {"text": ["emblems"], "start": [4]}
    assert isinstance(left, LeftOut) and left.found == "without a contiguous answer"
    assert len(good(records(path))) == 2


def test_equal_runs_and_equal_answers(tmp_path):
    ((_, row),) = records(folder(tmp_path, QUESTION.replace("1 3 4 5", "0 1 3 4")))
    assert row["answers"]["text"] == ["emblems", "The emblems"]  # the first run, once


def test_a_zip(tmp_path):
    folder(tmp_path, QUESTION)
    with zipfile.ZipFile(tmp_path / "qamr.zip", "w") as archive:
        archive.write(tmp_path / "dev.tsv", "data/filtered/dev.tsv")
        archive.write(tmp_path / "wiki-sentences.tsv", "data/wiki-sentences.tsv")
    assert len(good(records(tmp_path / "qamr.zip"))) == 1


@pytest.mark.parametrize(("old", "new", "message"), [
    ("\t60:0 1 3", "", "line 1: 8 columns; expected 9"),
    ("60:0", "x\t60:0", "line 1: 10 columns; expected 9"),
    ("S:1", "S:3", "line 1: no sentence 'S:3'; expected one of those in wiki-sentences.tsv"),
    ("261:1", "261", "line 1: judgment '261'"),
    ("261:1", ":1", "line 1: judgment ':1'"),
    ("261:1", "261:Invalid", "line 1: 'Invalid' in an answer"),
    ("261:1", "261:Redundant-2", "the filtered version of the data has nothing else"),
    ("261:1", "261:12", "line 1: '12' in an answer; expected token numbers from 0 to 11"),
    ("261:1", "261:-1", "line 1: '-1' in an answer"),
    ("261:1", "261:", "line 1: '' in an answer"),
    ("261:1", "261:1  2", "line 1: '' in an answer"),
    ("261:1", "261:١", "line 1: '١' in an answer"),
    ("261:1", "261:1_0", "line 1: '1_0' in an answer"),
    ("261:1", "261:" + "9" * 5000, "line 1: '9999"),
    ("What", "\udcff", "line 1: bytes that are not UTF-8"),
    ("What", "\0", "line 1: a NUL byte"),
    (QUESTION, "", "line 1: 1 columns; expected 9"),
])  # fmt: skip
def test_a_broken_question_is_one_record(tmp_path, old, new, message):
    content = f"{QUESTION.replace(old, new, 1)}\n{QUESTION}".encode(errors="surrogateescape")
    bad, fine = records(folder(tmp_path, content))
    assert message in str(bad) and "dev.tsv" in str(bad) and "\n" not in str(bad)
    assert fine[1]["id"] == "S:1/3-4/76/0"


@pytest.mark.parametrize(("sentences", "message"), [
    (SENTENCES.replace(" ,", "  ,"), "wiki-sentences.tsv line 1: an empty token"),
    (SENTENCES.replace(" ,", " \u00a0 ,"), "wiki-sentences.tsv line 1: an empty token"),
    (SENTENCES.replace("S:2", "S:1"), "wiki-sentences.tsv line 2: a second sentence S:1"),
    (SENTENCES.replace("emblems", "em\tblems"), "wiki-sentences.tsv line 1: 3 columns"),
    (SENTENCES.replace("\t", " "), "wiki-sentences.tsv line 1: 1 columns"),
    (SENTENCES.encode().replace(b"emblems", b"\xff"), "line 1: bytes that are not UTF-8"),
    ("", "no sentence 'S:1'"),
])  # fmt: skip
def test_a_broken_sentence(tmp_path, sentences, message):
    with pytest.raises(DataError) as error:
        good(records(folder(tmp_path, QUESTION, sentences)))
    assert message in str(error.value)


def test_a_sentence_line_without_an_id_is_bad_once(tmp_path):
    """Not once in every split, which all read the file of sentences."""
    path = folder(tmp_path, QUESTION, SENTENCES + "S:3\n")
    (path / "test.tsv").write_text(QUESTION, encoding="utf-8")
    counts = [
        sum(isinstance(r, DataError) for r in read(path, split, QamrOptions(files=FILES)))
        for split in FILES
    ]
    assert counts == [1, 0]


def test_a_sentence_that_nobody_asks_about_may_be_broken(tmp_path):
    assert good(records(folder(tmp_path, QUESTION, SENTENCES.replace("It rains", "It  rains"))))


def test_missing_files(tmp_path):
    with pytest.raises(DataError, match=r"wiki-sentences\.tsv: no such file"):
        records(tmp_path)
    path = folder(tmp_path, "")
    with pytest.raises(DataError, match=r"dev\.tsv: no question"):
        records(path)
    with pytest.raises(DataError, match=r"test\.tsv: no such file"):
        list(read(path, "test", QamrOptions(files=FILES)))
    with pytest.raises(DataError, match="no file is known for the split validation"):
        list(read(path, "validation", QamrOptions(files=FILES)))
    folder(tmp_path, QUESTION)
    with pytest.raises(DataError, match=r"dev\.tsv line 1: 9 columns.*local\.files names the fold"):
        good(records(tmp_path / "dev.tsv"))
