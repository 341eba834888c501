"""`client_files`: a folder with one Parquet file for each client and split.

    DIR/train/client_00007.parquet    columns index int64, hash uint64 (null: unknown), and the
    DIR/test/client_00007.parquet     columns of the examples where they are given
    DIR/partition.json                all else

A folder of others needs `DIR/train/client_NUMBER.parquet` with a column index. Every client costs
two files: 100,000 clients take some 20 seconds to write and 40 to read.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..errors import PartitionError
from ..files import kind_of
from ..partition import Partition
from .carried import Carried, carried
from .contents import reject_taken
from .format import Export, Format, Request
from .parquet import hash_column, numbers, share_table
from .shares import MOST_EXAMPLES, Rows, decoding, imported

SIDE_FILE = "partition.json"
_NAME = re.compile(r"client_(\d{1,9})")


def write(export: Export, path: Path) -> None:
    from pyarrow import parquet

    path.mkdir()
    (path / SIDE_FILE).write_text(carried(export.partition), encoding="ascii")
    width = max(5, len(str(export.partition.clients - 1)))
    for name, split in export.partition.splits.items():
        (path / name).mkdir()
        table = share_table(split)
        if export.examples is not None:
            reject_taken(export.examples[name], tuple(table.column_names))
            for column in export.examples[name].schema:
                table = table.append_column(column, export.examples[name].column(column.name))
        offsets, sizes = split.offsets.tolist(), split.sizes().tolist()
        for k in export.clients.tolist():
            target = path / name / f"client_{k:0{width}}.parquet"
            part = table.slice(offsets[k], sizes[k])
            parquet.write_table(part, str(target), use_dictionary=False, write_statistics=False)


def read(path: Path, request: Request) -> Partition:
    shares = {}
    for folder in sorted(path.iterdir()):
        if folder.is_dir():
            shares[folder.name] = _rows(folder)
    side = path / SIDE_FILE
    if kind_of(side) == "nothing":
        return imported(str(path), "client_files", shares, sizes=request.sizes)
    with decoding(side, "client_files"):
        text = side.read_text(encoding="utf-8")
    return Carried.parse(side, "client_files", text).partition(shares)


def _rows(folder: Path) -> Rows:
    import pyarrow
    from pyarrow import parquet

    clients, indices, hashes, total = [], [], [], 0
    for file in sorted(folder.iterdir()):
        match = _NAME.fullmatch(file.stem)
        if match is None or file.suffix != ".parquet":
            raise PartitionError(str(file), "in a folder of clients", "client_NUMBER.parquet only")
        with (
            decoding(file, "parquet"),
            parquet.ParquetFile(str(file)) as opened,
        ):
            total += opened.metadata.num_rows
            if total > MOST_EXAMPLES:
                raise PartitionError(str(file), f"{total:,} examples", f"at most {MOST_EXAMPLES:,}")
            names = opened.schema_arrow.names
            if "index" not in names:
                raise PartitionError(str(file), "no column index")
            table = opened.read([name for name in ("index", "hash") if name in names], False)
        held = numbers(str(file), table, "index")
        known = hash_column(str(file), table)
        clients.append(np.full(len(held), int(match[1])))
        indices.append(held)
        if known is None or known.type == pyarrow.null():
            known = pyarrow.chunked_array([pyarrow.nulls(len(held), pyarrow.uint64())])
        hashes.append(known)
    if not indices:
        return Rows(np.zeros(0, np.int64), np.zeros(0, np.int64))
    column = pyarrow.chunked_array([part for known in hashes for part in known.chunks])
    if column.null_count not in (0, len(column)):
        raise PartitionError(str(folder), "hashes of some examples only", "all or none")
    content = None if column.null_count else column.to_numpy()
    return Rows(np.concatenate(clients), np.concatenate(indices), content)


FORMAT = Format(
    "client_files", "one Parquet file per client and split", write, read, (), "may", ("pyarrow",)
)
