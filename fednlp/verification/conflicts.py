"""Runs of one id whose numbers are not the same: at most one of them can be right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fednlp.environment import changes, recorded
from fednlp.errors import UserError
from fednlp.results.reading import FinishedRun
from fednlp.verification.check import same
from fednlp.verification.tolerance import metrics_tolerance

_COUNTED = ("rounds", "examples", "steps", "real_tokens", "bytes_up", "bytes_down")


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
    """The pairs of one id that differ by more than a replay may.

    Made in the same environment, they must have the same bits; else each metric of the selected
    and of the last round must be within `metrics_tolerance`. What is counted must be equal
    everywhere. A copy of a run conflicts with nothing. Each run is held against the first one of
    its id.

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
        differences = tuple(_differences(known, run, _alike(*environments)))
        if differences:
            found.append(Conflict(run.result.id, (known, run), differences, environments))
    return found


def _alike(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> bool:
    """Whether both were made in one environment from beginning to end."""
    entries = [*a, *b]
    return bool(a and b) and not any(changes(entries[0], entry) for entry in entries[1:])


def _differences(a: FinishedRun, b: FinishedRun, exact: bool) -> Iterator[str]:
    for name in ("selected", "last"):
        one, two = getattr(a.result, name), getattr(b.result, name)
        for split in ("validation", "test"):
            ours, theirs = getattr(one, split), getattr(two, split)
            most = 0.0 if exact else metrics_tolerance(max(a.result.data.examples.get(split, 0), 1))
            for key in sorted({*ours, *theirs}):
                x, y = ours.get(key), theirs.get(key)
                near = x is not None and y is not None and abs(x - y) <= most
                if not (near or same(x, y)):
                    yield f"{name}.{split}.{key}: {x} and {y}"
        if exact and one.weights_sha256 != two.weights_sha256:
            yield f"{name}: other weights, although the environment is the same"
    # the tolerance depends on it
    if a.result.data.examples != b.result.data.examples:
        yield f"examples: {a.result.data.examples} and {b.result.data.examples}"
    for key in _COUNTED:
        x, y = getattr(a.result.costs, key), getattr(b.result.costs, key)
        if x != y:
            yield f"costs.{key}: {x} and {y}"
    if not same(a.result.floor, b.result.floor):
        yield "floor"
