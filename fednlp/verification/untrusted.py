"""Binary files of strangers: how much they unpack to is known before they are unpacked."""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from fednlp.verification.check import Wrong
from partitioners import Partition
from tasks.plain_files import read_plain

LARGEST_FILE = 2**28  # bytes, of any but weights
LARGEST_ARRAYS = 2**29  # bytes, of the arrays of a partition
LARGEST_TEXTS = 2**28  # characters, of all predictions
MOST_COLUMNS = 64


def read_bounded(path: Path) -> bytes:
    """A plain file of at most `LARGEST_FILE` bytes.

    Raises:
        Wrong: it is larger. OSError: it cannot be read.
    """
    data = read_plain(path, LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise Wrong(f"{path.name} is larger than {LARGEST_FILE:,} bytes")
    return data


def read_partition(path: Path) -> Partition:
    """`Partition.load`, after the arrays of the file were measured.

    Raises:
        Wrong: they are too large, or larger than the file holds of them.
        PartitionError: it is damaged.
    """
    data = read_bounded(path)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > LARGEST_ARRAYS:
            raise Wrong(f"{path.name} unpacks to more than {LARGEST_ARRAYS:,} bytes")
        for entry in entries:
            with archive.open(entry) as stream:
                promised = _promised(stream)
            if promised > entry.file_size:
                raise Wrong(f"{path.name}: {entry.filename} promises more than it holds")
    return Partition.load(path)


def _promised(stream: Any) -> int:
    """Bytes of the array that the header of a .npy file tells of."""
    form = np.lib.format
    version = form.read_magic(stream)
    read = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
    shape, _, dtype = read(stream)
    return math.prod(shape) * dtype.itemsize


def read_predictions(path: Path, examples: int) -> dict[str, Any]:
    """The columns of `predictions.parquet`, each of one value per test example.

    Numbers become arrays [n]; texts become lists, of which equal ones are one object, so that
    a text that is stored once and named often takes no more memory than the file.

    Raises:
        Wrong: it has another number of rows, too many columns, or too long texts.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = pa.BufferReader(read_bounded(path))
    file = pq.ParquetFile(data)
    about, schema = file.metadata, file.schema_arrow
    if about.num_rows != examples or about.num_columns > MOST_COLUMNS:
        found = f"{about.num_rows} rows in {about.num_columns} columns"
        raise Wrong(f"{path.name} has {found}, but there are {examples} test examples")
    if any(pa.types.is_nested(field.type) for field in schema):
        raise Wrong(f"{path.name} has nested columns")
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    texts = [field.name for field in schema if not any(of(field.type) for of in numbers)]
    data.seek(0)
    table = pq.read_table(data, read_dictionary=texts, use_threads=False)
    columns: dict[str, Any] = {}
    for name in table.column_names:
        column = table.column(name)
        if column.null_count or len(column) != examples:
            raise Wrong(f"{path.name}: {name} has empty cells")
        columns[name] = _texts(path, column) if name in texts else column.to_numpy()
    return columns


def _texts(path: Path, column: Any) -> list[str]:
    values: list[str] = []
    for chunk in column.chunks:
        words = chunk.dictionary.to_pylist()
        values += [words[place] for place in chunk.indices.to_pylist()]
    if sum(map(len, values)) > LARGEST_TEXTS:
        raise Wrong(f"{path.name} holds more than {LARGEST_TEXTS:,} characters")
    return values


def parsed(texts: list[str]) -> list[Any]:
    """JSON texts as values, equal ones parsed once."""
    known = {text: json.loads(text) for text in set(texts)}
    return [known[text] for text in texts]
