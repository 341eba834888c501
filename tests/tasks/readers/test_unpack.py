"""What a packer may not put into an archive, whichever reader asks."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile

import pytest

from tasks.errors import DataError
from tasks.readers.conll import ConllOptions, read
from tasks.readers.unpack import entries, open_entry


def packed(path, names, mode=0):
    """An archive in which every file holds a letter of its own."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, letter in zip(names, "abc", strict=False):
                info = zipfile.ZipInfo(name)
                info.external_attr = mode << 16
                archive.writestr(info, letter)
        return path
    with tarfile.open(path, "w:gz") as archive:
        for name, letter in zip(names, "abc", strict=False):
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(letter.encode()))
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("ending", ["zip", "tgz"])
@pytest.mark.parametrize("second", ["x/a_train.txt", "./x/a_train.txt", "x\\a_train.txt"])
def test_an_entry_that_stands_twice_is_refused(tmp_path, ending, second):
    path = packed(tmp_path / f"a.{ending}", ["x/a_train.txt", second])
    with pytest.raises(DataError, match=r"entry x/a_train\.txt: a second entry of this name"):
        list(entries(path, lambda parts: True))
    options = ConllOptions(patterns={"train": "*_train.txt"})
    with pytest.raises(DataError, match="second entry"):
        list(read(path, "train", options))
    with pytest.raises(DataError), open_entry(path, "a_train.txt"):
        pass
    names = ["x/a_train.txt", "y/a_train.txt", "x/b_train.txt"]
    assert len(list(entries(packed(path, names), lambda parts: True))) == 3


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_an_entry_of_a_zip_that_is_no_file(tmp_path, kind):
    """A link's content is the path that it names."""
    path = packed(tmp_path / "a.zip", ["a.txt"], kind | 0o777)
    with pytest.raises(DataError, match=r"entry a\.txt: a link or a device"):
        list(entries(path, lambda parts: True))
    with pytest.raises(DataError, match="a link or a device"), open_entry(path, "a.txt"):
        pass
    path = packed(path, ["a.txt"], stat.S_IFREG | 0o644)
    assert list(entries(path, lambda parts: True)) == [(("a.txt",), b"a")]


def test_an_entry_of_a_zip_without_a_name(tmp_path):
    """A name ends at its first NUL byte."""
    path = packed(tmp_path / "a.zip", ["a.txt", "XX.md"])
    path.write_bytes(path.read_bytes().replace(b"XX.md", b"\0X.md"))
    assert list(entries(path, lambda parts: True)) == [(("a.txt",), b"a")]
