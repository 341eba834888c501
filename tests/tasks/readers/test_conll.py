"""CoNLL columns: layouts, line endings, document markers, and every broken line by its number."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

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


def test_conll2003_as_released(tmp_path):
    """IOB1, and a -DOCSTART- that is followed by a blank line, or not."""
    text = (
        "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\nGerman JJ I-NP I-MISC\n\n"
        "Bo NNP I-NP I-PER\nAda NNP I-NP B-PER\n\n-DOCSTART- -X- O O\n\nRome NNP I-NP I-LOC\n\n"
    )
    assert rows(tmp_path, text, separator=None, columns=4, scheme="iob1") == [
        {"words": ["EU", "rejects", "German"], "tags": ["B-ORG", "O", "B-MISC"]},
        {"words": ["Bo", "Ada"], "tags": ["B-PER", "B-PER"]},
        {"words": ["Rome"], "tags": ["B-LOC"]},
    ]


def test_a_marker_is_a_whole_column(tmp_path):
    text = "-DOCSTART-x\tO\n"
    assert rows(tmp_path, text) == [{"words": ["-DOCSTART-x"], "tags": ["O"]}]


def test_wnut17_layout(tmp_path):
    """A lone tab ends a sentence; zero-width characters are part of their word."""
    text = "Dubbz\ufeff\tB-person\n\t\n\t\nwatched\u200bwas\tO\n\n#\tO\n"
    assert [row["words"] for row in rows(tmp_path, text, columns=2)] == [
        ["Dubbz\ufeff"], ["watched\u200bwas"], ["#"],
    ]  # fmt: skip


@pytest.mark.parametrize("line", ["", "\t", " \t ", "\u00a0", "\u3000\x0b", "\r"])
def test_lines_of_white_space_end_a_sentence(tmp_path, line):
    for options in ({}, {"separator": None}, {"separator": " "}):
        gap = options.get("separator", "\t") or " "
        text = f"a{gap}O\n{line}\nb{gap}O\n"
        assert [row["words"] for row in rows(tmp_path, text, **options)] == [["a"], ["b"]]


def test_words_with_blanks(tmp_path):
    text = "ke s\tO\n\U0001f633 \tO\n"
    assert rows(tmp_path, text)[0]["words"] == ["ke s", "\U0001f633 "]
    text = "10\u00a0000   O \nb\t \tO\n"
    assert rows(tmp_path, text, separator=None)[0]["words"] == ["10\u00a0000", "b"]


def test_a_column_of_clients(tmp_path):
    text = "u1 Ada B-PER\nu1 sleeps O\n\nu2 Rome B-LOC\n"
    layout = {"separator": " ", "token_column": 1}
    assert ConllOptions(client_column=0).names_clients and not ConllOptions().names_clients
    found = rows(tmp_path, text, **layout, client_column=0)
    assert [(row["words"], row["client"]) for row in found] == [
        (["Ada", "sleeps"], "u1"), (["Rome"], "u2"),
    ]  # fmt: skip
    with pytest.raises(DataError, match="line 1: clients 'u1' and 'u2'; expected one name on ever"):
        rows(tmp_path, text.replace("u1 sleeps", "u2 sleeps"), **layout, client_column=0)
    with pytest.raises(DataError, match="line 1: an empty client"):
        rows(tmp_path, " Ada B-PER\n", **layout, client_column=0)
    with pytest.raises(DataError, match="3 columns; expected columns 1 and -1 and 3"):
        rows(tmp_path, text, **layout, client_column=3)


def test_an_empty_word_may_be_named(tmp_path):
    text = "a\tO\n\tO\n \tB-PER\n\n\tO\n"
    assert rows(tmp_path, text, empty_word="\ufffd") == [
        {"words": ["a", "\ufffd", "\ufffd"], "tags": ["O", "O", "B-PER"]},
        {"words": ["\ufffd"], "tags": ["O"]},
    ]


def test_comments(tmp_path):
    text = "# id 7\na\tO\n# inside\n#\tO\n\n# id 8\n\nb\tO\n"
    assert [row["words"] for row in rows(tmp_path, text, comment="# ")] == [["a", "#"], ["b"]]
    with pytest.raises(DataError, match="line 1: 1 column; expected a word and its tag"):
        rows(tmp_path, text)


def test_a_bad_sentence_is_one_record_and_reading_goes_on(tmp_path):
    path = tmp_path / "f.conll"
    path.write_bytes(b"a\tO\n\n\xff\tO\n\xff\tO\nb\n\nc\tI-PER\n\nd\tO\n")
    first, second, third, last = read(path, "train", ConllOptions())
    assert first[1]["words"] == ["a"] and last[1]["words"] == ["d"]
    assert "line 3: bytes that are not UTF-8" in str(second)
    assert "line 7 word 1: tag I-PER" in str(third)


def test_a_directory_of_files_with_their_sources(tmp_path):
    files = {
        "wnut_train.txt": "a O\n",
        "conll-train.txt": "b O\n\nc O\n",
        "x/bn_train.txt": "d O\n",
        "wnut_test.txt": "e O\n",
        "README.md": "?",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    patterns = {"train": "*train.txt", "test": "*test.txt", "validation": "*dev.txt"}
    options = ConllOptions(separator=None, patterns=patterns)
    found = good(read(tmp_path, "train", options))
    assert [(row["words"], row["source"]) for _, row in found] == [
        (["b"], "conll"), (["c"], "conll"), (["a"], "wnut"), (["d"], "bn"),
    ]  # fmt: skip
    assert found[1][0].endswith("entry conll-train.txt line 3")
    with pytest.raises(DataError, match=r"no file \*dev\.txt; expected at least one"):
        list(read(tmp_path, "validation", options))
    with pytest.raises(DataError, match="no pattern is known for the split test"):
        list(read(tmp_path, "test", ConllOptions(patterns={"train": "*"})))


@pytest.mark.parametrize(("name", "content", "message"), [
    ("b_train.txt", b"", r"entry b_train\.txt: no sentence"),
    ("b_train.txt", b"\n\n", r"entry b_train\.txt: no sentence"),
    ("b_train.txt.gz", gzip.compress(b"b O\n"), r"b_train\.txt\.gz: a compressed file; .*; unpack"),
    ("x/a_train.txt", b"b O\n", r"entry x/a_train\.txt: a second file of the source 'a'; expected"),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_file_of_a_pattern_that_gives_nothing_or_a_source_twice(
    tmp_path, kind, name, content, message
):
    folder = tmp_path / "f"
    (folder / "x").mkdir(parents=True)
    (folder / "a_train.txt").write_text("a O\n", encoding="utf-8")
    (folder / name).write_bytes(content)
    path = folder
    if kind == "zip":
        path = Path(shutil.make_archive(str(tmp_path / "f"), "zip", folder))
    options = ConllOptions(separator=None, patterns={"train": "*_train.txt"})
    with pytest.raises(DataError, match=message):
        list(read(path, "train", options))


@pytest.mark.parametrize("pattern", ["train.txt", "*_*.txt", "a/*", "?*"])
def test_a_pattern_has_one_star(pattern):
    with pytest.raises(ValueError, match="expected a file name with one"):
        ConllOptions(patterns={"train": pattern})


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
    with pytest.raises(DataError, match="is a directory"):
        list(read(tmp_path, "train", ConllOptions()))
