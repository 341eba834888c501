"""Writing files so that a kill at any moment leaves the old or the new one, never a half."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from torch import Tensor

from fednlp.errors import UserError

START_AGAIN = "delete the run folder and run again"


def write_bytes(path: Path, data: bytes) -> None:
    """Writes to a temporary name, flushes to the disk, renames."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise UserError(
            str(path), f"cannot be written ({reason})", fix="free space, run again"
        ) from None


def write_json(path: Path, value: Any) -> None:
    write_bytes(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(str(path), "no such file", fix=START_AGAIN) from None
    except (OSError, ValueError) as error:
        raise UserError(str(path), f"not readable as JSON ({error})", fix=START_AGAIN) from None


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> str:
    """Writes a safetensors file; returns its SHA-256. Tensors that share memory are written twice.

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
    data = save(plain)
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def read_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    """Reads a safetensors file whose checksum is known.

    Raises:
        UserError: it is missing, or is not the file that was written.
    """
    from safetensors.torch import load

    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(str(path), f"cannot be read ({error.strerror})") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UserError(
            str(path),
            "its checksum is not the recorded one",
            fix=f"the file was damaged or exchanged; {START_AGAIN}",
        )
    return load(data)
