"""Entries of one id: the same run twice, or some that contradict each other.

A stranger can write an entry of any id with any numbers. What such an entry takes part in is shown
from both sides and is in no statistic; it can remove nothing else. A reference in conflict is many
people's, so runs that are measured against it stay, each against the entry that came with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fednlp.leaderboard.digest import BoardRun
from fednlp.results.escaping import shown
from fednlp.results.schema import Reference

DISPUTED = "entry"  # in an identity: which of the entries in conflict this reference is
_LONGEST = 23  # characters of that, so that it is told in the name of a line


@dataclass(frozen=True)
class Conflict:
    """Entries of one id whose numbers differ.

    runs: one per content. sources: of each, the places that hold it. differing: where the numbers
    of the first and of another are apart, in words.
    """

    runs: tuple[BoardRun, ...]
    sources: tuple[tuple[str, ...], ...]
    differing: tuple[str, ...]

    @property
    def id(self) -> str:
        return self.runs[0].result.id


@dataclass(frozen=True)
class Settled:
    """runs: one per id, none in conflict. disputed: references in conflict, one per place that has
    one, each with an id of its own, which the runs that came from there name instead.
    """

    runs: tuple[BoardRun, ...]
    conflicts: tuple[Conflict, ...]
    disputed: tuple[BoardRun, ...] = ()


def settle(runs: Iterable[BoardRun]) -> Settled:
    """One run per id, and the ids for which there is no one run.

    Entries that agree count once: as the first of them, measured against all references that one
    of them names.
    """
    by_id: dict[str, list[BoardRun]] = {}
    numbers: dict[str, int] = {}
    for run in runs:
        by_id.setdefault(run.result.id, []).append(run)
        numbers.setdefault(run.source, len(numbers) + 1)
    kept, conflicts = [], []
    for members in by_id.values():
        differing = _differing(members)
        if differing:
            conflicts.append(_conflict(members, differing))
        else:
            kept.append(_joined(members))
    disputed = {
        conflict.id: _entries(by_id[conflict.id], numbers)
        for conflict in conflicts
        if conflict.runs[0].result.kind == "centralized"
    }
    sources = {id: {run.source for run in members} for id, members in by_id.items()}
    return Settled(
        tuple(_measured(run, disputed, sources[run.result.id]) for run in kept),
        tuple(conflicts),
        tuple(entry for entries in disputed.values() for entry in entries),
    )


def is_disputed(reference: BoardRun) -> bool:
    """Whether it is one of the `Settled.disputed`."""
    return DISPUTED in reference.identity


def _differing(members: Sequence[BoardRun]) -> tuple[str, ...]:
    if len({run.key for run in members}) == 1:
        return ()
    from fednlp.verification.conflicts import conflicts  # it takes seconds, and is rarely needed

    found = conflicts(members, lambda run: run.environment)  # type: ignore[attr-defined]
    return tuple(dict.fromkeys(words for one in found for words in one.differences))


def _conflict(members: Sequence[BoardRun], differing: tuple[str, ...]) -> Conflict:
    sources: dict[str, list[str]] = {}
    for run in members:
        sources.setdefault(run.key, []).append(run.source)
    first = {run.key: run for run in reversed(members)}
    runs = tuple(first[key] for key in sources)
    return Conflict(runs, tuple(map(tuple, sources.values())), differing)


def _joined(members: Sequence[BoardRun]) -> BoardRun:
    named: dict[str, Reference] = {}
    for run in members:
        for reference in run.result.references:
            named.setdefault(reference.id, reference)
    return _with_references(members[0], list(named.values()))


def _entries(members: Sequence[BoardRun], numbers: dict[str, int]) -> list[BoardRun]:
    """A reference in conflict as several, one per place: the first that lies there."""
    entries = []
    for run in {run.source: run for run in reversed(members)}.values():
        number = numbers[run.source]
        own = {**run.identity, DISPUTED: shown(f"{number} {Path(run.source).name}", _LONGEST)}
        result = run.result.model_copy(update={"id": f"{run.result.id}-{number}"})
        entries.append(replace(run, result=result, identity=own))
    return sorted(entries, key=lambda run: numbers[run.source])


def _measured(run: BoardRun, disputed: dict[str, list[BoardRun]], sources: set[str]) -> BoardRun:
    """The run with the entries of a reference in conflict that came with it, or else with all."""
    references = []
    for reference in run.result.references:
        entries = disputed.get(reference.id)
        if entries is None:
            references.append(reference)
            continue
        own = [entry for entry in entries if entry.source in sources] or entries
        references += [reference.model_copy(update={"id": entry.result.id}) for entry in own]
    return _with_references(run, references)


def _with_references(run: BoardRun, references: list[Reference]) -> BoardRun:
    if references == run.result.references:
        return run
    return replace(run, result=run.result.model_copy(update={"references": references}))
