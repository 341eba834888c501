"""A folder that may not be read is an error and not an empty one."""

from __future__ import annotations

import os

import pytest

from tasks.data import load_corpus
from tasks.dataset_card import DatasetCard
from tasks.errors import DataError
from tasks.fingerprint import file_hash
from tasks.folders import files_below
from tasks.readers.unpack import entries, open_entry


@pytest.fixture
def closed(tmp_path, monkeypatch):
    """A data folder of two classes; that of `sci.med` cannot be opened, whoever asks."""
    for split in ("train", "test"):
        for group in ("alt.x", "sci.med"):
            folder = tmp_path / "data" / f"20news-bydate-{split}" / group
            folder.mkdir(parents=True)
            for number in range(6):
                post = f"From: a\n\npost {split} {number} of {group}\n"
                (folder / str(number)).write_text(post, encoding="utf-8")
    scan = os.scandir

    def refused(path="."):
        if os.path.basename(os.fspath(path)) == "sci.med":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refused)
    return tmp_path / "data"


def test_a_class_whose_folder_may_not_be_read(closed, tmp_path):
    files = {"train": str(closed), "test": str(closed)}
    card = DatasetCard.parse({
        "name": "x", "task": "text_classification", "version": 1, "licence": "l",
        "language": "en", "description": "d", "skew": "label",
        "local": {"reader": "newsgroups20", "files": files},
    }, "x.yaml")  # fmt: skip
    with pytest.raises(DataError, match=r"sci\.med: cannot be read \(Permission denied\)"):
        load_corpus(card, data_root=tmp_path, cache_dir=tmp_path / "c")


def test_every_walk_through_a_folder(closed):
    with pytest.raises(PermissionError):
        list(entries(closed, lambda parts: True))
    with pytest.raises(PermissionError), open_entry(closed, "6"):
        pass
    with pytest.raises(DataError, match=r"sci\.med: cannot be read .*; make it readable"):
        file_hash(closed)


def test_links_are_named_and_not_followed(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_text("c", encoding="utf-8")
    (tmp_path / "a" / "folder").symlink_to(tmp_path / "a" / "b")
    (tmp_path / "a" / "file").symlink_to(tmp_path / "a" / "b" / "c")
    found = [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path)]
    assert found == ["a/b/c", "a/file", "a/folder"]
