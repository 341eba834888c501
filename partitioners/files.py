"""Writing a file so that a reader sees the old one or the new one, never half."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from .errors import PartitionError


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write to a temporary name beside `path`, then rename: safe against a kill and a rival.

    Raises:
        PartitionError: the system does not let it be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        found = f"cannot be written ({error.strerror})"
        raise PartitionError(str(path), found, fix="free space, or make it writable") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
