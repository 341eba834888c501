"""An error is one line that a terminal can show, however large the data are that it is about."""

from __future__ import annotations

import pickle

import pytest

from fednlp.errors import UserError
from partitioners.errors import PartitionError
from tasks.errors import DataError
from tasks.readers.conll import ConllOptions, read
from tasks.tables import encoded_tables


@pytest.mark.parametrize("kind", [DataError, UserError, PartitionError])
def test_long_parts_lose_their_middle(kind):
    error = kind("a.txt line 3", "begin" + "x" * 3_000_000 + "end", "first" + "y" * 9999 + "last")
    line = str(error)
    assert line.startswith("a.txt line 3: beginxxx") and len(line) < 700
    assert "xxend; expected firstyyy" in line and line.endswith("yylast") and " ... " in line
    if kind is not UserError:  # the others come out of worker processes
        assert str(pickle.loads(pickle.dumps(error))) == line
    assert "..." not in str(kind("f", "x" * 300, "y" * 300))


@pytest.mark.parametrize("kind", [DataError, UserError])
@pytest.mark.parametrize("odd", ["\x1b[31m", "\udcff", "\u202e", "a\n\nb", "\U000e0001"])
def test_what_no_terminal_should_get_is_escaped(kind, odd):
    line = str(kind(odd * 9999, odd * 9999, odd * 9999, odd * 9999))
    assert line.isprintable() and len(line) < 3000


def test_a_word_of_three_megabytes(tmp_path):
    word = "x" * 3_000_000
    path = tmp_path / "f.conll"
    path.write_text(f"{word}\tO\n\na\tB-{word}\n\nb\t{word}\n")
    for options in (ConllOptions(token_prefix="en:"), ConllOptions(scheme="bioes"), ConllOptions()):
        lines = [str(r) for r in read(path, "train", options) if isinstance(r, DataError)]
        assert lines and all(len(line) < 1000 and str(path) in line for line in lines)


def test_a_label_of_three_megabytes():
    from test_tables import card

    records = [("f line 1", {"text": "t", "label": "x" * 3_000_000})]
    with pytest.raises(DataError) as error:
        encoded_tables(card("text_classification", labels=["a", "b"]), {"train": records})
    assert len(str(error.value)) < 1000
