"""Every reader, from damaged files to tables: either a table that fits the schema, or one line.

A good file of each format is taken apart into words, numbers and signs; some are dropped, doubled,
moved, or exchanged for one of another place or for something hostile.
"""

from __future__ import annotations

import json
import re

import pytest
from fuzzing import times
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import check_line
from test_gold_conll import DOCUMENT
from test_news_stories import CNN, STORY, name

from tasks.dataset_card import DatasetCard
from tasks.errors import DataError
from tasks.readers import READERS
from tasks.schema import features
from tasks.tables import encoded_tables

SQUAD = {"data": [{"title": "t", "paragraphs": [{"context": "in Rome é", "qas": [
    {"id": f"q{n}", "question": "Where?", "answers": [{"text": "Rome", "answer_start": 3}]}
    for n in range(2)]}]}]}  # fmt: skip
MRQA = {"context": "in Rome é", "qas": [{"qid": "q", "question": "Where?",
    "detected_answers": [{"text": "rome", "char_spans": [[3, 6]]}]}]}  # fmt: skip
REVIEWS = [{"text": "a b", "label": 1.0, "client": "u"}, {"text": "c", "label": 0, "client": "v"}]
MAIL = "one\ntwo\n\n@subject\nthree\n"

# Reader -> its files below one folder, the path that it reads there, and options of a card.
GOOD: dict[str, tuple[dict[str, str], str, dict]] = {
    "aeslc": ({"train/a_inbox_1.subject": MAIL, "train/b_sent_2.subject": MAIL}, "", {}),
    "ag_news": ({"f": '"3","Fears, again","Unions ""say"" é"\n"1","a","b"\n'}, "f", {}),
    "conll": ({"f": "Ada\tB-PER\nLee\tI-PER\n\nsaw\tO\n"}, "f", {}),
    "e2e_csv": ({"trainset.csv": 'mr,ref\n"name[a], b",x\ny,"z\nz"\n'}, "", {}),
    "gold_conll": ({"a/b.gold_conll": DOCUMENT}, "", {}),
    "movie_dialogs": ({
        "movie_lines.txt": "L1 +++$+++ u0 +++$+++ m0 +++$+++ BO +++$+++ Be quick.\n"
                           "L2 +++$+++ u1 +++$+++ m0 +++$+++ CY +++$+++ I am.\n",
        "movie_conversations.txt": "u0 +++$+++ u1 +++$+++ m0 +++$+++ ['L1', 'L2']\n",
    }, "", {"client": "character"}),
    "mrqa_jsonl": (
        {"f": "\n".join(map(json.dumps, [{"header": {"dataset": "S"}}, MRQA]))}, "f", {}
    ),
    "news_stories": ({f"cnn/stories/{name(CNN)}": STORY, "url_lists/all_train.txt": CNN}, "", {}),
    "newsgroups20": ({
        "20news-bydate-train/sci.med/1": "From: a\n\nHe writes:\n> x\n\n--\nbye\n",
        "20news-bydate-train/alt.x/22": "From: b\n\nyes\n",
    }, "", {"remove": ["headers", "footers", "quotes"]}),
    "parallel_lines": (
        {"f.src": "a\nb\n", "f.tgt": "x\ny\n", "f.who": "u\nv\n"}, "f.src",
        {"target": {".src": ".tgt"}, "clients": {".src": ".who"}},
    ),
    "qamr": ({
        "train.tsv": "S:1\t3 4\t76\t0\t3\tWhere ?\t4\t261:3 4\t60:0 4\n",
        "wiki-sentences.tsv": "S:1\tThe café is in Rome .\nS:2\tIt rains .\n",
    }, "", {}),
    "semeval2010_task8": ({
        "TRAIN_FILE.TXT": '1\t"An <e1>audit</e1> about <e2>waste</e2>."\nOther\nComment: x\n\n'
                          '2\t"A <e1>b</e1> c <e2>d</e2>"\nMessage-Topic(e1,e2)\nComment:\n\n',
    }, "", {}),
    "sentiment140": ({"f.csv": '"0","1","Mon","Q","ann","so, sad"\n"4","2","Tue","Q","bo","y"\n'},
                     "f.csv", {"encoding": "utf-8"}),
    "squad_json": ({"f": json.dumps(SQUAD)}, "f", {"client_key": "title"}),
    "sst2": ({"f": "sentence\tlabel\na \"fine film \t1\n'dull' , \"\t0\n"}, "f", {}),
    "table": ({"f.jsonl": "\n".join(map(json.dumps, REVIEWS))}, "f.jsonl",
              {"columns": {"client": "client"}}),
    "wikiner": ({"f": "The|DT|O Oxford|NNP|I-ORG\n\nI|x|O saw|y|O\n"}, "f", {}),
}  # fmt: skip

