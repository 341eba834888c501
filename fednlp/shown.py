"""Text of others on one line of ours: no control character, and not without end."""

from __future__ import annotations

LONGEST = 200  # characters


def shown(text: object, most: int = LONGEST) -> str:
    """The text with whatever is not printable written as an escape, cut to `most` characters.

    >>> shown("a\\x1b[2J\\nb")
    'a\\\\x1b[2J\\\\nb'
    """
    whole = str(text)
    safe = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in whole[: most + 1])
    return safe if len(safe) <= most else safe[: most - 3] + "..."
