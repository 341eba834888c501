"""What a format is: a writer and a reader, and what they are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..partition import Partition

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Export:
    """What is to be written.

    partition: shares of the chosen clients only, all others empty, under their own numbers.
    clients: [k] int64 ascending, the chosen ones.
    examples: split -> one row per index of the split, in that order; None: indices alone.
    sizes: examples of each source split, where known.
    """

    partition: Partition
    clients: np.ndarray
    examples: Mapping[str, pyarrow.Table] | None = None
    sizes: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Request:
    """What is asked of a file, and what is known of its data.

    method: which of several; sizes: rows per source split; examples: from train or test to all
    examples of it, with their `row` and labels by name.
    """

    method: str | None = None
    sizes: Mapping[str, int] | None = None
    examples: Callable[[str], pyarrow.Table] | None = None


@dataclass(frozen=True)
class Format:
    """One format.

    write(export, path) makes `path`, and what else belongs to it under its folder; read(path,
    request) gives a checked partition or raises PartitionError.
    suffixes: of its files; none for a folder. examples: whether it holds examples besides indices.
    libraries: what it cannot do without, besides NumPy; to_write: what writing needs besides.
    """

    name: str
    summary: str
    write: Callable[[Export, Path], None]
    read: Callable[[Path, Request], Partition]
    suffixes: tuple[str, ...] = ()
    examples: Literal["never", "may", "must"] = "never"
    libraries: tuple[str, ...] = ()
    to_write: tuple[str, ...] = ()
