"""What a path of a user leads to, looked at before it is opened; no pipe is ever waited for.

`Path.exists` and its like raise what they meet: a closed folder, a name that is too long.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Literal

from tasks.errors import DataError

Kind = Literal["nothing", "file", "directory", "pipe or device"]


def kind_of(path: Path, where: str = "", fix: str = "") -> Kind:
    """What is there, at the end of all links; a link to nothing is nothing.

    Args:
        where: what to blame instead of the path.
        fix: what to do where the system does not tell; default: make it readable.

    Raises:
        DataError: the system does not tell what is there.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "nothing"
    except OSError as error:
        raise unreadable(path, error, where, fix) from None
    if stat.S_ISDIR(mode):
        return "directory"
    return "file" if stat.S_ISREG(mode) else "pipe or device"


def unreadable(path: Path, error: OSError, where: str = "", fix: str = "") -> DataError:
    """The one line for a path that the system does not let us read."""
    if not fix and error.errno in (errno.EACCES, errno.EPERM):
        fix = "make it readable"
    reason = error.strerror or str(error)
    found = (
        f"{path} cannot be read ({reason})"
        if where and str(path) not in where
        else f"cannot be read ({reason})"
    )
    return DataError(where or str(path), found, fix=fix or "check the path")


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


def read_plain(path: Path, most: int = -1) -> bytes:
    """At most so many bytes of a plain file; see `plain`."""
    with open(path, "rb", opener=plain) as stream:
        return stream.read(most)
