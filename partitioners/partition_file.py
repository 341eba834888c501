"""A partition as one .npz: plain arrays, JSON as bytes, no pickle, checked when read."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from .errors import PartitionError
from .files import plain, write_bytes
from .histogram import LabelHistogram
from .partition import Partition, Split
from .seal import seal

FORMAT = 1
IMPORT = "a file of another format: import it first (partition import)"
UNREADABLE = (  # what numpy, zipfile and zlib raise on bytes that are no such file
    *(OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, SyntaxError),
    *(RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error),
)


def encoded(partition: Partition) -> memoryview:
    """The bytes of the file, made in memory: numpy tells a full disk in many ways."""
    meta = {
        "format": FORMAT,
        "checksum": partition.checksum,
        "seal": seal(partition),
        "splits": sorted(partition.splits),
        "provenance": partition.provenance,
        "label_names": list(partition.histogram.names) if partition.histogram else [],
    }
    arrays = {
        "meta": np.frombuffer(json.dumps(meta, allow_nan=False).encode(), dtype=np.uint8),
        "held_out": partition.held_out,
    }
    for name, split in partition.splits.items():
        arrays |= {f"{name}_indices": split.indices, f"{name}_offsets": split.offsets}
        if split.hashes is not None:
            arrays[f"{name}_hashes"] = split.hashes
    if partition.histogram is not None:
        arrays |= {
            "histogram_offsets": partition.histogram.offsets,
            "histogram_labels": partition.histogram.labels,
            "histogram_counts": partition.histogram.counts,
        }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getbuffer()


def write(partition: Partition, path: Path) -> None:
    """Write it whole or not at all.

    Raises:
        PartitionError: the system does not let it be written.
    """
    write_bytes(path, encoded(partition))


def read(path: Path) -> Partition:
    """The partition in `path`; PartitionError names the file and what is wrong with it."""
    try:
        with (
            open(path, "rb", opener=plain) as stream,
            np.load(stream, allow_pickle=False) as file,
        ):
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise PartitionError(str(path), "no such file", "a partition saved as .npz") from None
    except IsADirectoryError:
        raise PartitionError(str(path), "is a directory", "a partition saved as .npz") from None
    except PermissionError as error:
        found = f"cannot be read ({error.strerror})"
        raise PartitionError(str(path), found, fix="make it readable") from None
    except UNREADABLE as error:
        foreign = "pickle" in str(error)  # numpy's advice would be to load it all the same
        if foreign:
            raise _damaged(path, "no .npz file", fix=IMPORT) from error
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    try:
        meta = json.loads(arrays["meta"].tobytes().decode())
        if meta["format"] != FORMAT:
            raise _damaged(path, f"format {meta['format']}", f"format {FORMAT}")
        partition = _assemble(path, arrays, meta)
        if partition.checksum != meta["checksum"]:
            raise _damaged(path, "its content does not match its checksum")
        if "seal" in meta and meta["seal"] != seal(partition):  # older files have none
            raise _damaged(path, "its content does not match its seal")
    except PartitionError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    return partition


def _assemble(path: Path, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> Partition:
    if not isinstance(meta["provenance"], dict):
        raise _damaged(path, "a provenance that is no object")
    for name, array in arrays.items():
        if array.dtype.kind not in "iu" and array.size:
            raise _damaged(path, f"{name} of type {array.dtype}")
    splits = {}
    for name in meta["splits"]:
        hashes = arrays.get(f"{name}_hashes")
        split = Split(arrays[f"{name}_indices"], arrays[f"{name}_offsets"], hashes)
        _check(path, name, split)
        splits[name] = split
    if len({split.clients for split in splits.values()}) != 1 or "train" not in splits:
        raise _damaged(path, "splits that disagree on the clients, or no train split")
    histogram = None
    if "histogram_offsets" in arrays:
        histogram = LabelHistogram(
            arrays["histogram_offsets"],
            arrays["histogram_labels"],
            arrays["histogram_counts"],
            tuple(meta["label_names"]),
        )
        fault = histogram.fault(splits["train"].clients)
        if fault:
            raise _damaged(path, fault)
    held_out = arrays["held_out"]
    clients = splits["train"].clients
    if held_out.ndim != 1 or (
        held_out.size and not 0 <= held_out.min() <= held_out.max() < clients
    ):
        raise _damaged(path, "held-out clients that do not exist")
    return Partition(splits, meta["provenance"], held_out, histogram)


def _check(path: Path, name: str, split: Split) -> None:
    offsets, indices = split.offsets, split.indices
    if offsets.ndim != 1 or indices.ndim != 1 or len(offsets) < 2:
        raise _damaged(path, f"{name} arrays of the wrong shape")
    if offsets[0] != 0 or offsets[-1] != len(indices) or (np.diff(offsets) < 0).any():
        raise _damaged(path, f"{name} offsets that do not fit the indices")
    if split.hashes is not None and split.hashes.shape != indices.shape:
        raise _damaged(path, f"{name} hashes that do not fit the indices")
    in_order = np.sort(indices)
    if len(indices) and (in_order[0] < 0 or (in_order[1:] == in_order[:-1]).any()):
        raise _damaged(path, f"an example that is in {name} twice, or a negative index")


def _damaged(
    path: Path,
    found: str,
    expected: str = "a partition saved as .npz",
    fix: str = "export it again",
) -> PartitionError:
    return PartitionError(str(path), f"not readable as a partition ({found})", expected, fix)
