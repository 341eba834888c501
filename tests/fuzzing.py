"""How many cases the fuzz tests try: FEDNLP_FUZZ=20 makes every one try twenty times as many."""

from __future__ import annotations

import os

FACTOR = float(os.environ.get("FEDNLP_FUZZ", "1"))


def times(count: int) -> int:
    """So many cases, and at least one."""
    return max(round(count * FACTOR), 1)


def seeds(count: int, first: int = 0) -> range:
    return range(first, first + times(count))
