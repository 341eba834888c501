"""The one error that this package raises on purpose."""

from __future__ import annotations

LONGEST = 300  # characters of a message about what was found, and about what was expected
LONGEST_PLACE = 1000  # about where, and about what to do


class DataError(ValueError):
    """Data, a card, a model or a setting that cannot be used; told in one line.

    Attributes: where (file, key or line), found, expected, fix.
    """

    def __init__(self, where: str, found: str, expected: str = "", fix: str = "") -> None:
        self.where, self.found, self.expected, self.fix = where, found, expected, fix
        super().__init__(told(where, found, expected, fix))

    def __reduce__(self) -> tuple[type, tuple[str, str, str, str]]:
        return type(self), (self.where, self.found, self.expected, self.fix)


def told(where: str, found: str, expected: str, fix: str) -> str:
    """The one line, whatever the data hold: printable, and without the middle of long parts."""
    wanted = f"expected {_short(expected, LONGEST)}" if expected else ""
    parts = [f"{_short(where, LONGEST_PLACE)}: {_short(found, LONGEST)}", wanted]
    return "; ".join(part for part in [*parts, _short(fix, LONGEST_PLACE)] if part)


def _short(text: str, most: int) -> str:
    text = _without_middle(" ".join(text.split()), most)
    return _without_middle("".join(map(_printable, text)), most)


def _without_middle(text: str, most: int) -> str:
    half = most // 2
    return text if len(text) <= most else f"{text[:half]} ... {text[-half:]}"


def _printable(character: str) -> str:
    """The character, or its escape: data may hold control characters and half surrogate pairs."""
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode()
