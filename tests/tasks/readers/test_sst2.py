"""SST-2: headers in either order, no quoting, the test file of GLUE, broken rows."""

from __future__ import annotations

import pytest
from reading import outcomes

from tasks.errors import DataError
from tasks.readers.sst2 import Sst2Options, read


def rows(tmp_path, text, **options):
    path = tmp_path / "f.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return outcomes(read(path, "train", Sst2Options(**options)))


GOOD = [
    {"text": 'a "fine film ', "label": "positive"},
    {"text": "'dull' , \"", "label": "negative"},
]


@pytest.mark.parametrize("text", [
    'sentence\tlabel\na "fine film \t1\n\'dull\' , "\t0\n',
    '\ufefflabel\tcontent\r\n1\ta "fine film \r\n0\t\'dull\' , "\r\n',
    'index\tsentence\tlabel\n0\ta "fine film \t1\n1\t\'dull\' , "\t0',
    'label\ttext\tidx\n1\ta "fine film \t7\n\n0\t\'dull\' , "\t8\n',
])  # fmt: skip
def test_layouts(tmp_path, text):
    assert rows(tmp_path, text) == GOOD


def test_other_names(tmp_path):
    text = "label\tsentence\n0\tx\n"
    assert rows(tmp_path, text, label_names=["no", "yes"]) == [{"text": "x", "label": "no"}]


@pytest.mark.parametrize(("line", "message"), [
    ("1", "line 3: 1 columns; expected 2"),
    ("1\tx\ty", "line 3: 3 columns; expected 2"),
    ("-1\tx", "line 3: label '-1'; expected 0 or 1"),
    ("positive\tx", "line 3: label 'positive'"),
    ("1\t ", "line 3: an empty sentence"),
    (b"1\t\xff", "line 3: bytes that are not UTF-8"),
    (b"1\tx\ry", "line 3: a carriage return inside the row"),
])  # fmt: skip
def test_a_bad_row_is_one_bad_record(tmp_path, line, message):
    line = line if isinstance(line, bytes) else line.encode()
    first, bad, last = rows(tmp_path, b"label\tsentence\n1\ta\n" + line + b"\n0\tb\n")
    assert message in bad and "f.tsv" in bad
    assert (first["text"], last["text"]) == ("a", "b")


@pytest.mark.parametrize(("text", "message"), [
    ("index\tsentence\n0\tx\n", "the test file of GLUE has no labels"),
    ("1\ta good film\n", "a header with label and sentence"),
    ("label,sentence\n1,a\n", "a header with label and sentence"),
    ("label\tsentence\ttext\n1\ta\tb\n", "a header with label and sentence"),
    ("label\tlabel\tsentence\n1\t1\tb\n", "a header with label and sentence"),
    (b"\xff\n", "not UTF-8"),
    ("label\tsentence\n", "no rows"),
    ("", "a header with label and sentence"),
])  # fmt: skip
def test_unreadable_files(tmp_path, text, message):
    with pytest.raises(DataError) as error:
        rows(tmp_path, text)
    assert message in str(error.value) and "f.tsv" in str(error.value)


def test_missing(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        list(read(tmp_path / "none.tsv", "train", Sst2Options()))
