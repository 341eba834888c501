"""`npz`: the native file of this program, numpy arrays without pickle (partition_file.py)."""

from __future__ import annotations

from pathlib import Path

from ..partition import Partition
from .format import Export, Format, Request


def write(export: Export, path: Path) -> None:
    export.partition.save(path)


def read(path: Path, request: Request) -> Partition:
    return Partition.load(path)


FORMAT = Format("npz", "the native file: numpy arrays", write, read, (".npz",))
