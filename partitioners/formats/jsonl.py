"""`jsonl`: a header, then one line for each client and split.

    {"fednlp_partition": 1, "clients": 100, "splits": ["test", "train"], "provenance": {...}, ...}
    {"client": 0, "split": "train", "indices": [3, 17, 40], "hashes": "9f3c..."}

`hashes` are 16 hexadecimal digits per index, in the same order, or missing where not known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PartitionError
from ..partition import Partition, Split
from .carried import Carried, carried, hashes_of, hex_of
from .format import Export, Format, Request
from .shares import Rows, decoding, flat_numbers


def write(export: Export, path: Path) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(carried(export.partition) + "\n")
        for name, split in sorted(export.partition.splits.items(), reverse=True):
            file.write("".join(_lines(name, split, export.clients)))


def _lines(name: str, split: Split, clients: np.ndarray) -> Iterator[str]:
    indices, offsets = split.indices.tolist(), split.offsets.tolist()
    digits = None if split.hashes is None else hex_of(split.hashes)
    for k in clients.tolist():
        held, hashes = indices[offsets[k] : offsets[k + 1]], ""
        if digits is not None:
            hashes = f', "hashes": "{digits[16 * offsets[k] : 16 * offsets[k + 1]]}"'
        yield f'{{"client": {k}, "split": "{name}", "indices": {held}{hashes}}}\n'


def read(path: Path, request: Request) -> Partition:
    where = str(path)
    with decoding(path, "jsonl"):
        header, *lines = path.read_text(encoding="utf-8").split("\n")
    carry = Carried.parse(path, "jsonl", header)
    if lines and not lines[-1]:
        lines.pop()
    found: dict[str, list[dict]] = {name: [] for name in carry.splits}
    for entry in _entries(where, lines):
        if entry["split"] not in found:
            raise PartitionError(where, f"a split {entry['split'][:40]!r} that the header lacks")
        found[entry["split"]].append(entry)
    return carry.partition({name: _rows(where, entries) for name, entries in found.items()})


def _entries(where: str, lines: list[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 2):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            found = " ".join(str(error).split())[:120]
            raise PartitionError(f"{where} line {number}", found, fix="export it again") from None
        if not (
            type(entry) is dict
            and type(entry.get("client")) is int
            and type(entry.get("split")) is str
            and type(entry.get("indices")) is list
        ):
            raise PartitionError(f"{where} line {number}", "no client, split and indices")
        yield entry


def _rows(where: str, entries: list[dict[str, Any]]) -> Rows:
    indices = flat_numbers(where, "index", [entry["indices"] for entry in entries])
    clients = flat_numbers(where, "client", [[entry["client"] for entry in entries]])
    sizes = [len(entry["indices"]) for entry in entries]
    digits = [entry["hashes"] for entry in entries if "hashes" in entry]
    hashes = None
    if digits:
        if not all(isinstance(text, str) for text in digits):
            raise PartitionError(where, "hashes that are no text")
        hashes = hashes_of(where, "".join(digits))
    return Rows(np.repeat(clients, sizes), indices, hashes)


FORMAT = Format("jsonl", "one JSON object per client and split", write, read, (".jsonl",))
