"""Writing files so that a kill at any moment leaves the old or the new one, never a half."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from fednlp.errors import UserError
from partitioners.files import advice
from tasks.plain_files import read_plain

NO_FILE = "no such file"
START_AGAIN = "delete the run folder and run again"
UPDATE = "update this program, or " + START_AGAIN


def write_bytes(path: Path, data: bytes) -> None:
    """Writes to a temporary name, flushes to the disk, renames."""
    # a number of its own: two machines that share a disk may both have a process of this number
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise not_written(path, error) from None


def not_written(path: Path, error: OSError) -> UserError:
    """The one line for a file that the system does not let us write."""
    found = f"cannot be written ({error.strerror or error})"
    return UserError(str(path), found, fix=advice(error))


def mode_of(path: Path) -> int | None:
    """The kind and permissions of what is there, if only a link; None if nothing is.

    Raises:
        UserError: the system does not tell.
    """
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise not_read(path, error) from None


def stands(path: Path) -> bool:
    """Whether anything is there, if only a link to nothing.

    Raises:
        UserError: the system does not tell.
    """
    return mode_of(path) is not None


def entries(folder: Path) -> list[Path]:
    """What is in a folder, by name.

    Raises:
        UserError: the system does not tell.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise not_read(folder, error) from None


def refuse_link(path: Path, expected: str) -> None:
    """Raises UserError for a link: what we write there would take the place of others' files."""
    if os.path.islink(path):
        raise UserError(str(path), "is a link", expected, "move it away")


def not_read(path: Path, error: OSError) -> UserError:
    """The one line for a file of a run that the system does not let us read.

    Only what is missing, or another thing than a file, is a reason to begin the run again.
    """
    if isinstance(error, FileNotFoundError):
        return UserError(str(path), NO_FILE, fix=START_AGAIN)
    fix = "try again"  # a disk or a network that answers no more, too many open files
    if error.errno in (errno.EACCES, errno.EPERM):
        fix = "make it readable"
    elif error.errno in (errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.EINVAL):
        fix = START_AGAIN
    return UserError(str(path), f"cannot be read ({error.strerror or error})", fix=fix)


def write_json(path: Path, value: Any) -> None:
    write_bytes(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    try:
        return parse_json(read_plain(path))
    except OSError as error:
        raise not_read(path, error) from None
    except ValueError as error:
        raise UserError(str(path), f"not readable as JSON ({error})", fix=START_AGAIN) from None


def parse_json(data: bytes) -> Any:
    """JSON as the standard has it: no NaN, no infinity, no depth that Python cannot follow.

    Raises:
        ValueError: says why.
    """

    def refuse(text: str) -> Any:
        raise ValueError(f"the number {text}")

    def number(text: str) -> float:
        value = float(text)
        return value if abs(value) < float("inf") else refuse(text[:20])

    try:
        text = data.decode("utf-8")
        return json.loads(text, parse_constant=refuse, parse_float=number)
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> str:
    """Writes a safetensors file; returns its SHA-256."""
    data = tensor_bytes(tensors)
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def tensor_bytes(tensors: dict[str, Tensor]) -> bytes:
    """The content of a safetensors file. Tensors that share memory are written twice.

    tensors: dense; a method may keep one under two names, which the format does not know.
    """
    from safetensors.torch import save

    plain: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        values = tensor.detach().cpu().contiguous()
        storage = values.untyped_storage().data_ptr()
        plain[name] = values.clone() if storage in storages else values
        storages.add(storage)
    return save(plain)


def read_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    """Reads a safetensors file whose checksum is known.

    Raises:
        UserError: it is missing, or is not the file that was written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        data = read_plain(path)
    except OSError as error:
        raise not_read(path, error) from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UserError(
            str(path),
            "its checksum is not the recorded one",
            fix=f"the file was damaged or exchanged; {START_AGAIN}",
        )
    try:
        return load(data)
    except (SafetensorError, KeyError, ValueError) as error:
        found = f"not readable as tensors ({error})"
        raise UserError(str(path), found, fix=START_AGAIN) from None
