"""One check of a run: what was looked at, and whether it holds, fails or cannot be told here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fednlp.errors import UserError, one_line
from fednlp.results.files import NO_FILE
from fednlp.shown import shown

Outcome = Literal["passed", "within tolerance", "failed", "not possible"]
ROUNDING = 1e-9  # of the same sum, added up in another order


class Wrong(Exception):
    """What was found is not what it should be; the text says both."""


class NotPossible(Exception):
    """What a check needs is not here; the text says what."""


class Near(str):
    """What was seen, where it holds within a tolerance and not to the bit."""


@dataclass(frozen=True)
class Check:
    """detail: what was seen, why it fails, or why it cannot be told."""

    name: str
    outcome: Outcome
    detail: str = ""

    @property
    def failed(self) -> bool:
        return self.outcome == "failed"

    @property
    def holds(self) -> bool:
        """To the bit or within the tolerance."""
        return self.outcome in ("passed", "within tolerance")

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def checked(name: str, work: Callable[[], str]) -> Check:
    """The outcome of `work`, which returns what it saw (`Near` where it holds within a tolerance
    only), or raises `Wrong` or `NotPossible`.

    The files of a run may hold anything, so whatever else it raises is a failure too.
    """
    try:
        seen = work()
        outcome: Outcome = "within tolerance" if isinstance(seen, Near) else "passed"
        return Check(name, outcome, shown(seen, 600))
    except NotPossible as reason:
        return Check(name, "not possible", shown(reason, 600))
    except Wrong as found:
        return Check(name, "failed", shown(found, 600))
    except Exception as error:
        line = one_line(error) or f"cannot be read ({type(error).__name__}: {error})"
        return Check(name, "failed", shown(_missing(error) or line, 600))


def _missing(error: Exception) -> str:
    """That a file is missing, in the words of the check of all files; "" for another error."""
    file = error.filename if isinstance(error, FileNotFoundError) else None
    if isinstance(error, UserError) and error.found == NO_FILE:
        file = error.where
    return f"{file} is missing" if isinstance(file, str) else ""


def require_equal(what: str, told: Any, found: Any) -> None:
    """Raises Wrong unless what is told is what was found; numbers up to rounding."""
    if not same(told, found):
        raise Wrong(f"{what} is {_short(told)}, but comes out as {_short(found)}")


def same(a: Any, b: Any) -> bool:
    """Equal plain data; floats up to rounding, NaN equal to nothing."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return a == b or math.isclose(a, b, rel_tol=ROUNDING, abs_tol=ROUNDING)
    return type(a) is type(b) and bool(a == b)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_short(v)}" for k, v in value.items())[:200]
    return f"{value}"[:200]
