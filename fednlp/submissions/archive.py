"""A zip file of a stranger: everything its table of contents says is checked before any of it is
unpacked.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from fednlp.errors import UserError, is_user_error
from fednlp.shown import shown
from fednlp.submissions import layout
from tasks.plain_files import plain

_END, _END64 = 22, 56  # bytes of the record at the end, and of its successor for large files
_POINTER64 = 20  # bytes of what leads to the latter
_ENTRY = 30  # bytes of what stands before each file, without its name
LEAVE = "get it again, or leave it out"
PACKED = "pack fewer runs, or without weights"
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
BROKEN = (  # what zipfile and zlib raise on bytes that are no zip file
    *(OSError, EOFError, ValueError, TypeError, KeyError, IndexError, OverflowError),
    *(RuntimeError, MemoryError, NotImplementedError, AttributeError),
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error),
)


@contextmanager
def opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]]:
    """The archive and its entries, all of which may be unpacked under their names.

    Raises:
        UserError: it cannot be read, or an entry is none that a submission may hold.
    """
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(open(path, "rb", opener=plain))
            begin = _directory(path, stream)
            archive = stack.enter_context(zipfile.ZipFile(stream))
            entries = archive.infolist()
        except FileNotFoundError:
            raise UserError(str(path), "no such file", "a submission", "check the path") from None
        except BROKEN as error:
            if is_user_error(error):
                raise
            if isinstance(error, OSError) and error.filename is not None:
                found = f"cannot be read ({error.strerror})"
                raise UserError(str(path), found, fix="make it readable, or leave it out") from None
            raise broken(path, error) from None
        _check(path, entries, begin)
        yield archive, entries


def broken(path: Path, error: Exception) -> UserError:
    """The one line for bytes that are no zip file."""
    found = f"not readable as a zip file ({shown(error) or type(error).__name__})"
    return UserError(str(path), found, "a submission", "get it again, or pack it again")


def refused(path: Path, name: str, found: str, expected: str = "") -> UserError:
    """The one line for an entry that may not be there."""
    return UserError(f"{path}: {shown(name, 100)!r}", found, expected, LEAVE)


def _directory(path: Path, stream: IO[bytes]) -> int:
    """Where the table of contents begins; zipfile reads all of it, so its size is checked first.

    Files of ours have no comment, so the record that tells stands at the very end.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _END - _POINTER64 - _END64))
    tail = stream.read()
    end = tail[-_END:]
    if len(end) < _END or end[:4] != b"PK\5\6" or end[-2:] != b"\0\0":
        raise UserError(str(path), "is no zip file, or is cut off", "a submission", LEAVE)
    length, begin = struct.unpack("<II", end[12:20])
    rest = _END
    pointer = tail[-_END - _POINTER64 : -_END]
    if pointer[:4] == b"PK\6\7":
        rest += _POINTER64 + _END64
        end64 = tail[-rest : -_END - _POINTER64]
        place = struct.unpack("<Q", pointer[8:16])[0]
        if len(end64) < _END64 or end64[:4] != b"PK\6\6" or place != size - rest:
            raise UserError(str(path), "is no zip file, or is cut off", "a submission", LEAVE)
        length, begin = struct.unpack("<QQ", end64[40:56])
    if length > layout.DIRECTORY_BYTES:
        found = f"its table of contents takes {length:,} bytes"
        raise UserError(str(path), found, f"at most {layout.DIRECTORY_BYTES:,}", PACKED)
    if begin + length + rest != size:
        found = "its table of contents is not where it says"
        raise UserError(str(path), found, "a submission", LEAVE)
    return int(begin)


def _check(path: Path, entries: list[zipfile.ZipInfo], begin: int) -> None:
    if len(entries) > layout.MOST_FILES:
        found = f"holds {len(entries):,} files"
        raise UserError(str(path), found, f"at most {layout.MOST_FILES:,}", PACKED)
    seen: dict[str, str] = {}
    for entry in entries:
        problem = _name_problem(entry) or _kind_problem(entry) or _size_problem(entry)
        if problem:
            raise refused(path, entry.orig_filename, problem)
        other = seen.get(entry.filename.casefold())
        if other == entry.filename:
            raise refused(path, entry.filename, "stands in it twice")
        if other is not None:
            raise refused(path, entry.filename, f"differs from {other!r} in its case only")
        seen[entry.filename.casefold()] = entry.filename
    total = sum(e.file_size for e in entries if not layout.is_state(e.filename))
    if total > layout.TOTAL:
        found = f"unpacks to {total:,} bytes"
        raise UserError(str(path), found, f"at most {layout.TOTAL:,}", PACKED)
    _require_apart(path, entries, begin)


def _name_problem(entry: zipfile.ZipInfo) -> str:
    name = entry.orig_filename  # `filename` ends at the first NUL
    if "\0" in name or "\\" in name or ":" in name:
        return "has a character in its name that no file of a run has"
    if name.startswith("/"):
        return "is an absolute path"
    if ".." in name.split("/"):
        return "leads out of the folder"
    if not layout.is_known(name):
        return "is no file of a run"
    return ""


def _kind_problem(entry: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if stat.S_ISLNK(kind):
        return "is a link"
    if kind not in (0, stat.S_IFREG) or entry.is_dir():
        return "is no plain file"
    if entry.flag_bits & 0x1:
        return "is encrypted"
    if entry.compress_type not in _PLAIN:
        return f"is compressed by method {entry.compress_type}; expected deflate or none"
    if layout.is_state(entry.filename) and entry.compress_type != zipfile.ZIP_STORED:
        return "is compressed; expected weights as they are"
    return ""


def _size_problem(entry: zipfile.ZipInfo) -> str:
    size, most = entry.file_size, layout.largest(entry.filename)
    if size > most:
        return f"unpacks to {size:,} bytes; expected at most {most:,}"
    if size > layout.RATIO_FROM and size > layout.RATIO * max(entry.compress_size, 1):
        return f"unpacks to more than {layout.RATIO} times its size ({size:,} bytes)"
    if entry.compress_type == zipfile.ZIP_STORED and size != entry.compress_size:
        return "has two sizes"
    return ""


def _require_apart(path: Path, entries: Iterable[zipfile.ZipInfo], begin: int) -> None:
    """Files that share bytes of the archive can unpack to any size."""
    free = 0
    for entry in sorted(entries, key=lambda e: e.header_offset):
        if entry.header_offset < free:
            raise refused(path, entry.filename, "lies over another file of the archive")
        free = entry.header_offset + _ENTRY + len(entry.orig_filename) + entry.compress_size
        if free > begin:
            raise refused(path, entry.filename, "lies over the archive's table of contents")
