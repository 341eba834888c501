"""The one error that this package raises on purpose."""

from __future__ import annotations

_LONGEST = 300  # characters of what was found, and of what was expected


class PartitionError(ValueError):
    """A split that cannot be made, or a partition file that cannot be read; told in one line.

    Attributes: where (configuration key, argument or file), found, expected, fix.
    """

    def __init__(self, where: str, found: str, expected: str = "", fix: str = "") -> None:
        self.where, self.found, self.expected, self.fix = where, found, expected, fix
        wanted = f"expected {_short(expected)}" if expected else ""
        parts = [f"{where}: {_short(found)}", wanted, fix]
        super().__init__(" ".join("; ".join(part for part in parts if part).split()))

    def __reduce__(self) -> tuple[type, tuple[str, str, str, str]]:
        return type(self), (self.where, self.found, self.expected, self.fix)


def _short(text: str) -> str:
    """The text, without its middle if it is long."""
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]} ... {text[-half:]}"
