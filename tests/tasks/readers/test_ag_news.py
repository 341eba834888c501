"""AG News: class numbers from 1, title and description, broken rows."""

from __future__ import annotations

import pytest
from reading import outcomes

from tasks.errors import DataError
from tasks.readers.ag_news import AgNewsOptions, read


def rows(tmp_path, text, **options):
    path = tmp_path / "f.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return outcomes(read(path, "train", AgNewsOptions(**options)))


def test_rows(tmp_path):
    text = '"3","Fears, again","A ""second""\\team  #36;10"\r\n"1","Only a title",""\n'
    assert rows(tmp_path, text) == [
        {"text": 'Fears, again A "second"\\team  #36;10', "label": "Business"},
        {"text": "Only a title ", "label": "World"},
    ]
    assert rows(tmp_path, '"2","a","b"\n', classes=["x", "y"]) == [{"text": "a b", "label": "y"}]


@pytest.mark.parametrize(("line", "message"), [
    (b'"1","a"', "line 2: 2 columns; expected 3"),
    (b'"0","a","b"', "line 2: class '0'; expected 1 to 4"),
    (b'"5","a","b"', "line 2: class '5'; expected 1 to 4"),
    (b'"class","title","description"', "line 2: class 'class'"),
    (b'"1",""," "', "line 2: an empty article"),
    (b'"1","a","b" c', "line 2: a row that is not CSV"),
    (b'"1","a","\xff"', "line 2: bytes that are not UTF-8"),
])  # fmt: skip
def test_a_bad_row_is_one_bad_record(tmp_path, line, message):
    first, bad, last = rows(tmp_path, b'"1","a","b"\n' + line + b'\n"2","c","d"\n')
    assert message in bad and "f.csv" in bad
    assert (first["label"], last["label"]) == ("World", "Sports")


def test_no_rows(tmp_path):
    with pytest.raises(DataError, match="no rows"):
        rows(tmp_path, "")
