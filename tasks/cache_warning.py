"""A cache that cannot be written costs time, not the run: said once per folder, on stderr."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path


def not_cached(folder: Path, error: Exception) -> None:
    """Says that nothing is kept in `folder` and why."""
    _say(str(folder), str(getattr(error, "strerror", None) or error))


@lru_cache(maxsize=64)
def _say(folder: str, reason: str) -> None:
    logging.getLogger(__name__).warning(
        "%s: cannot be written (%s); the run goes on without this cache", folder, reason
    )
