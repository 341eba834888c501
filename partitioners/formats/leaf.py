"""`leaf`: the JSON of LEAF (Caldas et al. 2018), a folder with train/data.json and test/data.json.

    {"users": ["0", "1"], "num_samples": [3, 2],
     "user_data": {"0": {"x": [...], "y": [...]}, ...}, "partition": {...}}

With examples, x and y are as in contents.py; without, x holds the source rows and every y is null.
Every file lists the same users, as LEAF's reader wants it. `partition`, a key that LEAF passes
over, holds what LEAF has no place for, the rows among it. Files of others cannot be read back: they
hold examples without saying which these are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PartitionError
from ..partition import Partition
from .carried import Carried, carried, hashes_of, hex_of
from .contents import x_and_y
from .format import Export, Format, Request
from .shares import Rows, decoding, flat_numbers


def write(export: Export, path: Path) -> None:
    for name, split in export.partition.splits.items():
        (path / name).mkdir(parents=True)
        indices, offsets = split.indices.tolist(), split.offsets.tolist()
        sizes = split.sizes()[export.clients].tolist()
        users = [str(k) for k in export.clients]
        more: dict[str, Any] = {"split": name, "rows": export.examples is None}
        if split.hashes is not None:
            more["hashes"] = hex_of(split.hashes)
        if export.examples is not None:
            more["rows"] = indices
        with open(path / name / "data.json", "w", encoding="ascii") as file:
            file.write(f'{{"users": {json.dumps(users)}, "num_samples": {sizes}, "user_data": {{')
            comma = ""
            for k, user, size in zip(export.clients.tolist(), users, sizes, strict=True):
                x, y = str(indices[offsets[k] : offsets[k + 1]]), json.dumps([None] * size)
                if export.examples is not None:
                    table = export.examples[name].slice(offsets[k], size)
                    x, y = map(json.dumps, x_and_y(table))
                file.write(f'{comma}"{user}": {{"x": {x}, "y": {y}}}')
                comma = ", "
            file.write(f'}}, "partition": {carried(export.partition, **more)}}}')


def read(path: Path, request: Request) -> Partition:
    carry: Carried | None = None
    shares: dict[str, Rows] = {}
    for file in sorted(path.glob("*/*.json")):
        with decoding(file, "leaf"):
            content = json.loads(file.read_text(encoding="utf-8"))
        other, rows = _rows(str(file), content)
        name = other.more.get("split")
        if not isinstance(name, str) or name in shares:
            raise PartitionError(str(file), f"split {str(name)[:40]!r} twice or without a name")
        if carry is not None and other.seal != carry.seal:
            raise PartitionError(str(file), "is not of the same partition as its neighbours")
        carry, shares[name] = other, rows
    if carry is None:
        raise PartitionError(
            str(path), "no file train/data.json in it", "a folder in LEAF's layout"
        )
    return carry.partition(shares)


def _rows(where: str, content: Any) -> tuple[Carried, Rows]:
    if not isinstance(content, dict) or "user_data" not in content:
        raise PartitionError(where, "no user_data in it", "a file in LEAF's layout")
    if "partition" not in content:
        raise PartitionError(
            where,
            "does not say which rows its examples are",
            "a file that this program exported",
            "a table example_index,client_id (csv) says it",
        )
    carry = Carried.check(where, content["partition"])
    users, sizes, data = (content.get(key) for key in ("users", "num_samples", "user_data"))
    if not (isinstance(users, list) and isinstance(sizes, list) and isinstance(data, dict)):
        raise PartitionError(where, "users, num_samples or user_data of the wrong kind")
    if len(set(map(str, users))) != len(users) or sorted(map(str, users)) != sorted(data):
        raise PartitionError(where, "users and user_data that differ")
    try:
        clients = np.array([int(user) for user in users], dtype=np.int64)
    except (TypeError, ValueError, OverflowError):
        raise PartitionError(where, "users that are no client numbers") from None
    held = [data[user] for user in users]
    if not all(isinstance(one, dict) and isinstance(one.get("x"), list) for one in held):
        raise PartitionError(where, "a user without a list x")
    counts = flat_numbers(where, "num_samples", [sizes])
    if counts.tolist() != [len(one["x"]) for one in held]:
        raise PartitionError(where, "num_samples that are not the lengths of x")
    rows = carry.more.get("rows")
    lists = [rows] if isinstance(rows, list) else [one["x"] for one in held]
    indices = flat_numbers(where, "row", lists)
    hashes = None
    if "hashes" in carry.more:
        hashes = hashes_of(where, carry.more["hashes"])
    if counts.sum() != len(indices):
        raise PartitionError(where, "as many rows as examples are needed")
    return carry, Rows(np.repeat(clients, counts), indices, hashes)


FORMAT = Format("leaf", "LEAF's JSON: a folder with train and test", write, read, (), "may")
