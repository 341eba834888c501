"""Entries of one id: the same run twice, or two that contradict each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fednlp.leaderboard.digest import BoardRun

TOLERANCE = 1e-5  # of a metric: what a replay on other hardware may differ by


@dataclass(frozen=True)
class Conflict:
    """Runs of one id whose numbers differ, and what differs between the first and the others."""

    runs: tuple[BoardRun, ...]
    differing: tuple[str, ...]

    @property
    def id(self) -> str:
        return self.runs[0].result.id


def settle(runs: Iterable[BoardRun]) -> tuple[list[BoardRun], list[Conflict]]:
    """One run per id, and the ids for which there is no one run.

    Equal entries count once. Of entries in conflict no number is used: none is known to be right.
    """
    by_id: dict[str, list[BoardRun]] = {}
    for run in runs:
        by_id.setdefault(run.result.id, []).append(run)
    kept, conflicts = [], []
    for members in by_id.values():
        differing = _differing(members)
        if differing:
            conflicts.append(Conflict(tuple(members), differing))
        else:
            kept.append(_joined(members))
    return kept, conflicts


def _joined(members: Sequence[BoardRun]) -> BoardRun:
    """The copy that names the most references: all of them are of one run."""
    return max(members, key=lambda run: len(run.result.references))


def _differing(members: Sequence[BoardRun]) -> tuple[str, ...]:
    first, *others = (_numbers(run) for run in members)
    names: dict[str, None] = {}
    for other in others:
        for name in sorted(first.keys() | other.keys()):
            values = first.get(name), other.get(name)
            if None in values or not math.isclose(*values, rel_tol=0, abs_tol=TOLERANCE):  # type: ignore[arg-type]
                names[name] = None
    return tuple(names)


def _numbers(run: BoardRun) -> dict[str, float]:
    """What a run of one id must come to wherever it is made; time and memory are not of these."""
    result = run.result
    numbers: dict[str, float] = {
        "costs.examples": result.costs.examples,
        "costs.bytes_up": result.costs.bytes_up,
        "costs.bytes_down": result.costs.bytes_down,
    }
    for name, score in (("selected", result.selected), ("last", result.last)):
        numbers[f"{name}.round"] = score.round
        for split, metrics in (("validation", score.validation), ("test", score.test)):
            numbers |= {f"{name}.{split}.{key}": value for key, value in metrics.items()}
    for split, metrics in result.floor.items():
        numbers |= {f"floor.{split}.{key}": value for key, value in metrics.items()}
    return numbers
