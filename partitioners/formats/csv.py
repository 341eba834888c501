"""`csv`: example_index,client_id,split - the table anybody can write by hand.

    example_index,client_id,split
    17,0,train
    3,1,train

Both are whole numbers from 0. Other columns are passed over; without `split` all examples are of
train. Holds shares only: an
exported CSV loses provenance, held-out clients, hashes, histogram and clients without examples.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import PartitionError
from ..partition import Partition
from .csv_faults import fault
from .format import Export, Format, Request
from .shares import Rows, decoding, imported

COLUMNS = ("example_index", "client_id", "split")
PLAIN = "write example_index and client_id as whole numbers from 0, in a table without comments"


def write(export: Export, path: Path) -> None:
    import pyarrow
    from pyarrow import csv

    options = csv.WriteOptions(include_header=False, quoting_style="none")
    with open(path, "wb") as file:
        file.write((",".join(COLUMNS) + "\n").encode())
        for name, split in sorted(export.partition.splits.items(), reverse=True):
            clients = np.repeat(np.arange(split.clients), split.sizes())
            names = pyarrow.array([name]).take(pyarrow.array(np.zeros(len(clients), np.int8)))
            table = pyarrow.table([split.indices, clients, names], names=COLUMNS)
            csv.write_csv(table, file, options)


def read(path: Path, request: Request) -> Partition:
    import pyarrow
    from pyarrow import csv

    where = str(path)
    if not path.stat().st_size:
        raise PartitionError(where, "is empty", f"a table with {COLUMNS[0]},{COLUMNS[1]}")
    number = pyarrow.int64()
    with decoding(path, "csv", fix=PLAIN):
        kinds = dict(zip(COLUMNS, (number, number, pyarrow.string()), strict=True))
        options = csv.ConvertOptions(column_types=kinds, null_values=[], check_utf8=True)
        try:
            table = csv.read_csv(path, convert_options=options)
            names = table.column_names  # may be no UTF-8 either
        except (pyarrow.ArrowInvalid, UnicodeDecodeError) as error:
            raise fault(path, COLUMNS[:2]) or error from None
    for column in COLUMNS[:2]:
        if names.count(column) != 1:
            found = f"columns {', '.join(map(str, names[:8]))}"
            fix = "the first line names the columns"
            raise PartitionError(where, found, f"one column {column}", fix)
    if names.count("split") > 1:
        raise PartitionError(where, "two columns split", "one")
    _refuse_hexadecimal(path)
    indices, clients = (table.column(name).to_numpy() for name in COLUMNS[:2])
    shares = {"train": Rows(clients, indices)}
    if "split" in names:
        codes = table.column("split").combine_chunks().dictionary_encode()
        values = np.asarray(codes.indices)
        shares = {
            name: Rows(clients[values == code], indices[values == code])
            for code, name in enumerate(codes.dictionary.to_pylist())
        }
    return imported(where, "csv", shares, sizes=request.sizes)


def _refuse_hexadecimal(path: Path) -> None:
    """PartitionError for 0x10, which Arrow takes for 16."""
    content = path.read_bytes()
    wrong = fault(path, COLUMNS[:2]) if b"0x" in content or b"0X" in content else None
    if wrong:
        raise wrong


FORMAT = Format(
    "csv",
    "example_index,client_id,split; shares only",
    write,
    read,
    (".csv",),
    libraries=("pyarrow",),
)
