"""Runs of one id whose numbers are not the same: at most one of them can be right."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fednlp.environment import changes, recorded
from fednlp.errors import UserError
from fednlp.results.reading import FinishedRun
from fednlp.verification.differences import differences


@dataclass(frozen=True)
class Conflict:
    """Two runs of one id.

    differences: where their numbers are apart, in words. environments: what each was made in, the
    entries of its `environment.json`; [] where that cannot be read.
    """

    id: str
    runs: tuple[FinishedRun, FinishedRun]
    differences: tuple[str, ...]
    environments: tuple[list[dict[str, Any]], list[dict[str, Any]]]


def _recorded(run: FinishedRun) -> list[dict[str, Any]]:
    try:
        return recorded(run.path)
    except UserError:
        return []


def conflicts(
    runs: Iterable[FinishedRun],
    environments_of: Callable[[FinishedRun], list[dict[str, Any]]] = _recorded,
) -> list[Conflict]:
    """The pairs of one id that differ by more than a replay may; see `differences`.

    Made in the same environment, they must have the same bits. A copy of a run conflicts with
    nothing. Each run is held against the first one of its id.

    Args:
        environments_of: the entries of a run's `environment.json`, for runs whose folder is gone.
    """
    first: dict[str, FinishedRun] = {}
    found = []
    for run in runs:
        known = first.setdefault(run.result.id, run)
        if known is run:
            continue
        environments = environments_of(known), environments_of(run)
        apart = tuple(differences(known, run, _alike(*environments)))
        if apart:
            found.append(Conflict(run.result.id, (known, run), apart, environments))
    return found


def _alike(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> bool:
    """Whether both were made in one environment from beginning to end."""
    entries = [*a, *b]
    return bool(a and b) and not any(changes(entries[0], entry) for entry in entries[1:])
