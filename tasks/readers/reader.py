"""What a reader is: a file format, turned into records of one task.

A record is `(where, row)`: `where` names file and line (or entry, or id) for error messages, `row`
has the columns of the task's schema, with labels still as names. A reader checks everything that
its format promises and repairs nothing. A record that breaks a promise is yielded as the
`DataError` that tells it, in the record's place, so that whoever asked may skip it; what makes the
rest of the file unreadable is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tasks.errors import DataError


class LeftOut(DataError):
    """A record that the card's options leave out, yielded in its place: counted, and not bad.

    `found` is what such records have in common, and so the name of the count.
    """


Record = tuple[str, dict[str, Any]]
Records = Iterator[Record | DataError]


class ReaderOptions(BaseModel):
    """Base of the options that a card may set under `local.options`.

    They are validated with the context {"task": ...}, for a format that serves several tasks.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @property
    def names_clients(self) -> bool:
        """Whether records may have a `client`, also where the card names no client column."""
        return False

    def part(self, split: str) -> str:
        """What the split takes of a file, where several may take a part each; "" for all of it."""
        return ""


def names_once(names: list[str]) -> list[str]:
    """The names of labels in a list by number; ValueError where two labels would become one."""
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} twice; expected every name once")
    return names


def _alone(path: Path, options: Any) -> list[Path]:
    return []


@dataclass(frozen=True)
class Reader:
    """A format: the tasks its records serve, its options, and `read(path, split, options)`.

    `beside(path, options)`: other files that reading a file needs, so that what was cached is not
    taken for current when one of them changes.
    """

    tasks: tuple[str, ...]
    options: type[ReaderOptions]
    read: Callable[[Path, str, Any], Records]
    beside: Callable[[Path, Any], list[Path]] = _alone


@contextmanager
def readable(path: Path, kind: str, *broken: type[Exception]) -> Iterator[None]:
    """Turns what goes wrong with a file inside the block into one `DataError`.

    Args:
        path: the file or directory being read.
        kind: what it should be, for the message ("a .tar.gz archive").
        broken: the errors by which the format's library reports damaged content.
    """
    damage: tuple[type[Exception], ...] = (OSError, EOFError, *broken)
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(str(error.filename or path), "no such file", kind) from None
    except IsADirectoryError:
        raise DataError(str(path), "is a directory", kind, "name a file in it") from None
    except UnicodeDecodeError as error:
        byte = f"byte {error.object[error.start]:#04x} at {error.start}"
        raise DataError(str(path), f"{byte} is not UTF-8", kind, "save it as UTF-8") from None
    except PermissionError as error:
        raise DataError(
            str(error.filename or path), f"cannot be read ({error.strerror})", kind,
            "check who may read it",
        ) from None  # fmt: skip
    except damage as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(
            str(path), f"cannot be read ({reason})", f"{kind}, complete", "fetch the file again"
        ) from None
