"""Errors that a user can act on: one line, no traceback, exit code 2."""

from __future__ import annotations

import os

from tasks.errors import told


class UserError(ValueError):
    """Something the user gave cannot be used.

    Args:
        where: file, key or line that is to blame.
        found: what stood there.
        expected: what would have been right.
        fix: what to do.
    """

    def __init__(self, where: str, found: str, expected: str = "", fix: str = "") -> None:
        self.where, self.found, self.expected, self.fix = where, found, expected, fix
        super().__init__(str(self))

    def __str__(self) -> str:
        return told(self.where, self.found, self.expected, self.fix)


class NotFinite(UserError):
    """Training gave NaN or an infinity: an error of a run, an answer to a search for rates."""


class ProcessLost(UserError):
    """Another process of a run is gone; no run of this command can go on without it."""


def is_user_error(error: BaseException) -> bool:
    """True for `UserError` and for the leaf packages' errors, which carry the same four fields."""
    return all(hasattr(error, name) for name in ("where", "found", "expected", "fix"))


def one_line(error: BaseException) -> str | None:
    """What a command prints for an error instead of a traceback; None for an error of ours.

    What the system says of a file is the last resort: whoever opens a file tells more.
    """
    if is_user_error(error):
        return str(error)
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes):
        return str(UserError(os.fsdecode(error.filename), error.strerror or str(error)))
    return None


def relocated(error: Exception, prefix: str = "") -> UserError:
    """A user error of any package as a `UserError`, its place behind `prefix`."""
    values = [str(getattr(error, name)) for name in ("where", "found", "expected", "fix")]
    return UserError(prefix + values[0], *values[1:])


def nearest(word: str, known: list[str]) -> str:
    """A hint `did you mean 'x'?`, or the list of what is known, if anything is."""
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1, cutoff=0.6)
    if not known:
        return "none is known here: drop it"
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(sorted(known))}"
