"""The one error that this package raises on purpose."""

from __future__ import annotations


class DataError(ValueError):
    """Data, a card, a model or a setting that cannot be used; told in one line.

    Attributes: where (file, key or line), found, expected, fix.
    """

    def __init__(self, where: str, found: str, expected: str = "", fix: str = "") -> None:
        self.where, self.found, self.expected, self.fix = where, found, expected, fix
        parts = [f"{where}: {found}", f"expected {expected}" if expected else "", fix]
        line = " ".join("; ".join(part for part in parts if part).split())
        super().__init__("".join(map(_printable, line)))

    def __reduce__(self) -> tuple[type, tuple[str, str, str, str]]:
        return type(self), (self.where, self.found, self.expected, self.fix)


def _printable(character: str) -> str:
    """The character, or its escape: data may hold control characters and half surrogate pairs."""
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode()
