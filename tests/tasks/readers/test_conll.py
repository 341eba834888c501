"""CoNLL columns: layouts, line endings, document markers, and every broken line by its number."""

from __future__ import annotations

import pytest
from reading import good

from tasks.errors import DataError
from tasks.readers.conll import ConllOptions, read


def rows(tmp_path, text, **options):
    path = tmp_path / "f.conll"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [row for _, row in good(read(path, "train", ConllOptions(**options)))]


def test_wikiann_layout(tmp_path):
    text = "en:R.H.\tB-ORG\nen:Saunders\tI-ORG\nen:(\tO\n\n\nen:Paris\tB-LOC\n"
    assert rows(tmp_path, text, token_prefix="en:") == [
        {"words": ["R.H.", "Saunders", "("], "tags": ["B-ORG", "I-ORG", "O"]},
        {"words": ["Paris"], "tags": ["B-LOC"]},
    ]


def test_conll2003_layout(tmp_path):
    text = (
        "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n"
        "-DOCSTART- -X- -X- O\nPeter NNP B-NP B-PER\n"
    )
    assert rows(tmp_path, text, separator=None, columns=4) == [
        {"words": ["EU", "rejects"], "tags": ["B-ORG", "O"]},
        {"words": ["Peter"], "tags": ["B-PER"]},
    ]


def test_no_marker_keeps_the_word(tmp_path):
    text = "-DOCSTART-\tO\n"
    assert rows(tmp_path, text, document_marker=None) == [{"words": ["-DOCSTART-"], "tags": ["O"]}]


def test_byte_order_mark_crlf_and_unicode_line_separators(tmp_path):
    text = "\ufeffa\u2028b\tO\r\n\r\n \u00a0x\x85\tO\r\n"
    assert rows(tmp_path, text) == [
        {"words": ["a\u2028b"], "tags": ["O"]},
        {"words": [" \u00a0x\x85"], "tags": ["O"]},
    ]


@pytest.mark.parametrize(("text", "message"), [
    ("a\tO\nb\n", "line 2: 1 columns; expected 2"),
    ("a\tO\nb\tx\tO\n", "line 2: 3 columns; expected 2"),
    ("a\tO\n\tO\n", "line 2: an empty word"),
    ("a\tO\nb\tB\n", "line 1 word 2: tag 'B'"),
    ("a\tO\nb\tX-PER\n", "line 1 word 2: tag 'X-PER'"),
    ("a\tO\nb\tB-\n", "line 1 word 2: tag 'B-'"),
    ("a\tO\n\nb\tO\nc\tI-PER\n", "line 3 word 2: tag I-PER follows O"),
    ("a\tI-PER\n", "line 1 word 1: tag I-PER follows the sentence start"),
    ("a\tB-LOC\nb\tI-PER\n", "line 1 word 2: tag I-PER follows B-LOC"),
    (b"a\tO\n\xff\tO\n", "line 2: bytes that are not UTF-8"),
    ("", "no sentence"),
    ("\n\n", "no sentence"),
])  # fmt: skip
def test_broken_lines(tmp_path, text, message):
    with pytest.raises(DataError) as error:
        rows(tmp_path, text)
    assert message in str(error.value) and "f.conll" in str(error.value)
    assert "\n" not in str(error.value)


def test_options_that_do_not_fit(tmp_path):
    with pytest.raises(DataError, match="line 1: 2 columns; expected 4"):
        rows(tmp_path, "a\tO\n", columns=4)
    with pytest.raises(DataError, match="line 1: 2 columns; expected columns 0 and 3"):
        rows(tmp_path, "a\tO\n", tag_column=3)
    with pytest.raises(DataError, match="line 2: word 'b'; expected the prefix 'en:'"):
        rows(tmp_path, "en:a\tO\nb\tO\n", token_prefix="en:")
    with pytest.raises(DataError, match="line 1: an empty word"):
        rows(tmp_path, "en:\tO\n", token_prefix="en:")


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        list(read(tmp_path / "none", "train", ConllOptions()))
    with pytest.raises(DataError, match="cannot be read"):
        list(read(tmp_path, "train", ConllOptions()))
