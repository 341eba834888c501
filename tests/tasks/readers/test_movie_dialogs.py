"""Cornell Movie-Dialogs: pairs of a conversation, encodings, clients, broken lines, any bytes."""

from __future__ import annotations

import zipfile

import pytest
from fuzzing import seeds, times
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutated
from reading import check_pairs, good

from tasks.errors import DataError
from tasks.readers.movie_dialogs import DialogOptions, read
from tasks.readers.reader import LeftOut

LINES = (  # not in the order in which they are said, as distributed
    "L196 +++$+++ u0 +++$+++ m0 +++$+++ BIANCA +++$+++ Not the hacking \x97 please.\r\n"
    "L195 +++$+++ u2 +++$+++ m0 +++$+++ CAMERON +++$+++ Well, I thought we\x92d start.\n"
    "L194 +++$+++ u0 +++$+++ m0 +++$+++ BIANCA +++$+++ Can we make this quick?  caf\xe9 \x81\n"
    "L474 +++$+++ u5 +++$+++ m1 +++$+++ KAT +++$+++ \n"
    "L473 +++$+++ u4 +++$+++ m1 +++$+++ PATRICK +++$+++ A +++$+++ in the text\n"
)
TALKS = (
    "u0 +++$+++ u2 +++$+++ m0 +++$+++ ['L194', 'L195', 'L196']\n"
    "u4 +++$+++ u5 +++$+++ m1 +++$+++ ['L473', 'L474']\n"
)


def written(folder, lines=LINES, talks=TALKS):
    folder.mkdir(exist_ok=True)
    for name, text in (("movie_lines.txt", lines), ("movie_conversations.txt", talks)):
        content = text if isinstance(text, bytes) else text.encode("latin-1")
        (folder / name).write_bytes(content)
    return folder


def records(folder, **options):
    return list(read(folder, "train", DialogOptions(**options)))


def bad(folder, **options):
    found = [record for record in records(folder, **options) if isinstance(record, DataError)]
    return [str(record) for record in found if not isinstance(record, LeftOut)]


def test_successive_lines_are_pairs(tmp_path):
    first, second = good(records(written(tmp_path), drop_empty=True))
    assert first == (
        f"{tmp_path / 'movie_conversations.txt'} line 1 L195",
        {
            "input": "Can we make this quick?  café \x81",
            "targets": ["Well, I thought we\u2019d start."],
            "client": "m0",
        },
    )
    assert second[1]["input"] == first[1]["targets"][0]
    assert second[1]["targets"] == ["Not the hacking \u2014 please."]


def test_the_character_who_answers_as_client(tmp_path):
    found = good(records(written(tmp_path), drop_empty=True, client="character"))
    assert [row["client"] for _, row in found] == ["u2", "u0"]


def test_an_empty_line_is_a_bad_record(tmp_path):
    assert bad(written(tmp_path)) == [
        f"{tmp_path / 'movie_conversations.txt'} line 2 L474: an empty target; "
        "expected a text and its target"
    ]


def test_the_separator_in_a_text(tmp_path):
    lines = LINES.replace("KAT +++$+++ ", "KAT +++$+++ Yes.")
    found = good(records(written(tmp_path, lines)))
    assert found[2][1]["input"] == "A +++$+++ in the text"


def test_the_zip_as_distributed(tmp_path):
    path = tmp_path / "cornell_movie_dialogs_corpus.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for folder, prefix in (("", ""), ("__MACOSX/", "._")):
            for name, text in (("movie_lines.txt", LINES), ("movie_conversations.txt", TALKS)):
                entry = f"{folder}cornell movie-dialogs corpus/{prefix}{name}"
                packed.writestr(entry, text.encode("latin-1"))
    expected = [row for _, row in good(records(written(tmp_path / "d"), drop_empty=True))]
    assert [row for _, row in good(records(path, drop_empty=True))] == expected


def test_a_copy_in_utf_8(tmp_path):
    expected = good(records(written(tmp_path), drop_empty=True))
    utf8 = LINES.encode("latin-1").replace(b"\x81", b"").decode("cp1252").encode()
    found = good(records(written(tmp_path, utf8), drop_empty=True, encoding="utf-8"))
    assert found[1] == expected[1]
    assert "movie_lines.txt line 1: bytes that are not UTF-8" in bad(
        written(tmp_path), encoding="utf-8"
    )[0]  # fmt: skip


@pytest.mark.parametrize(("lines", "talks", "messages"), [
    (LINES + "L9 +++$+++ u0 +++$+++ m0 +++$+++ x\n", TALKS, ["movie_lines.txt line 6: 4 fields; "]),
    (LINES + "\n", TALKS, ["movie_lines.txt line 6: 1 fields; "]),
    (LINES + LINES[:70] + "\n", TALKS, ["line 6: a second line L196"]),
    (LINES + "L1\0", TALKS, ["line 6: a NUL byte"]),
    (LINES, TALKS + "u0 +++$+++ m0\n", ["movie_conversations.txt line 3: 2 fields"]),
    (LINES, TALKS.replace("'L196'", "L196"), ["line 1: lines \"['L194', 'L195', L196]\""]),
    (LINES, TALKS.replace("'L196'", "__import__('os')"), ["line 1: lines "]),
    (LINES, TALKS.replace("L195", "L1"), ["line 1 L1: no line L1", "line 1 L196: no line L1"]),
    (LINES, TALKS.replace("[", "[" * 9999), ["line 1: lines ", "line 2: lines "]),
])  # fmt: skip
def test_broken_lines_are_bad_records(tmp_path, lines, talks, messages):
    found = bad(written(tmp_path, lines, talks), drop_empty=True)
    assert len(found) == len(messages)
    for text, message in zip(found, messages, strict=True):
        assert message in text


def test_files_that_are_missing_or_empty(tmp_path):
    with pytest.raises(DataError, match=r"movie_lines\.txt: no such file"):
        records(tmp_path)
    with pytest.raises(DataError, match=r"movie_lines\.txt: no line"):
        records(written(tmp_path, lines=""))
    with pytest.raises(DataError, match=r"movie_conversations\.txt: no line"):
        records(written(tmp_path, talks=""))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("movie_lines.txt", LINES)
    with pytest.raises(DataError, match=r"0 files named movie_conversations\.txt"):
        records(tmp_path / "a.zip")


@settings(max_examples=times(200), deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=200), st.booleans())
def test_any_bytes(tmp_path_factory, lines, talks, joined):
    folder = tmp_path_factory.mktemp("any")
    if joined:  # damage after a good beginning
        lines, talks = LINES.encode("latin-1") + lines, TALKS.encode() + talks
    check_pairs(read(written(folder, lines, talks), "train", DialogOptions()))


@pytest.mark.parametrize("encoding", ["utf-8", "windows-1252"])
def test_mutations(tmp_path, encoding):
    good_ones = 0
    for seed in seeds(300):
        files = [LINES.encode("latin-1"), TALKS.encode()]
        files[seed % 2] = mutated(files[seed % 2], seed)
        try:
            options = DialogOptions(encoding=encoding, drop_empty=seed % 3 == 0)
            good_ones += check_pairs(read(written(tmp_path, *files), "train", options))[0]
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
    assert good_ones > (len(seeds(300)) // 3 if encoding == "windows-1252" else -1)
