"""Lines of text: UTF-8 with or without a byte order mark, any line ending, no surprises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from tasks.errors import DataError

MAX_LINE_BYTES = 8 * 2**20

Line = tuple[str, str | DataError]  # where it is, and its text or what is wrong with it


def text_lines(file: IO[bytes], where: str, encoding: str = "utf-8") -> Iterator[Line]:
    """Yields every line without its end, empty ones included; only LF and CR LF end a line.

    Args:
        where: the file's place; a line's is `<where> line <number>`.
        encoding: one in which a line feed is one byte, as in ASCII.
    """
    for number, raw in enumerate(_raw_lines(file), 1):
        place = f"{where} line {number}"
        if len(raw) > MAX_LINE_BYTES:
            yield (
                place,
                DataError(
                    place,
                    f"more than {MAX_LINE_BYTES} bytes",
                    "a line of text",
                    "is this the file?",
                ),
            )
            continue
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            found = f"bytes that are not {encoding.upper()}"
            yield place, DataError(place, found, fix="save it as UTF-8")
            continue
        if number == 1 and encoding == "utf-8":
            text = text.removeprefix("\ufeff")
        if "\0" in text:
            yield place, DataError(place, "a NUL byte", "text", "is this the file?")
            continue
        yield place, text.removesuffix("\n").removesuffix("\r")


def _raw_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines, of which one that is too long is cut: the rest of it is read and dropped."""
    while raw := file.readline(MAX_LINE_BYTES + 1):
        if len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
        yield raw
