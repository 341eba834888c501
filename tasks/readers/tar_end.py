"""Where a tar ends: `tarfile` stops without a word at a header that it cannot read.

Two blocks of zeros are the end (POSIX.1-1988, ustar), and zeros up to the record's size follow. A
header that is damaged, a file that is cut and a second archive after the first all lack that.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from tasks.errors import DataError


class Blocks:
    """A stream for `tarfile`, which ends without a word where it finds no header: what follows."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._last, self._end = stream, b"", 0

    def read(self, size: int) -> bytes:
        self._last = self._stream.read(size)
        self._end += len(self._last)
        return self._last

    def rest(self, offset: int) -> Iterator[bytes]:
        """What follows a place in the block that was read last, to the end of the stream.

        There a compressed file has its checksum.
        """
        yield self._last[len(self._last) - max(self._end - offset, 0) :]
        while more := self._stream.read(2**20):
            yield more


def check_end(path: Path, entries: int, rest: Iterable[bytes]) -> None:
    """Raises DataError unless a tar ends as it should: two blocks of zeros, then only zeros."""
    zeros = 0
    for content in rest:
        leading = len(content) - len(content.lstrip(b"\0"))
        zeros += leading
        if leading < len(content):
            break
    else:
        if zeros >= 2 * tarfile.BLOCKSIZE:
            return
    if zeros < 2 * tarfile.BLOCKSIZE:
        raise DataError(
            f"{path} entry {entries + 1}", "damaged or incomplete",
            "a file, or two blocks of zeros as the archive's end", "fetch the file again",
        )  # fmt: skip
    raise DataError(
        str(path), f"more after the archive's end, which is after entry {entries}",
        "one archive in a file", "unpack them, and read the folder",
    )  # fmt: skip
