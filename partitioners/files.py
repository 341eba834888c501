"""Looking at a path before it is read; writing so that a reader sees the old or the new file."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from .errors import PartitionError

Kind = Literal["nothing", "file", "directory", "pipe or device"]


def kind_of(path: Path) -> Kind:
    """What is there, at the end of all links; a link to nothing is nothing.

    Raises:
        PartitionError: the system does not tell what is there.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "nothing"
    except OSError as error:
        raise PartitionError(str(path), f"cannot be read ({error.strerror})") from None
    if stat.S_ISDIR(mode):
        return "directory"
    return "file" if stat.S_ISREG(mode) else "pipe or device"


def plain(path: str, flags: int) -> int:
    """An `opener` for `open`: plain files only, for a pipe waits until somebody writes.

    Raises:
        OSError: it is a directory, a pipe or a device, or cannot be opened.
    """
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return handle
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "a pipe or a device", path)


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A new empty folder beside `target`, to fill and rename from; gone afterwards.

    Raises:
        PartitionError: the system does not let something be written; it names `target`.
    """
    place = Path(os.path.abspath(target))  # "." has no name
    stage = place.with_name(f".{place.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        stage.mkdir(parents=True)
        yield stage
    except OSError as error:
        raise _not_written(target, error) from None
    except ValueError as error:
        if not str(getattr(error, "where", "")).startswith(str(stage)):
            raise
        where = error.where.replace(str(stage), str(target))  # type: ignore[attr-defined]
        raise PartitionError(where, *_rest(error)) from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _rest(error: ValueError) -> tuple[str, str, str]:
    """What an error says behind its place; those of the caller's packages have the same fields."""
    found, expected, fix = (str(getattr(error, name, "")) for name in ("found", "expected", "fix"))
    return found, expected, fix


def _not_written(path: Path, error: OSError) -> PartitionError:
    found = f"cannot be written ({error.strerror or error})"
    return PartitionError(str(path), found, fix=advice(error))


def advice(error: OSError) -> str:
    """What can be done about a file or folder that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free space and run the same command again"
    if error.errno in (errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG):
        return "name a place where it can be made"
    return "make it writable"


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
        raise _not_written(path, error) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
