"""The formats by name."""

from __future__ import annotations

import difflib

from ..errors import PartitionError
from . import client_files, csv, dataset_dict, h5, jsonl, leaf, npz, parquet
from .format import Format

_MODULES = (parquet, jsonl, npz, h5, leaf, dataset_dict, client_files, csv)
FORMATS: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in _MODULES}


def find_format(name: str) -> Format:
    """The format of that name; PartitionError names the nearest known one."""
    if name in FORMATS:
        return FORMATS[name]
    near = difflib.get_close_matches(str(name), FORMATS, n=1)
    fix = f"did you mean {near[0]}?" if near else ""
    raise PartitionError("format", repr(name), f"one of {', '.join(FORMATS)}", fix)
