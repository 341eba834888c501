"""`jsonl`: a header, then one line for each client and split.

    {"fednlp_partition": 1, "clients": 100, "splits": ["test", "train"], "provenance": {...}, ...}
    {"client": 0, "split": "train", "indices": [3, 17, 40], "hashes": "9f3c..."}

`hashes` are 16 hexadecimal digits per index, in the same order, or missing where not known.

A file of others has no header: one object for each example, or one with `indices` as above for
each client. Without `split` it is of train; other keys are passed over.

    {"index": 17, "client": 0, "split": "train"}
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PartitionError
from ..partition import Partition, Split
from .carried import KEY, Carried, carried, hashes_of, hex_of
from .format import Export, Format, Request
from .shares import Rows, decoding, flat_numbers, imported


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
        lines = path.read_text(encoding="utf-8").split("\n")
    if not any(map(str.strip, lines)):
        raise PartitionError(where, "is empty", 'lines like {"index": 17, "client": 0}')
    first = _parsed(f"{where} line 1", lines[0]) if lines[0].strip() else {}
    if KEY not in first:
        return imported(where, "jsonl", _plain(where, lines), sizes=request.sizes)
    carry = Carried.check(where, first)
    if lines[-1] == "":
        lines.pop()
    found: dict[str, list[dict]] = {name: [] for name in carry.splits}
    for number, line in enumerate(lines[1:], 2):
        entry = _parsed(f"{where} line {number}", line)
        if not (
            type(entry.get("client")) is int
            and type(entry.get("split")) is str
            and type(entry.get("indices")) is list
        ):
            raise PartitionError(f"{where} line {number}", "no client, split and indices")
        if entry["split"] not in found:
            raise PartitionError(where, f"a split {entry['split'][:40]!r} that the header lacks")
        found[entry["split"]].append(entry)
    return carry.partition({name: _rows(where, entries) for name, entries in found.items()})


def _parsed(where: str, line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        found = " ".join(str(error).split())[:120]
        raise PartitionError(where, f"no JSON ({found})", fix="export it again") from None
    if type(entry) is not dict:
        raise PartitionError(where, line[:40], 'an object like {"index": 17, "client": 0}')
    return entry


def _plain(where: str, lines: list[str]) -> dict[str, Rows]:
    """The shares of a file without a header; blank lines are passed over."""
    clients: dict[str, list[int]] = {}
    indices: dict[str, list[int]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{where} line {number}"
        entry = _parsed(place, line)
        split = entry.get("split", "train")
        held = entry["indices"] if "indices" in entry else [entry.get("index")]
        if "hashes" in entry:
            raise PartitionError(place, "hashes, but no header", fix="export it again")
        if type(split) is not str or type(held) is not list:
            raise PartitionError(place, "a split that is no text, or indices that are no list")
        for name, values in (("client", [entry.get("client")]), ("index", held)):
            for value in values:
                if type(value) is not int:
                    found = f"no {name}" if value is None else f"{name} {str(value)[:40]!r}"
                    raise PartitionError(place, found, "a whole number from 0")
        clients.setdefault(split, []).extend([entry["client"]] * len(held))
        indices.setdefault(split, []).extend(held)
    return {
        name: Rows(
            flat_numbers(where, "client", [clients[name]]),
            flat_numbers(where, "index", [indices[name]]),
        )
        for name in clients
    }


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