HOSTILE = [
    b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\n\n", b"\t", b"", b'"',
    b"{", b"[" * 3000, b"null", b"NaN", b"1e999", b"-1", b"9" * 5000, b"\\ud800", b"x" * 5000, b"|",
    b"\xe2\x80\xa8", b"\xe2\x80\xae", b"true", b"\x1f\x8b\x08", b"BZh9", b"PK\x03\x04", b"@subject",
    b"#begin document (d); part 000", b"B-PER", b" +++$+++ ", b"<e1>", b"../x",
]  # fmt: skip


def card(reader):
    task, (_, path, options) = READERS[reader].tasks[0], GOOD[reader]
    return DatasetCard.parse({
        "name": "mine", "task": task, "version": 1, "licence": "x", "language": "en",
        "description": "x", "skew": "cluster", "test": {"fraction": 0.2},
        "local": {"reader": reader, "files": {"train": path or "."}, "options": options},
    }, "mine.yaml")  # fmt: skip


def written(folder, reader):
    files, path, _ = GOOD[reader]
    for place, content in files.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(content.encode())
    return folder / path


def table(path, reader, skip_bad):
    mine = card(reader)
    options = mine.local.reader_options(mine.task)
    records = READERS[reader].read(path, "train", options)
    return mine, encoded_tables(mine, {"train": records}, skip_bad)


def test_all_readers_are_here():
    assert GOOD.keys() == READERS.keys()


@pytest.mark.parametrize("reader", GOOD)
def test_the_good_files_are_good(tmp_path, reader):
    _, parsed = table(written(tmp_path, reader), reader, 0)
    assert parsed.tables["train"].num_rows > 0 and not parsed.skipped


@st.composite
def damaged(draw, content):
    pieces = re.findall(rb"\w+|\s|[^\w\s]", content)
    for _ in range(draw(st.integers(1, 5))):
        place = draw(st.integers(0, max(len(pieces) - 1, 0)))
        new = draw(st.sampled_from(HOSTILE) | st.sampled_from(pieces or [b""]) | st.binary())
        kind = draw(st.integers(0, 4))
        kept = pieces[place : place + 1]
        pieces[place : place + 1] = [[], [new], [new, *kept], kept * 2, [*kept, new]][kind]
    return b"".join(pieces)


@pytest.mark.parametrize("reader", GOOD)
def test_damaged_files_give_a_table_or_a_line(tmp_path_factory, reader):
    folder = tmp_path_factory.mktemp("fuzz")
    path = written(folder, reader)
    files = GOOD[reader][0]

    @settings(max_examples=times(100), deadline=None)
    @given(st.data())
    def run(data):
        place = data.draw(st.sampled_from(sorted(files)))
        (folder / place).write_bytes(data.draw(damaged(files[place].encode())))
        try:
            for skip_bad in (10**9, 0):
                mine, parsed = table(path, reader, skip_bad)
                rows = parsed.tables["train"]
                assert rows.schema == features(mine.task).arrow_schema and rows.num_rows > 0
                assert len(parsed.skipped) <= skip_bad
                rows.validate(full=True)
        except DataError as error:
            check_line(error)
        finally:
            (folder / place).write_bytes(files[place].encode())

    run()
