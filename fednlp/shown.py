"""Text of others on one line of ours: no control character, and not without end."""

from __future__ import annotations

LONGEST = 200  # characters


def shown(text: object, most: int = LONGEST) -> str:
    """The text with whatever is not printable written as an escape, cut to `most` characters.

    >>> shown("a\\x1b[2J\\nb")
    'a\\\\x1b[2J\\\\nb'
    """
    safe = printable(str(text)[: most + 1])
    return safe if len(safe) <= most else safe[: most - 3] + "..."


def printable(text: str) -> str:
    """The whole text with whatever is not printable written as an escape."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def without_middle(text: str, most: int) -> str:
    """The text, or `most` characters of its beginning and end.

    >>> without_middle("abcdefghij / seed 0", 15)
    'abcdef ... seed 0'
    """
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half].strip()} ... {text[-half:].strip()}"
