"""The promise of sequence to sequence: an input and its targets, none of them without text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks.errors import DataError


def is_empty(text: str, targets: Sequence[str]) -> bool:
    """Whether a side has no text, only blanks, or there is no target."""
    return not (text.strip() and targets and all(target.strip() for target in targets))


def check_pair(text: Any, targets: Any, where: str) -> None:
    """Raises DataError where a side is no text, or has none."""
    parts = [text, *targets] if isinstance(targets, list) else [text, targets]
    odd = [part for part in parts if not isinstance(part, str)]
    if odd:
        raise DataError(where, repr(odd[0])[:60], "text")
    if not text.strip():
        raise DataError(where, "an empty input", "a text and its target")
    if is_empty(text, targets):
        raise DataError(where, "an empty target", "a text and its target")
