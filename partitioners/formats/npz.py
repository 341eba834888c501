"""`npz`: the native file of this program, numpy arrays without pickle (partition_file.py)."""

from __future__ import annotations

from pathlib import Path

from ..partition import Partition
from ..partition_file import encoded
from .format import Export, Format, Request


def write(export: Export, path: Path) -> None:
    path.write_bytes(encoded(export.partition))


def read(path: Path, request: Request) -> Partition:
    return Partition.load(path)


FORMAT = Format("npz", "the native file: numpy arrays", write, read, (".npz",))
