"""Names of compressed files."""

from __future__ import annotations

from tasks.errors import DataError

COMPRESSED = (".gz", ".bz2", ".xz")  # their endings


def check_plain(where: str, name: str) -> None:
    """Raises DataError for a compressed file where only plain ones are read."""
    if name.lower().endswith(COMPRESSED):
        raise DataError(where, "a compressed file", "a plain file", "unpack it")
