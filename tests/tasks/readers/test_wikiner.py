"""WikiNER lines: words with bars, IOB1, bz2, and every broken token."""

from __future__ import annotations

import bz2

import pytest
from reading import good

from tasks.errors import DataError
from tasks.readers.wikiner import WikinerOptions, read

TEXT = (
    "\nThe|DT|O Oxford|NNP|I-ORG Companion|NNP|I-ORG says|VBZ|O\n"
    "\n \nAda|NNP|I-PER Bo|NNP|B-PER  ,|,|O ||SYM|O a|b|NN|I-MISC \n"
)


def rows(tmp_path, content, **options):
    path = tmp_path / "aij-wikiner-en-wp3.bz2"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return good(read(path, "train", WikinerOptions(**options)))


@pytest.mark.parametrize("pack", [str.encode, lambda text: bz2.compress(text.encode())])
def test_as_released(tmp_path, pack):
    found = rows(tmp_path, pack(TEXT))
    assert [row for _, row in found] == [
        {"words": ["The", "Oxford", "Companion", "says"], "tags": ["O", "B-ORG", "I-ORG", "O"]},
        {"words": ["Ada", "Bo", ",", "|", "a|b"], "tags": ["B-PER", "B-PER", "O", "O", "B-MISC"]},
    ]
    assert found[1][0].endswith("bz2 line 5")


def test_tabs_separate_too(tmp_path):
    assert rows(tmp_path, "a|NN|O\tb|NN|O\t\n")[0][1]["words"] == ["a", "b"]


def test_a_word_keeps_a_no_break_space(tmp_path):
    assert rows(tmp_path, "10\u00a0000|CD|O\r\n")[0][1]["words"] == ["10\u00a0000"]


@pytest.mark.parametrize(("text", "message"), [
    ("a|NN|O b|O c|NN|O\n", "line 1 word 2: 'b|O'; expected word|POS|tag"),
    ("a|NN|O b\n", "line 1 word 2: 'b'"),
    ("|NN|O\n", "line 1 word 1: '|NN|O'"),
    ("a|NN|\n", "line 1 word 1: tag ''"),
    ("a|NN|E-PER\n", "line 1 word 1: tag 'E-PER'"),
    (b"\xff|NN|O\n", "line 1: bytes that are not UTF-8"),
    (b"a|NN|\0\n", "line 1: a NUL byte"),
    ("\n\n", "no sentence; expected lines of word|POS|tag"),
    ("", "no sentence"),
    (bz2.compress(TEXT.encode())[:-9], "cannot be read"),
    (b"BZh9" + b"x" * 60, "cannot be read"),
])  # fmt: skip
def test_broken_content(tmp_path, text, message):
    with pytest.raises(DataError) as error:
        rows(tmp_path, text)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_bad_sentence_is_one_record_and_reading_goes_on(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"a|O b|O\nc|NN|O\n")
    bad, (_, row) = read(path, "train", WikinerOptions())
    assert isinstance(bad, DataError) and row["words"] == ["c"]


def test_another_scheme_and_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="tag I-PER follows the sentence start"):
        rows(tmp_path, "a|NN|I-PER\n", scheme="iob2")
    with pytest.raises(DataError, match="no such file"):
        list(read(tmp_path / "none", "train", WikinerOptions()))
