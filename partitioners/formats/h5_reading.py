"""Reading FedNLP's partition files and ours: clients in numeric order, indices as rows of splits.

The layout and the rule for the size of train are in h5.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import PartitionError
from ..partition import Partition
from ..row_lookup import places_by_number
from .carried import Carried
from .format import Request
from .h5_data import SPLITS, data_path, read_index_lists
from .h5_matching import rows_by_content
from .h5_methods import canonical, choose
from .shares import MOST_EXAMPLES, Rows, decoding, imported, whole_numbers

if TYPE_CHECKING:
    import h5py

DEFLATE = 1032  # what zlib shrinks at most: more numbers than that are not in the file
_CLIENT = re.compile(r"\d{1,9}(\.0*)?")


def read(path: Path, request: Request) -> Partition:
    import h5py

    where = str(path)
    with decoding(path, "h5"), h5py.File(path, "r") as file:
        key = _method(where, file, request.method)
        method, place = file[key], f"{where}/{key}"
        numbers = _numbers(place, method)
        text = None
        if "carried" in method:
            text = _array(f"{place}/carried", method["carried"].id).tobytes()
        hashes = {
            name: _array(f"{place}/hashes/{name}", method[f"hashes/{name}"].id)
            for name in SPLITS
            if f"hashes/{name}" in method
        }
        facts = {name: _scalar(place, method, name) for name in ("alpha", "beta")}
    if text is not None:
        return _ours(Carried.parse(path, "h5", text), numbers, hashes)
    shares, rows_by = _rows_by_split(path, place, numbers, request)
    return imported(
        where,
        "h5",
        shares,
        sizes=request.sizes,
        rows_by=rows_by,
        clients=numbers.clients,
        method=canonical(key),
        parameters={name: value for name, value in facts.items() if value is not None},
    )


@dataclass(frozen=True)
class _Numbers:
    """What a method lists: for each split the holders and the indices of all examples.

    everything: the same for examples without a split, where there is only `client_assignment`.
    """

    clients: int
    splits: dict[str, Rows]
    everything: Rows | None = None


def _method(where: str, file: h5py.File, wanted: str | None) -> str:
    """The key of the group to read."""
    known: dict[Any, str] = {}
    for key in file:
        group = file.get(key)
        if hasattr(group, "keys") and {"partition_data", "client_assignment"} & set(group):
            if key == wanted:
                return key
            known.setdefault(group.id, key)  # a group may have two names
    return choose(where, list(known.values()), wanted)


def _numbers(place: str, method: h5py.Group) -> _Numbers:
    """Clients in numeric order, whatever order the file keeps their keys in."""
    from h5py import h5g

    keys: list[str] = []
    if "partition_data" in method:
        keys = _client_keys(place, method["partition_data"])
    declared = _scalar(place, method, "n_clients")
    if declared is not None and keys and declared != len(keys):
        raise PartitionError(place, f"n_clients {declared}, but {len(keys)} clients in it")
    found: dict[str, list[np.ndarray]] = {name: [] for name in SPLITS}
    total = 0
    for key in keys:
        client = h5g.open(method["partition_data"].id, key.encode())
        for name in SPLITS:
            found[name].append(_indices(f"{place}/partition_data/{key}/{name}", client, name))
            total += len(found[name][-1])
            if total > MOST_EXAMPLES:
                raise PartitionError(place, f"over {MOST_EXAMPLES:,} examples")
    if total or "client_assignment" not in method:
        if not keys:
            raise PartitionError(place, "holds no client", "partition_data of clients from 0")
        holders = np.arange(len(keys))
        splits = {
            name: Rows(np.repeat(holders, [len(one) for one in parts]), np.concatenate(parts))
            for name, parts in found.items()
        }
        return _Numbers(len(keys), splits)
    holders = _array(f"{place}/client_assignment", method["client_assignment"].id)
    holders = whole_numbers(place, "client_assignment", holders)
    clients = len(keys) or int(holders.max(initial=-1)) + 1
    return _Numbers(clients, {}, Rows(holders, np.arange(len(holders))))


def _client_keys(place: str, folder: h5py.Group) -> list[str]:
    """`0`, `1`, ... or `0.0`, `1.0`, ...: all from 0, in numeric order."""
    numbers: dict[int, str] = {}
    for key in folder:
        if not _CLIENT.fullmatch(key):
            raise PartitionError(place, f"client {key[:40]!r}", "a number")
        if int(float(key)) in numbers:
            raise PartitionError(place, f"clients {numbers[int(float(key))]} and {key}", "one")
        numbers[int(float(key))] = key
    missing = next((k for k in range(len(numbers)) if k not in numbers), None)
    if missing is not None:
        raise PartitionError(
            place, f"client {missing} is missing", f"0 to {len(numbers) - 1}, as it has that many"
        )
    return [numbers[k] for k in range(len(numbers))]


def _indices(place: str, client: Any, name: str) -> np.ndarray:
    from h5py import h5d

    try:
        data = h5d.open(client, name.encode())
    except KeyError:
        raise PartitionError(place, "missing", "an array of indices") from None
    return whole_numbers(place, "indices", _array(place, data))


def _array(place: str, data: Any) -> np.ndarray:
    """A one-dimensional array, no larger than what the file can hold of it."""
    from h5py import h5s

    shape, dtype = data.shape, data.dtype
    if len(shape) != 1 or (dtype.kind not in "iu" and shape[0]):
        raise PartitionError(place, f"{dtype} of shape {shape}", "whole numbers in one row")
    if not shape[0]:
        return np.zeros(0, dtype=np.int64)  # numpy calls an empty list float
    bytes_declared = shape[0] * dtype.itemsize
    if bytes_declared > DEFLATE * max(data.get_storage_size(), 0):
        raise PartitionError(place, f"declares {shape[0]:,} numbers that the file does not hold")
    values: np.ndarray = np.empty(shape, dtype)
    data.read(h5s.ALL, h5s.ALL, values)
    return values


def _scalar(place: str, method: h5py.Group, name: str) -> int | float | None:
    if name not in method:
        return None
    value = np.asarray(method[name][()])
    if value.ndim or value.dtype.kind not in "iuf" or not np.isfinite(value):
        raise PartitionError(f"{place}/{name}", f"{str(value)[:40]}", "a number")
    return value.item()


def _ours(carry: Carried, numbers: _Numbers, hashes: dict[str, np.ndarray]) -> Partition:
    begin = carry.more.get("test_begins")
    if type(begin) is not int or abs(begin) > 2**62:
        raise PartitionError(carry.where, f"test_begins {str(begin)[:40]!r}", "a whole number")
    shares = {}
    for name, rows in numbers.splits.items():
        indices = rows.indices - begin if name == "test" else rows.indices
        known = hashes.get(name)
        if name in carry.splits or len(indices):
            shares[name] = Rows(rows.clients, indices, known if len(indices) else None)
    return carry.partition(shares)


def _rows_by_split(
    path: Path, place: str, numbers: _Numbers, request: Request
) -> tuple[dict[str, Rows], str]:
    """Indices of all examples as rows of their splits, and by what these are known."""
    data = data_path(path)
    lists = read_index_lists(data)
    size, rows_by = (request.sizes or {}).get("train"), "number"
    if lists is not None and request.examples is not None:
        turned, rows_by = rows_by_content(data, lists, request.examples), "content"
    elif lists is not None:
        if size is not None and len(lists[0]) != size:
            found = f"lists {len(lists[0])} examples of train"
            raise PartitionError(str(data), found, f"{size}, as the data has", "use its own data")
        turned = {
            name: partial(places_by_number, numbers=known)
            for name, known in zip(SPLITS, lists, strict=True)
        }
    elif size is not None:
        turned = {
            "train": lambda indices: np.where(indices < size, indices, -1),
            "test": lambda indices: np.where(indices >= size, indices - size, -1),
        }
    elif numbers.everything is None and not len(numbers.splits["test"].indices):
        return numbers.splits, rows_by
    else:
        raise PartitionError(
            place,
            "numbers test examples on from the last of train, but nothing says which that is",
            f"the size of train (sizes), or {data.name} beside it",
        )
    shares = {}
    for name in SPLITS:
        rows = numbers.everything or numbers.splits[name]
        places = turned[name](rows.indices)
        wrong = np.flatnonzero(places < 0)
        if numbers.everything is not None:
            shares[name] = Rows(rows.clients[places >= 0], places[places >= 0])
            continue
        if len(wrong):
            raise _no_example(place, name, int(rows.indices[wrong[0]]), data, rows_by)
        held = np.stack([rows.clients, places])
        if rows_by == "content":  # two answers of theirs may be one example
            held = np.unique(held, axis=1)
        shares[name] = Rows(*held)
    return shares, rows_by


def _no_example(place: str, name: str, index: int, data: Path, rows_by: str) -> PartitionError:
    found = f"{name} index {index} is no example of {name}"
    if rows_by == "number":
        return PartitionError(place, found, "its own split", "it was made for other data")
    fix = f"it was made for other data; without {data.name} beside it, rows go by their order"
    return PartitionError(place, found, f"one whose content in {data.name} is in the data", fix)
