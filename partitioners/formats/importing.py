"""A file of any format to a partition: which format it is, and who reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PartitionError
from ..files import kind_of
from ..libraries import require_libraries
from ..partition import Partition
from .format import Format, Request
from .formats import FORMATS, find_format
from .shares import check_sizes

if TYPE_CHECKING:
    import pyarrow

_SIDE_FILES = ("provenance.json", "partition.json", "dataset_dict.json")
_MAGIC = {b"PAR1": "parquet", b"PK\x03\x04": "npz", b"\x89HDF\r\n\x1a\n": "h5"}


def import_partition(
    source: Path,
    form: str | None = None,
    *,
    method: str | None = None,
    sizes: Mapping[str, int] | None = None,
    examples: Callable[[str], pyarrow.Table] | None = None,
) -> Partition:
    """The partition in a file or folder.

    Args:
        form: a name in FORMATS; None: by suffix, else by content.
        method: which partition of an h5 file that holds several.
        sizes: examples of each source split: an index beyond is an error. An h5 file of FedNLP
            counts test examples on from the last of train, so it needs them (see h5.py).
        examples: from "train" or "test" to all examples that its shares may have: their content,
            labels by name, and `row`. FedNLP's data file beside an h5 is looked up among them.

    Raises:
        PartitionError: no such file, another format, damage, indices that cannot be.
    """
    path = Path(source)
    spec = form_of(path, form)
    require_libraries(f"format {spec.name}", *spec.libraries)
    kind = kind_of(path)
    if method is not None and spec.name != "h5":
        raise PartitionError("method", f"{spec.name} holds one partition", "none, or an h5 file")
    if spec.suffixes and kind == "directory":
        inside = path / "partition.npz"  # as `partition make` leaves it
        if spec.name != "npz" or kind_of(inside) != "file":
            raise PartitionError(str(path), "is a folder", f"a file for format {spec.name}")
        path = inside
    if not spec.suffixes and kind == "file":
        raise PartitionError(str(path), "is a file", f"a folder for format {spec.name}")
    partition = spec.read(path, Request(method, sizes, examples))
    check_sizes(str(path), partition, sizes)
    return partition


def form_of(path: Path, form: str | None = None) -> Format:
    """The format that is asked for, else that of the file or folder; PartitionError if none is."""
    kind = kind_of(path)
    if kind == "nothing":
        raise PartitionError(str(path), "no such file or folder")
    if kind == "pipe or device":
        raise PartitionError(str(path), "is a pipe or a device", "a file or a folder")
    return find_format(form) if form else FORMATS[_detected(path)]


def _detected(path: Path) -> str:
    """The name of the format."""
    fix = f"say which: {', '.join(FORMATS)}"
    if path.is_dir():
        for name, pattern in (
            ("npz", "partition.npz"),
            ("dataset_dict", "dataset_dict.json"),
            ("client_files", "*/client_*.parquet"),
            ("leaf", "*/*.json"),
        ):
            if next(path.glob(pattern), None) is not None:
                return name
        raise PartitionError(str(path), "a folder of no known format", fix=fix)
    if path.name in _SIDE_FILES:
        raise PartitionError(str(path), "is one file of a partition", fix="name the folder")
    for name, spec in FORMATS.items():
        if path.suffix.lower() in spec.suffixes:
            return name
    try:
        with open(path, "rb") as file:
            start = file.read(8)
    except OSError as error:
        raise PartitionError(str(path), f"cannot be read ({error.strerror})") from None
    for magic, name in _MAGIC.items():
        if start.startswith(magic):
            return name
    if start.startswith(b"{"):
        return "jsonl"
    raise PartitionError(str(path), "a file of no known format", fix=fix)
