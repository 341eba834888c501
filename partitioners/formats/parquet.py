"""`parquet`: one long table, a row per example given out.

| column   | type                 |                                            |
|----------|----------------------|--------------------------------------------|
| `split`  | dictionary of string | train or test                              |
| `client` | int64                | from 0                                     |
| `index`  | int64                | row of the source split                    |
| `hash`   | uint64, nullable     | what is in the example; null where unknown |

All else is JSON under the key `fednlp_partition` of the file's metadata. A table of others needs
`client` and `index`; `split` may be text of any kind, or missing where all examples are of train.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import PartitionError
from ..partition import Partition, Split
from .carried import KEY, Carried, carried
from .format import Export, Format, Request
from .shares import MOST_EXAMPLES, Rows, decoding, imported

if TYPE_CHECKING:
    import pyarrow


def share_table(split: Split, columns: tuple[str, str] = ("index", "hash")) -> pyarrow.Table:
    """Index and hash of the examples of a split, in its order."""
    import pyarrow

    hashes = pyarrow.nulls(len(split.indices), pyarrow.uint64())
    if split.hashes is not None:
        hashes = pyarrow.array(split.hashes)
    return pyarrow.table([pyarrow.array(split.indices), hashes], names=columns)


def write(export: Export, path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    names = sorted(export.partition.splits)
    tables = []
    for code, name in enumerate(names):
        split = export.partition.splits[name]
        clients = np.repeat(np.arange(split.clients), split.sizes())
        codes = pyarrow.array(np.full(len(clients), code, dtype=np.int32))
        column = pyarrow.DictionaryArray.from_arrays(codes, pyarrow.array(names, pyarrow.string()))
        table = share_table(split).add_column(0, "client", pyarrow.array(clients))
        tables.append(table.add_column(0, "split", column))
    table = pyarrow.concat_tables(tables)
    table = table.replace_schema_metadata({KEY: carried(export.partition)})
    parquet.write_table(table, path, use_dictionary=["split"], write_page_checksum=True)


def read(path: Path, request: Request) -> Partition:
    from pyarrow import parquet

    where = str(path)
    with (
        decoding(path, "parquet"),
        parquet.ParquetFile(path, page_checksum_verification=True) as file,
    ):
        schema, rows = file.schema_arrow, file.metadata.num_rows
        if rows > MOST_EXAMPLES:
            raise PartitionError(where, f"{rows:,} rows", f"at most {MOST_EXAMPLES:,}")
        missing = [name for name in ("client", "index") if name not in schema.names]
        if missing:
            raise PartitionError(
                where, f"no column {missing[0]}", "a table with client, index and perhaps split"
            )
        wanted = [name for name in ("split", "client", "index", "hash") if name in schema.names]
        table = file.read(wanted)
    text = (schema.metadata or {}).get(KEY.encode())
    shares = _shares(where, table)
    if text is None:
        return imported(where, "parquet", shares, sizes=request.sizes)
    carry = Carried.parse(path, "parquet", text)
    for name in carry.splits:  # one without examples has no rows
        shares.setdefault(name, Rows(np.zeros(0, np.int64), np.zeros(0, np.int64)))
    return carry.partition(shares)


def _shares(where: str, table: pyarrow.Table) -> dict[str, Rows]:
    import pyarrow

    if "split" not in table.column_names:
        names = pyarrow.nulls(table.num_rows, pyarrow.string()).fill_null("train")
        table = table.append_column("split", names)
    for name in ("split", "client", "index"):
        if table.column_names.count(name) != 1 or table.column(name).null_count:
            raise PartitionError(where, f"column {name} with gaps, or twice")
    kind = table.schema.field("split").type
    kind = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    if kind not in (pyarrow.string(), pyarrow.large_string(), pyarrow.string_view()):
        raise PartitionError(where, f"column split of type {kind}", "text")
    with decoding(Path(where), "parquet"):
        column = table.column("split").cast(pyarrow.string()).combine_chunks()
        codes = column.dictionary_encode()
        names, values = codes.dictionary.to_pylist(), np.asarray(codes.indices)
    clients, indices = numbers(where, table, "client"), numbers(where, table, "index")
    hashes = hash_column(where, table)
    shares = {}
    for code, name in enumerate(names):
        held = values == code
        known = None if hashes is None else hashes.filter(pyarrow.array(held))
        if known is not None and known.null_count not in (0, len(known)):
            raise PartitionError(where, f"hashes of some examples of {name} only", "all or none")
        known = None if known is None or known.null_count else known.to_numpy()
        shares[name] = Rows(clients[held], indices[held], known)
    return shares


def numbers(where: str, table: pyarrow.Table, name: str) -> np.ndarray:
    """[n] a column of whole numbers without gaps."""
    import pyarrow

    _require_once(where, table, name)
    column = table.column(name)
    if not pyarrow.types.is_integer(column.type) or column.null_count:
        found = f"column {name} of type {column.type} with {column.null_count} gaps"
        raise PartitionError(where, found, "whole numbers")
    return column.to_numpy()


def hash_column(where: str, table: pyarrow.Table) -> pyarrow.ChunkedArray | None:
    import pyarrow

    if "hash" not in table.column_names:
        return None
    _require_once(where, table, "hash")
    column = table.column("hash")
    if column.type not in (pyarrow.uint64(), pyarrow.null()):
        raise PartitionError(where, f"column hash of type {column.type}", "uint64")
    return column


def _require_once(where: str, table: pyarrow.Table, name: str) -> None:
    if table.column_names.count(name) != 1:
        raise PartitionError(where, f"two columns {name}", "one")


FORMAT = Format(
    "parquet",
    "one long table: split, client, index",
    write,
    read,
    (".parquet",),
    libraries=("pyarrow",),
)
