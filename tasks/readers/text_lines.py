"""Lines of text: UTF-8 with or without a byte order mark, any line ending, no surprises.

Old files may be in `windows-1252` instead, read as the Encoding Standard of the WHATWG defines it:
the five bytes that Python's `cp1252` leaves undefined are the control characters of latin-1, so
every byte is a character.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import IO, Literal

from tasks.errors import DataError

MAX_LINE_BYTES = 8 * 2**20

Encoding = Literal["utf-8", "latin-1", "windows-1252"]

_WINDOWS = "".join(bytes([b]).decode("cp1252", "ignore") or chr(b) for b in range(256))

Line = tuple[str, str | DataError]  # where it is, and its text or what is wrong with it


def text_lines(
    file: IO[bytes], where: str, encoding: Encoding = "utf-8", ends: bool = False
) -> Iterator[Line]:
    """Yields every line without its end, empty ones included; only LF and CR LF end a line.

    Args:
        where: the file's place; a line's is `<where> line <number>`.
        encoding: one in which a line feed is one byte, as in ASCII.
        ends: keep them.
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
            text = _decoded(raw, number, encoding)
        except UnicodeDecodeError:
            found = f"bytes that are not {encoding.upper()}"
            yield place, DataError(place, found, fix="save it as UTF-8")
            continue
        if "\0" in text:
            yield place, DataError(place, "a NUL byte", "text", "is this the file?")
            continue
        yield place, text if ends else text.removesuffix("\n").removesuffix("\r")


def unbroken_lines(file: IO[bytes], where: str) -> Iterator[Line]:
    """`text_lines` of a format in which every line is a record, or is of one.

    A carriage return inside a line is a bad line: where old Macs, or programs of today, end lines
    with it alone, the file would be a single one.
    """
    for place, line in text_lines(file, where):
        if isinstance(line, str) and "\r" in line.strip():
            fix = "carriage returns alone end lines of old Macs: convert the file"
            yield place, DataError(place, "a carriage return inside the line", "one line", fix)
        else:
            yield place, line


def _decoded(raw: bytes, number: int, encoding: Encoding) -> str:
    if encoding == "windows-1252":
        return codecs.charmap_decode(raw, "strict", _WINDOWS)[0]
    return raw.decode("utf-8-sig" if number == 1 and encoding == "utf-8" else encoding)


def _raw_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines, of which one that is too long is cut: the rest of it is read and dropped."""
    while raw := file.readline(MAX_LINE_BYTES + 1):
        if len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
        yield raw
