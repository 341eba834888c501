"""Sentiment140: the official CSV, its copies, one tweet per line; users and neutral rows."""

from __future__ import annotations

import gzip

import pytest
from reading import outcomes

from tasks.errors import DataError
from tasks.readers.reader import LeftOut
from tasks.readers.sentiment140 import Sentiment140Options, read

OFFICIAL = (
    '"0","1467810369","Mon Apr 06 22:19:45 PDT 2009","NO_QUERY","ann",'
    '"@b Awww &quot;caf\xe9&quot;, "\r\n'
    '"2","3","Mon May 11 03:17:40 UTC 2009","kindle2","bob","Reading ""it""\r\nnow"\r\n'
    '"4","4","Mon May 11 03:18:03 UTC 2009","NO_QUERY","ann","Ok ; fine"\r\n'
)


def rows(tmp_path, content, name="f.csv", **options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("latin-1"))
    return outcomes(read(path, "train", Sentiment140Options(**options)))


def row(text, label, client=""):
    return {"text": text, "label": label, "client": client, "source": ""}


def test_official_csv(tmp_path):
    expected = [
        row("@b Awww &quot;caf\xe9&quot;, ", "negative", "ann"),
        row('Reading "it"\nnow', "neutral", "bob"),
        row("Ok ; fine", "positive", "ann"),
    ]
    assert rows(tmp_path, OFFICIAL) == expected
    assert rows(tmp_path, OFFICIAL, drop_neutral=True) == [expected[0], expected[2]]
    records = list(read(tmp_path / "f.csv", "train", Sentiment140Options(drop_neutral=True)))
    assert isinstance(records[1], LeftOut) and len(records) == 3  # in its place, so counted
    assert rows(tmp_path, gzip.compress(OFFICIAL.encode("latin-1")), "f.csv.gz") == expected
    assert rows(tmp_path, OFFICIAL.encode(), encoding="utf-8") == expected


def test_copies_with_other_columns(tmp_path):
    assert rows(tmp_path, "4,good\n0,bad\n") == [row("good", "positive"), row("bad", "negative")]
    text = ",0,1,Mon,NO_QUERY,ann,bad\n7,4,2,Mon,NO_QUERY,bob,good\n"
    assert rows(tmp_path, text) == [row("bad", "negative", "ann"), row("good", "positive", "bob")]


def test_one_tweet_per_line(tmp_path):
    text = '"0",1\nsmile \u2028 é\r\n'.encode()
    expected = [row('"0",1', "positive"), row("smile \u2028 é", "positive")]
    assert rows(tmp_path, text, "positive.txt") == expected
    first, bad, last = rows(tmp_path, b"a\n\nb\n", "negative.txt")
    assert first == row("a", "negative") and last == row("b", "negative")
    assert "negative.txt line 2: an empty tweet" in bad
    assert "not UTF-8" in rows(tmp_path, b"\xff\n", "positive.txt")[0]
    with pytest.raises(DataError, match=r"the name tweets\.txt; expected positive\.txt"):
        rows(tmp_path, "a\n", "tweets.txt")


@pytest.mark.parametrize(("line", "message"), [
    ('"4","a"', "line 2: 2 columns; expected 6"),
    ('"3","1","d","q","u","a"', "line 2: polarity '3'; expected 0, 2 or 4"),
    ('"","1","d","q","u","a"', "line 2: polarity ''"),
    ('"4","1","d","q","u"," "', "line 2: an empty tweet"),
    ('"4","1","d","q","u","a"b"', "line 2: a row that is not CSV"),
    ('"4","1","d","q","u","a\0"', "line 2: a NUL byte"),
])  # fmt: skip
def test_a_bad_row_is_one_bad_record(tmp_path, line, message):
    good = '"4","1","d","q","u","a"'
    first, bad, last = rows(tmp_path, "\n".join([good, line, good]))
    assert message in bad and "f.csv" in bad and first == last == row("a", "positive", "u")


@pytest.mark.parametrize(("content", "message"), [
    ("", "no tweet"),
    ("polarity,text,user\n", "line 1: 3 columns; expected 6"),
    (gzip.compress(OFFICIAL.encode())[:-9], "cannot be read"),
])  # fmt: skip
def test_unreadable_files(tmp_path, content, message):
    with pytest.raises(DataError) as error:
        rows(tmp_path, content)
    assert message in str(error.value) and "f.csv" in str(error.value)
