"""`dataset_dict`: a Hugging Face `DatasetDict` on disk, for `datasets.load_from_disk`.

Every split has the columns `client_id` int64, `row` int64 (of the source split) and those of the
examples. `partition.json` in the folder holds all else; `datasets` passes over it. A folder of
others needs the first two columns.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..errors import PartitionError
from ..files import kind_of
from ..partition import Partition
from .carried import Carried, carried, hashes_of, hex_of
from .contents import reject_taken
from .format import Export, Format, Request
from .parquet import numbers
from .shares import Rows, decoding, imported

SIDE_FILE = "partition.json"


def write(export: Export, path: Path) -> None:
    import pyarrow
    from datasets import Dataset, DatasetDict
    from datasets.utils.logging import (
        disable_progress_bar,
        enable_progress_bar,
        is_progress_bar_enabled,
    )

    assert export.examples is not None
    tables, hashes = {}, {}
    for name, split in export.partition.splits.items():
        table = export.examples[name]
        reject_taken(table, ("client_id", "row"))
        clients = np.repeat(np.arange(split.clients), split.sizes())
        table = table.replace_schema_metadata(None)
        table = table.add_column(0, "client_id", pyarrow.array(clients))
        tables[name] = Dataset(table.add_column(1, "row", pyarrow.array(split.indices)))
        if split.hashes is not None:
            hashes[name] = hex_of(split.hashes)
    shown = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        DatasetDict(tables).save_to_disk(str(path))
    finally:
        if shown:
            enable_progress_bar()
    text = carried(export.partition, hashes=hashes)
    (path / SIDE_FILE).write_text(text, encoding="ascii")


def read(path: Path, request: Request) -> Partition:
    where = str(path)
    with decoding(path / "dataset_dict.json", "dataset_dict"):
        names = json.loads((path / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
    if not isinstance(names, list) or not all(map(_plain, names)):
        raise PartitionError(where, "splits that are no plain names")
    shares = {name: _rows(path / name) for name in names}
    side = path / SIDE_FILE
    if kind_of(side) == "nothing":
        return imported(where, "dataset_dict", shares, sizes=request.sizes)
    with decoding(side, "dataset_dict"):
        text = side.read_text(encoding="utf-8")
    carry = Carried.parse(side, "dataset_dict", text)
    hashes = carry.more.get("hashes")
    if not isinstance(hashes, dict):
        raise PartitionError(str(side), "hashes of the wrong kind")
    for name, digits in hashes.items():
        if name in shares:
            known = hashes_of(str(side), digits)
            shares[name] = Rows(shares[name].clients, shares[name].indices, known)
    return carry.partition(shares)


def _rows(folder: Path) -> Rows:
    """Read as Arrow files: that needs neither `datasets` nor its cache."""
    import pyarrow

    clients, indices = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    with decoding(folder / "state.json", "dataset_dict"):
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        files = [entry["filename"] for entry in state["_data_files"]]
    if not all(map(_plain, files)):
        raise PartitionError(str(folder / "state.json"), "files that are no plain names")
    for name in files:
        with decoding(folder / name, "dataset_dict"), pyarrow.memory_map(str(folder / name)) as raw:
            table = pyarrow.ipc.open_stream(raw).read_all()
            for column in ("client_id", "row"):
                if table.column_names.count(column) != 1:
                    raise PartitionError(str(folder), f"no column {column}, or two")
            table = table.select(["client_id", "row"])
            table.validate(full=True)
            clients.append(np.array(numbers(str(folder), table, "client_id")))
            indices.append(np.array(numbers(str(folder), table, "row")))
    return Rows(np.concatenate(clients), np.concatenate(indices))


def _plain(name: object) -> bool:
    return isinstance(name, str) and Path(name).name == name


FORMAT = Format(
    "dataset_dict",
    "a Hugging Face DatasetDict on disk",
    write,
    read,
    examples="must",
    libraries=("pyarrow",),
    to_write=("datasets",),
)
