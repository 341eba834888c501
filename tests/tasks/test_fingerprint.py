"""Hashes that name content: equal for equal content in every version, and without a size limit."""

from __future__ import annotations

import errno
import hashlib
import os

import numpy as np
import pyarrow as pa
import pytest

from tasks import data, fingerprint, tables
from tasks.data import load_corpus
from tasks.dataset_card import DatasetCard
from tasks.errors import DataError
from tasks.fingerprint import file_hash, table_fingerprint
from tasks.schema import features
from tasks.tables import Parsed, encoded_tables, taken

PINNED = {
    "text_classification": (
        [{"text": "é \U0001f600", "label": 3}, {"text": "", "label": 0}],
        "7239119ad1639b8d6599b1ec410335e18e2b4739148bfedec68d3d5f21f7ad00",
    ),
    "sequence_tagging": (
        [{"words": ["a", "bc"], "tags": [1, 0]}, {"words": ["d"], "tags": [2]}],
        "5ee04af4ea0520a7ff25748aa9bd659854b6605eb9d4070b2b4b59fe33e0455a",
    ),
    "question_answering": (
        [{"id": "q", "question": "Who?", "context": "Ada", "title": "",
          "answers": {"text": ["Ada", "da"], "start": [0, 1]}}] * 2,
        "113990a0e2e36224f3014312ba72d21d79d896f13217116e39491907ec569534",
    ),
    "seq2seq": (
        [{"input": "a", "targets": ["x", "yz"]}, {"input": "b", "targets": ["é"]}],
        "928fb54c9d2c08c78efa18226b80cd0559fb00c8201f019972d3c4b0b59a2d79",
    ),
}  # fmt: skip


@pytest.mark.parametrize("task", PINNED)
def test_a_fingerprint_stays_what_it_was(task):
    """Run ids are made of it: another value here would orphan every finished run."""
    rows, expected = PINNED[task]
    rows = [{**row, "client": "c", "source": "", "row": n} for n, row in enumerate(rows)]
    table = pa.Table.from_pylist(rows, schema=features(task).arrow_schema)
    chunks = [table.slice(0, 1), table.slice(1, 0), table.slice(1, 1)]
    for same in (table, pa.concat_tables(chunks)):
        assert table_fingerprint(same) == expected


def test_the_hash_of_files_stays_what_it_was(tmp_path):
    (tmp_path / "é").write_bytes(b"xy")
    expected = hashlib.sha256("\0é 2\0xy".encode()).hexdigest()
    assert file_hash(tmp_path) == expected


def test_a_file_name_that_is_not_utf8(tmp_path):
    hashes = {file_hash(tmp_path)}
    for name in (b"caf\xe9", b"caf\xe8"):
        (tmp_path / os.fsdecode(name)).write_bytes(b"x")
        hashes.add(file_hash(tmp_path))
    assert len(hashes) == 3


CARD = DatasetCard.parse({
    "name": "mine", "task": "text_classification", "version": 1, "licence": "x", "language": "en",
    "description": "x", "skew": "label", "test": {"fraction": 0.01},
    "local": {"reader": "table", "files": {"train": "a.csv"}},
}, "mine.yaml")  # fmt: skip


def test_more_text_than_one_arrow_array_holds(tmp_path, monkeypatch):
    """2.1 GB in one column, of chunks that share their memory."""
    row = {"text": ["a" * 2**23], "label": [0], "row": [0], "client": [""], "source": [""]}
    chunk = pa.table(row, schema=features(CARD.task).arrow_schema)
    parsed = Parsed({"train": pa.concat_tables([chunk] * 260)}, ["x"], [], {"train": 260})
    monkeypatch.setattr(data, "check_request", lambda *_: "local")
    monkeypatch.setattr(data, "read_source", lambda *_: parsed)
    corpus = load_corpus(CARD, data_root=None, cache_dir=tmp_path, limit={"validation": 5})
    sizes = {split: len(rows) for split, rows in corpus.splits.items()}
    assert sizes == {"train": 231, "validation": 5, "test": 3}
    assert len(corpus.splits["train"][230]["text"]) == 2**23


def test_chunks_of_a_split_have_a_limit_of_text(monkeypatch):
    monkeypatch.setattr(tables, "CHUNK_TEXT", 10)
    records = [(f"line {n}", {"text": "é" * 4, "label": "x"}) for n in range(7)]
    found = encoded_tables(CARD, {"train": records}).tables["train"]
    assert found["text"].num_chunks == 3 and found["text"].to_pylist() == ["éééé"] * 7


@pytest.mark.parametrize("rows", [[], [0], [6], [1, 2, 5], range(7), range(2, 7)])
def test_rows_are_taken_chunk_by_chunk(rows):
    whole = pa.table({"a": range(7), "b": [["x"] * n for n in range(7)]})
    chunked = pa.concat_tables([whole.slice(0, 2), whole.slice(2, 0), whole.slice(2, 5)])
    rows = np.array(rows, np.int64)
    assert taken(chunked, rows).equals(whole.take(rows))


@pytest.fixture
def tree(tmp_path):
    """A folder with files in three levels, a link to a file, one to a folder, and a pipe."""
    for name in ("b/2.txt", "a.txt", "b/c/3.txt", "b-.txt"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "tree" / "link.txt").symlink_to("a.txt")
    (tmp_path / "tree" / "linked").symlink_to("b")
    os.mkfifo(tmp_path / "tree" / "pipe")
    return tmp_path / "tree"


def test_a_folder_is_its_files_by_name(tree):
    """The hash names cache entries: it stays what it was."""
    digest = hashlib.sha256()
    for name in ("a.txt", "b/2.txt", "b/c/3.txt", "b-.txt", "link.txt"):
        content = (tree / name).read_bytes()
        digest.update(b"\0%b %d\0" % (name.encode(), len(content)) + content)
    assert file_hash(tree) == digest.hexdigest()


def test_what_cannot_be_read_is_told(tree, monkeypatch):
    """A hash without it would be that of other data."""

    def refused(call):
        def refusing(path, *rest):
            if str(path).endswith(("/c", "/3.txt")):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return call(path, *rest)

        return refusing

    for owner, name, place in ((os, "scandir", "b/c"), (fingerprint, "plain", "b/c/3.txt")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, refused(getattr(owner, name)))
            with pytest.raises(DataError) as error:
                file_hash(tree)
        found = "cannot be read (Permission denied); make it readable"
        assert str(error.value) == f"{tree / place}: {found}"
