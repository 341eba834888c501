"""What a row of the simulation benchmark gives to the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Section:
    """A heading and its paragraphs and tables; the versions of what was run, and the machine."""

    title: str
    parts: list[str]
    versions: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def rounded(distance: tuple[float, float]) -> str:
    """Relative to the weights, and to what training changed."""
    return f"{distance[0]:.0e}, {distance[1]:.0e}" if distance[0] else "0"
