"""`h5`: the partition file of FedNLP (Lin et al. 2022), and its data file where examples are given.

    /{method}/n_clients                         whole number
    /{method}/alpha or beta                     where there is one; says what was asked for
    /{method}/partition_data/{client}/train     whole numbers, indices of ALL examples
    /{method}/partition_data/{client}/test
    /{method}/carried, /{method}/hashes/{split} all else: ours, FedNLP's readers pass over it

FedNLP numbers all examples of a data set at once. Here that is: rows of train as they are, rows of
test counted on from the size of train. Where the shares of test are rows of the source's train
split, they are numbered with them. The size of train is

- on export: `sizes["train"]` if given, else one above the highest row of train that a client has;
- on import of our files: what they say;
- of files of others: the index lists in NAME_data.h5 beside NAME_partition.h5 if that is there
  (`train_index_list` and `test_index_list`; FedNLP's 90 to 10 cut of `index_list` where it has no
  such lists), else `sizes["train"]`. A file with test examples needs one of them.

Which row an index is says the content of its example in NAME_data.h5 (h5_matching.py), where the
source's examples are given. Else it is its place in the list: an order that nobody can check.

A reader asks for every client below `n_clients`: with chosen clients, that is one above the highest
of them, and those between are there without examples. Each client costs two data sets: 100,000
clients take some 6 seconds to write and 13 to read (benchmarks/results/partition_formats.md).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import PartitionError
from .carried import carried
from .format import Export, Format
from .h5_data import SPLITS, data_path, write_data
from .h5_methods import names_for
from .h5_reading import read

if TYPE_CHECKING:
    import h5py


def write(export: Export, path: Path) -> None:
    partition = export.partition
    if set(partition.splits) - set(SPLITS):
        raise PartitionError("format h5", f"splits {', '.join(partition.splits)}", "train and test")
    begin = _begin_of_test(export)
    starts = {"train": 0, "test": begin}
    count = int(export.clients[-1]) + 1
    names = names_for(partition.provenance, partition.clients)
    image = memory_file(lambda file: _fill(file, export, names, count, starts))
    path.write_bytes(image)
    if export.examples is not None:
        data_path(path).write_bytes(memory_file(lambda file: write_data(file, export, starts)))


def memory_file(fill: Callable[[h5py.File], None]) -> bytes:
    """The bytes of an h5 file: HDF5 itself does not survive a full disk in good order.

    Format of HDF5 1.10: any reader of the last ten years, and checksums on its structure.
    """
    import h5py

    bounds = ("v110", "v110")
    with h5py.File("x", "w", driver="core", backing_store=False, libver=bounds) as file:
        fill(file)
        file.flush()
        return file.id.get_file_image()


def _begin_of_test(export: Export) -> int:
    """The number of the first example of test."""
    splits, counted = export.partition.splits, export.partition.provenance.get("rows_of")
    if isinstance(counted, dict) and "test" in splits and counted.get("test") == "train":
        return 0
    highest = int(splits["train"].indices.max(initial=-1))
    size = (export.sizes or {}).get("train", highest + 1)
    if size <= highest:
        raise PartitionError("sizes", f"{size} examples of train", f"more than row {highest}")
    return size


def _fill(
    file: h5py.File, export: Export, names: list[str], count: int, starts: dict[str, int]
) -> None:
    from h5py import h5d, h5g, h5s, h5t

    partition = export.partition
    method = file.create_group(names[0])
    for other in names[1:]:
        file[other] = method  # a second name of the same group
    method["n_clients"] = count
    for name, value in _asked(partition.provenance).items():
        method[name] = value
    text = carried(partition, test_begins=starts["test"])
    method["carried"] = np.frombuffer(text.encode(), dtype=np.uint8)
    folder = method.create_group("partition_data").id
    splits = {name: partition.splits.get(name) for name in SPLITS}
    shares = {
        name: (split.indices + starts[name], split.offsets.tolist())
        for name, split in splits.items()
        if split is not None
    }
    for name, split in splits.items():
        if split is not None and split.hashes is not None:
            method[f"hashes/{name}"] = split.hashes
    nothing = np.zeros(0, dtype=np.int64)
    for k in range(count):
        client = h5g.create(folder, str(k).encode())
        for name in SPLITS:
            values = nothing
            if name in shares:
                numbers, offsets = shares[name]
                values = numbers[offsets[k] : offsets[k + 1]]
            space = h5s.create_simple(values.shape)
            data = h5d.create(client, name.encode(), h5t.NATIVE_INT64, space)
            if len(values):
                data.write(h5s.ALL, h5s.ALL, values)


def _asked(provenance: dict[str, Any]) -> dict[str, float]:
    parameters = provenance.get("parameters")
    asked = parameters if isinstance(parameters, dict) else {}
    if provenance.get("partitioner") == "quantity" and "alpha" in asked:
        return {"beta": asked["alpha"]}
    known = {name: asked.get(name) for name in ("alpha", "beta")}
    return {name: value for name, value in known.items() if isinstance(value, (int, float))}


FORMAT = Format(
    "h5",
    "FedNLP's partition file, and its data file",
    write,
    read,
    (".h5", ".hdf5"),
    "may",
    ("h5py",),
)
