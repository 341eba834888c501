"""Compressed files and archives, read where they lie: nothing is unpacked to disk.

Whoever packed a file is not trusted: an entry that leaves the archive, a link, a device, and
content that grows out of all proportion are refused by name.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from tasks.errors import DataError
from tasks.folders import files_below
from tasks.readers.tar_end import Blocks, check_end

MAX_ENTRY_BYTES = 2**31  # of one file inside an archive
MAX_RATIO = 200  # unpacked to packed; text rarely passes 20
FREE_BYTES = 64 * 2**20  # unpacked, below which the ratio does not matter
BROKEN: tuple[type[Exception], ...] = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError,
    RuntimeError, ValueError, OverflowError,
)  # fmt: skip

_NO_FILE = "a link or a device"
_MAGIC: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}


_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class _Bounded(io.RawIOBase):
    """A decompressed stream that stops when it has grown beyond `MAX_RATIO`."""

    def __init__(self, stream: IO[bytes], packed: int, where: str) -> None:
        self._stream, self._packed, self._where, self._seen = stream, packed, where, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._seen += len(data)
        check_growth(self._where, self._packed, self._seen)
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _is_excel(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except BROKEN:
        return False


def check_growth(where: str, packed: int, unpacked: int) -> None:
    """Raises DataError where content unpacks to more than `MAX_RATIO` times its size."""
    if unpacked > FREE_BYTES and unpacked > MAX_RATIO * packed:
        raise DataError(
            where, f"{packed} bytes that unpack to {unpacked} or more",
            f"at most {MAX_RATIO} times", "this is no text; unpack it by hand if you trust it",
        )  # fmt: skip


def open_file(path: Path) -> IO[bytes]:
    """A file's content, decompressed if it starts like gzip, bzip2 or xz, whatever its name.

    Raises:
        DataError: a zip archive, which may hold many files.
    """
    with path.open("rb") as file:
        start = file.read(8)
    if start == _OLD_EXCEL or (start.startswith(b"PK") and _is_excel(path)):
        raise DataError(str(path), "an Excel file", "a text file", "export it as CSV")
    if start.startswith(b"PK\x03\x04"):
        raise DataError(str(path), "a zip archive", "a file", "unpack it, or compress it by gzip")
    for magic, opener in _MAGIC.items():
        if start.startswith(magic):
            bounded = _Bounded(opener(path, "rb"), path.stat().st_size, str(path))
            return cast(IO[bytes], io.BufferedReader(bounded, 2**16))
    return path.open("rb")


@contextmanager
def open_entry(path: Path, name: str) -> Iterator[tuple[str, IO[bytes]]]:
    """The one file of that name, and where it is, for messages.

    `path` is the file itself (compressed or not), or a directory, zip or tar with it in any folder.
    """
    if path.is_dir():
        inside = _inside(path, name)
        with open_file(inside) as file:
            yield str(inside), file
    elif _is_zip(path):
        with zipfile.ZipFile(path) as archive:
            found = [e for e in archive.infolist() if _path(e.filename).name == name]
            _check_one(path, name, len(found))
            where = f"{path} entry {found[0].filename}"
            _safe_parts(where, found[0].filename)
            _check_zip_entry(where, found[0])
            with archive.open(found[0]) as file:
                yield where, file
    elif path.name.endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")):
        wanted = dict(entries(path, lambda parts: parts[-1] == name))
        _check_one(path, name, len(wanted))
        parts, content = wanted.popitem()
        yield f"{path} entry {'/'.join(parts)}", io.BytesIO(content)
    else:
        with open_file(path) as file:
            yield str(path), file


def _inside(path: Path, name: str) -> Path:
    """The file of that name in a directory: at its top, or else in any folder below."""
    inside = path / name
    if not inside.exists():
        found = [file for file in files_below(path) if file.name == name]
        if not found:
            return inside  # opening it says that it is missing
        _check_one(path, name, len(found))
        inside = found[0]
    check_inside(inside, path)
    return inside


def check_inside(file: Path, folder: Path) -> None:
    """Raises DataError where a link, or a path with .., leads out of the folder."""
    if not file.resolve().is_relative_to(folder.resolve()):
        raise DataError(
            str(file), "a link out of the folder", "a plain file in it", "copy what it names"
        )  # fmt: skip


def _is_zip(path: Path) -> bool:
    return path.suffix == ".zip" or zipfile.is_zipfile(path)


def _check_one(path: Path, name: str, found: int) -> None:
    if found != 1:
        raise DataError(str(path), f"{found} files named {name}", "exactly one")


def entries(
    path: Path, wanted: Callable[[tuple[str, ...]], bool], most: int = MAX_ENTRY_BYTES
) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """The files of a directory, a zip or a tar (compressed or not): parts of the name, content.

    Args:
        wanted: which files, by the parts of their name; hidden ones never are.
        most: bytes that one file may have.

    Raises:
        DataError: an entry that is unsafe, or stands in the archive twice.
    """
    if path.is_dir():
        found = _from_directory(path, wanted, most)
    elif _is_zip(path):
        found = _from_zip(path, wanted, most)
    else:
        found = _from_tar(path, wanted, most)
    seen = set[tuple[str, ...]]()
    for parts, content in found:
        if parts in seen:
            where = f"{path} entry {'/'.join(parts)}"
            raise DataError(where, "a second entry of this name", "one", "pack the archive again")
        seen.add(parts)
        yield parts, content


def _from_directory(
    path: Path, wanted: Callable[[tuple[str, ...]], bool], most: int
) -> Iterator[tuple[tuple[str, ...], bytes]]:
    for file in files_below(path):
        parts = file.relative_to(path).parts
        if file.is_symlink():
            raise DataError(str(file), "a link", "a plain file or a folder", "copy what it names")
        if file.is_file() and not parts[-1].startswith(".") and wanted(parts):
            _check_size(str(file), file.stat().st_size, most)
            yield parts, file.read_bytes()


def _from_zip(
    path: Path, wanted: Callable[[tuple[str, ...]], bool], most: int
) -> Iterator[tuple[tuple[str, ...], bytes]]:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            where = f"{path} entry {entry.filename}"
            parts = _safe_parts(where, entry.filename)
            if not parts or entry.is_dir():  # a nameless entry cannot be asked
                continue
            if not parts[-1].startswith(".") and wanted(parts):
                _check_zip_entry(where, entry, most)
                yield parts, archive.read(entry)


def _check_zip_entry(where: str, entry: zipfile.ZipInfo, most: int = MAX_ENTRY_BYTES) -> None:
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):  # 0 where none was kept
        raise DataError(where, _NO_FILE, "a plain file")
    _check_size(where, entry.file_size, most)
    check_growth(where, entry.compress_size, entry.file_size)


def _from_tar(
    path: Path, wanted: Callable[[tuple[str, ...]], bool], most: int
) -> Iterator[tuple[tuple[str, ...], bytes]]:
    number = 0
    with open_file(path) as stream:
        blocks = Blocks(stream)
        with tarfile.open(fileobj=cast(IO[bytes], blocks), mode="r|") as archive:
            for entry in archive:
                number += 1
                where = f"{path} entry {entry.name}"
                parts = _safe_parts(where, entry.name)
                if not (entry.isfile() or entry.isdir()):
                    raise DataError(where, _NO_FILE, "a plain file or a folder")
                if entry.isfile() and parts and not parts[-1].startswith(".") and wanted(parts):
                    _check_size(where, entry.size, most)
                    check_growth(where, path.stat().st_size, entry.size)
                    content = archive.extractfile(entry)
                    assert content is not None  # only links and devices have none
                    yield parts, content.read()
            check_end(path, number, blocks.rest(archive.offset))


def _path(name: str) -> PurePosixPath:
    return PurePosixPath(name.replace("\\", "/"))


def _safe_parts(where: str, name: str) -> tuple[str, ...]:
    path = _path(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or path.parts[:1] == ("~",):
        raise DataError(where, "a path that leaves the archive", "a relative path without ..")
    return path.parts


def _check_size(where: str, size: int, most: int) -> None:
    if size > most:
        raise DataError(where, f"{size} bytes", f"at most {most} in one file")
