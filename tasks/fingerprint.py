"""Hashes of content: of tables, of files and of this package's own code.

A cache entry is named by the hashes of all that decides it, so it cannot go stale.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.folders import files_below
from tasks.plain_files import kind_of, plain, unreadable

if TYPE_CHECKING:
    import pyarrow


def file_hash(path: Path) -> str:
    """sha256 of a file, or of the names and contents of all files in a directory.

    Raises:
        DataError: a file or a folder in it cannot be read.
    """
    digest, files = hashlib.sha256(), [path]
    if kind_of(path) == "directory":
        try:
            files = [file for file in files_below(path) if kind_of(file) == "file"]
        except OSError as error:
            raise unreadable(Path(os.fsdecode(error.filename)), error) from None
    for file in files:
        name = os.fsencode(file.relative_to(path).as_posix())  # any bytes, not only UTF-8
        try:
            with open(file, "rb", opener=plain) as stream:
                digest.update(b"\0%b %d\0" % (name, os.fstat(stream.fileno()).st_size))
                while block := stream.read(2**20):
                    digest.update(block)
        except OSError as error:
            raise unreadable(file, error) from None
    return digest.hexdigest()


def code_hash(*patterns: str) -> str:
    """sha256 of the source files of `tasks` that match the patterns, in their order."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for pattern in patterns:
        for file in sorted(here.glob(pattern)):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def table_fingerprint(table: pyarrow.Table) -> str:
    """sha256 over column names, types, number of rows and all values in order.

    The same however the table is cut into chunks or sliced, which are never joined: strings of one
    array end at 2 GB.

    The table must hold no nulls: strings, integers, and lists and structs of them.
    """
    digest = hashlib.sha256(f"{table.num_rows} rows".encode())
    for name in table.column_names:
        digest.update(b"\0column " + name.encode())
        column = table.column(name)
        for part in _parts(column.type, column.chunks):
            digest.update(part)
    return digest.hexdigest()


def _parts(kind: pyarrow.DataType, chunks: list[pyarrow.Array]) -> Iterator[bytes | memoryview]:
    import pyarrow as pa
    import pyarrow.compute as pc

    assert not any(chunk.null_count for chunk in chunks)
    if pa.types.is_struct(kind):
        for place, field in enumerate(kind):
            yield b"\0field " + field.name.encode()
            yield from _parts(field.type, [chunk.flatten()[place] for chunk in chunks])
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield b"\0list "
        yield from (_integers(pc.list_value_length(chunk)) for chunk in chunks)
        yield from _parts(kind.value_type, [chunk.flatten() for chunk in chunks])
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield b"\0string "
        yield from (_integers(pc.binary_length(chunk)) for chunk in chunks)
        offset_type = np.int64 if pa.types.is_large_string(kind) else np.int32
        for chunk in chunks:
            _, offsets, values = chunk.buffers()
            if len(chunk) and values is not None:
                bounds = np.frombuffer(offsets, offset_type)[chunk.offset :][: len(chunk) + 1]
                yield memoryview(values)[int(bounds[0]) : int(bounds[-1])]
    else:
        yield f"\0{kind} ".encode()
        yield from map(_integers, chunks)


def _integers(array: pyarrow.Array) -> bytes:
    return array.to_numpy(zero_copy_only=False).astype("<i8").tobytes()
