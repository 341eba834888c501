"""A tar that is damaged, cut, or followed by another is not read as if it were complete."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from tasks.errors import DataError
from tasks.readers.unpack import entries

NAMES = ("x/a.txt", "x/b.txt", "x/c.txt", "x/d.txt")
SECOND, THIRD = 1024, 2048  # where their headers begin


def tar(names=NAMES, size=10):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = size
            archive.addfile(info, io.BytesIO(b"x" * size))
    return file.getvalue()


def read(tmp_path, content, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(gzip.compress(content) if ending == "tar.gz" else content)
    return [parts[-1] for parts, _ in entries(path, lambda parts: True)]


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGED = {
    "a bit of a name": (flipped(tar(), SECOND), 2),
    "a bit of a checksum": (flipped(tar(), THIRD + 148), 3),
    "cut before an entry": (tar()[:THIRD], 3),
    "cut inside a header": (tar()[: THIRD + 300], 3),
    "cut before the end": (tar()[: 4 * 1024], 5),
    "one block of zeros": (tar()[: 4 * 1024 + 512], 5),
    "a header of zeros": (tar()[:SECOND] + bytes(512) + tar()[SECOND + 512 :], 2),
}


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_tar(tmp_path, ending, damage):
    content, entry = DAMAGED[damage]
    with pytest.raises(DataError, match=rf"a\.{ending} entry {entry}: damaged or incomplete"):
        read(tmp_path, content, ending)


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
@pytest.mark.parametrize("more", [tar(("y/e.txt",)), b"\0" * 600 + b"x"])
def test_more_after_the_end(tmp_path, ending, more):
    with pytest.raises(DataError, match="more after the archive's end, which is after entry 4"):
        read(tmp_path, tar() + more, ending)


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
@pytest.mark.parametrize("size", [0, 1, 512, 9216 - 512, 10240, 3 * 10240 + 7])
def test_whole_archives(tmp_path, ending, size):
    """With the zeros of a record, of many records, and with no more than the two blocks."""
    whole = tar(size=size)
    bare = whole.rstrip(b"\0")
    bare += bytes(-len(bare) % 512 + 1024)
    if not size:
        bare = whole[: 4 * 512 + 1024]
    for content in (whole, bare, whole + bytes(3 * 2**20)):
        assert read(tmp_path, content, ending) == ["a.txt", "b.txt", "c.txt", "d.txt"]


def test_an_archive_with_long_names_and_pax_headers(tmp_path):
    names = [f"{'é' * 150}/{number}.txt" for number in range(3)]
    assert read(tmp_path, tar(names), "tar") == ["0.txt", "1.txt", "2.txt"]
