"""Parallel lines: names of pairs, endings of lines, unequal lengths, empty lines, any bytes."""

from __future__ import annotations

import gzip

import pytest
from fuzzing import seeds, times
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutated
from pydantic import ValidationError
from reading import check_pairs, good

from tasks.data import load_corpus
from tasks.dataset_card import DatasetCard
from tasks.errors import DataError
from tasks.readers.parallel_lines import ParallelOptions, other_files, read
from tasks.readers.reader import LeftOut

ARTICLES = "australia 's current account deficit shrunk by a record #.## billion\nUNK said <unk>\n"
TITLES = "australian deficit narrows\n<unk> says\n"


def options(drop_empty=False, **target):
    return ParallelOptions(target=target or {"in": "out"}, drop_empty=drop_empty)


def pair(folder, first, second, name="in"):
    for part, content in ((name, first), (name.replace("in", "out"), second)):
        data = content if isinstance(content, bytes) else content.encode()
        (folder / part).write_bytes(data)
    return folder / name


def rows(path, **more):
    return [row for _, row in good(read(path, "train", options(**more)))]


def bad(path, **more):
    return [str(r) for r in read(path, "train", options(**more)) if isinstance(r, DataError)]


def test_gigaword_as_it_is(tmp_path):
    path = pair(tmp_path, ARTICLES, TITLES)
    assert good(read(path, "train", options()))[1] == (
        f"{path} line 2", {"input": "UNK said <unk>", "targets": ["<unk> says"]},
    )  # fmt: skip
    assert rows(path)[0]["input"].endswith("#.## billion")


@pytest.mark.parametrize(("name", "target", "expected"), [
    ("train.article.txt", {"article": "title", "input": "task1_ref0"}, "train.title.txt"),
    ("valid.article.filter.txt.gz", {"article": "title"}, "valid.title.filter.txt.gz"),
    ("input.txt", {"article": "title", "input": "task1_ref0"}, "task1_ref0.txt"),
    ("news-commentary-v13.de-en.de", {".de": ".en"}, "news-commentary-v13.de-en.en"),
    ("train.src", {".src": ".tgt"}, "train.tgt"),
])  # fmt: skip
def test_names_of_the_targets(tmp_path, name, target, expected):
    folder = tmp_path / "input.de"  # only the file's name counts
    assert other_files(folder / name, ParallelOptions(target=target)) == [folder / expected]
    clients = ParallelOptions(target={".none": ".x", name[-5:]: "t"}, clients=target)
    assert other_files(folder / name, clients)[1:] == [folder / expected]


def test_a_name_without_the_part(tmp_path):
    with pytest.raises(DataError, match=r"x\.fr: a name without \.de or \.src; expected"):
        other_files(tmp_path / "x.fr", ParallelOptions(target={".de": ".en", ".src": ".tgt"}))


def test_a_name_with_the_part_twice(tmp_path):
    with pytest.raises(DataError, match=r"in\.train: a name with in 2 times; expected once"):
        other_files(tmp_path / "in.train", options())


@pytest.mark.parametrize("target", [{}, {"": "x"}, {"a": "a"}, {"a": "../b"}, {"a/": "b"}])
def test_targets_that_name_nothing(target):
    with pytest.raises(ValidationError):
        ParallelOptions(target=target)
    with pytest.raises(ValidationError):
        ParallelOptions(target={"a": "b"}, clients=target)


def test_endings_byte_order_marks_and_unusual_separators(tmp_path):
    first = "\ufeffa\u2028b\r\nc\x85d\x0ce\r\nlast"  # not three lines, whatever splitlines says
    path = pair(tmp_path, first, b"x\ny\nz\n")
    texts = [row["input"] for row in rows(path)]
    assert texts == ["a\u2028b", "c\x85d\x0ce", "last"]


def test_compressed(tmp_path):
    path = pair(tmp_path, gzip.compress(ARTICLES.encode()), TITLES)
    assert rows(path) == rows(pair(tmp_path, ARTICLES, TITLES))
    (tmp_path / "in").write_bytes(gzip.compress(ARTICLES.encode())[:-9])
    with pytest.raises(DataError, match="in: cannot be read"):
        rows(path)


@pytest.mark.parametrize(("first", "second", "counts"), [
    ("a\nb\nc\n", "x\n", "out: 1 lines; expected 3, as many as"),
    ("a\n", "x\ny\n\n", "out: 3 lines; expected 1, as many as"),
    ("a\n", "", "out: 0 lines; expected 1"),
    ("", "", "in: no line"),
])  # fmt: skip
def test_unequal_numbers_of_lines(tmp_path, first, second, counts):
    path = pair(tmp_path, first, second)
    with pytest.raises(DataError) as error:
        rows(path)
    assert counts in str(error.value)


def test_an_empty_line_is_a_bad_record(tmp_path):
    path = pair(tmp_path, "a\n \nc\n\nlast\n", "x\ny\n\n\nlast\n")
    assert bad(path) == [
        f"{path} line 2: an empty input; expected a text and its target",
        f"{path} line 3: an empty target; expected a text and its target",
        f"{path} line 4: an empty input; expected a text and its target",
    ]
    assert [row["input"] for row in rows(path, drop_empty=True)] == ["a", "last"]
    left_out = [r for r in read(path, "train", options(drop_empty=True)) if isinstance(r, LeftOut)]
    assert [record.found for record in left_out] == ["an empty side"] * 3  # in place, so counted


