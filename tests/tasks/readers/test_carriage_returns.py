"""Files whose lines end with a carriage return alone are no files of one line."""

from __future__ import annotations

import pytest
from reading import good, outcomes

from tasks.readers import READERS

WORDS = "Ada B-PER\nsleeps O\n\nBo B-PER\n"
FILES = {
    "sentiment140": ("positive.txt", "so good\nso nice\nyes\n", {}),
    "wikiner": ("f", "The|DT|O Oxford|NNP|I-ORG\nI|x|O saw|y|O\nAda|x|I-PER\n", {}),
    "parallel_lines": ("f.src", "a b\nc\nd\n", {"target": {".src": ".tgt"}}),
    "conll": ("f", WORDS, {"separator": None}),
}


def read(tmp_path, reader, content):
    name, _, options = FILES[reader]
    for file in {name, name.replace(".src", ".tgt")}:
        (tmp_path / file).write_bytes(content.encode())
    return READERS[reader].read(tmp_path / name, "train", READERS[reader].options(**options))


@pytest.mark.parametrize("reader", FILES)
def test_lines_of_old_macs(tmp_path, reader):
    text = FILES[reader][1]
    whole = [row for _, row in good(read(tmp_path, reader, text))]
    found = good(read(tmp_path, reader, text.replace("\n", "\r\n")))
    assert [row for _, row in found] == whole
    old = text.replace("\n", "\r")
    (line,) = outcomes(read(tmp_path, reader, old))
    assert "line 1: a carriage return inside the line; expected one line; carriage" in line
    between = "\n" if reader == "conll" else ""
    *found, line = outcomes(read(tmp_path, reader, f"{text}{between}{old}\n"))
    assert found == whole and "a carriage return inside the line" in line
