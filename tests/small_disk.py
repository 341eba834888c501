"""A small file system to fill, where one can be mounted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SIZE = 8 * 2**20


@contextmanager
def mounted(point: Path) -> Iterator[Path]:
    """A file system of SIZE bytes at `point`; the test is skipped where none can be mounted."""
    point.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(point)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"cannot mount a small disk: {error}")
    if done.returncode:
        pytest.skip(f"cannot mount a small disk: {done.stderr.strip()}")
    try:
        yield point
    finally:
        subprocess.run(["umount", "-l", str(point)], check=True, timeout=20)


class Filler:
    """A file that leaves a given number of bytes."""

    def __init__(self, disk: Path) -> None:
        self.path = disk / "filler"

    def leave(self, count: int) -> None:
        self.remove()
        free = os.statvfs(self.path.parent)
        with open(self.path, "wb") as stream:
            stream.write(b"\0" * max(0, free.f_bavail * free.f_bsize - count))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