def test_a_line_that_is_no_text_is_a_bad_record_of_its_file(tmp_path):
    path = pair(tmp_path, b"a\n\xff\nc\nd\n", b"x\ny\nz\0\nd\n")
    assert bad(path) == bad(path, drop_empty=True) == [
        f"{path} line 2: bytes that are not UTF-8; save it as UTF-8",
        f"{tmp_path / 'out'} line 3: a NUL byte; expected text; is this the file?",
    ]  # fmt: skip


def test_a_line_that_is_far_too_long(tmp_path):
    path = pair(tmp_path, b"a" * (10 * 2**20) + b"\nb\n", b"x\ny\n")
    assert len(bad(path)) == 1
    records = [r for r in read(path, "train", options()) if not isinstance(r, DataError)]
    assert [row["input"] for _, row in records] == ["b"]


def test_a_file_of_clients(tmp_path):
    path = pair(tmp_path, "a\nb\nc\nd\n", "x\ny\nz\n\n")
    (tmp_path / "who").write_text("ann \nbob\n\nann\n")
    given = ParallelOptions(target={"in": "out"}, clients={"in": "who"}, drop_empty=True)
    assert given.names_clients and not options().names_clients
    first, second, third, fourth = read(path, "train", given)
    assert first == (f"{path} line 1", {"input": "a", "targets": ["x"], "client": "ann"})
    assert second[1]["client"] == "bob" and isinstance(fourth, LeftOut)
    assert f"{tmp_path / 'who'} line 3: an empty client" in str(third)
    (tmp_path / "who").write_text("ann\nbob\n")
    with pytest.raises(DataError, match=r"who: 2 lines; expected 4, as many as .*in has"):
        list(read(path, "train", given))


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match="in: no such file"):
        rows(tmp_path / "in")
    (tmp_path / "in").write_text("a\n")
    with pytest.raises(DataError, match="out: no such file"):
        rows(tmp_path / "in")
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="out: is a directory"):
        rows(tmp_path / "in")


def card(**changes):
    return DatasetCard.parse({
        "name": "mine", "task": "seq2seq", "version": 1, "licence": "l", "language": "en",
        "description": "d", "skew": "cluster",
        "local": {
            "reader": "parallel_lines", "files": {"train": "in.train", "test": "in.test"},
            "options": {"target": {"in.": "out."}},
        } | changes,
    }, "mine.yaml")  # fmt: skip


def load(folder, **changes):
    return load_corpus(card(**changes), data_root=folder, cache_dir=folder / "cache")


def test_the_cache_knows_the_targets(tmp_path):
    for split in ("train", "test"):
        word = {"train": "other", "test": "text"}[split]
        text = "\n".join(f"{word} {number}" for number in range(20))
        (tmp_path / f"in.{split}").write_text(text)
        (tmp_path / f"out.{split}").write_text(text.upper())
    assert load(tmp_path).splits["test"]["targets"][0] == ["TEXT 0"]
    (tmp_path / "out.test").write_text(text)
    assert load(tmp_path).splits["test"]["targets"][0] == ["text 0"]
    (tmp_path / "who.test").write_text("ann\n" * 20)
    (tmp_path / "who.train").write_text("bob\n" * 20)
    named = {"options": {"target": {"in.": "out."}, "clients": {"in.": "who."}}}
    assert set(load(tmp_path, **named).splits["train"]["client"]) == {"bob"}
    (tmp_path / "who.train").write_text("cy\n" * 20)
    assert set(load(tmp_path, **named).splits["train"]["client"]) == {"cy"}
    (tmp_path / "out.test").unlink()
    with pytest.raises(DataError, match=r"local\.files\.test: no file at .*out\.test"):
        load(tmp_path)


def test_a_card_without_target():
    with pytest.raises(DataError, match=r"mine\.yaml local\.options\.target: missing"):
        card(options={})


@settings(max_examples=times(300), deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=200), st.booleans())
def test_any_bytes(tmp_path_factory, first, second, drop_empty):
    path = pair(tmp_path_factory.mktemp("any"), first, second)
    check_pairs(read(path, "train", options(drop_empty)))


def test_mutations(tmp_path):
    good_ones = 0
    for seed in seeds(500):
        files = [ARTICLES.encode() * 3, TITLES.encode() * 3]
        files[seed % 2] = mutated(files[seed % 2], seed)
        path = pair(tmp_path, *files)
        try:
            good_ones += check_pairs(read(path, "train", options(seed % 3 == 0)))[0]
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
    assert good_ones > len(seeds(500))


def test_records_are_read_one_by_one(tmp_path):
    path = pair(tmp_path, "a\nb\n", "x\ny\nz\n")
    records = read(path, "train", options())
    first = next(records)
    assert isinstance(first, tuple) and first[1] == {"input": "a", "targets": ["x"]}
