"""Entries in conflict, side by side: their numbers and where each was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fednlp.leaderboard.board import Board
from fednlp.leaderboard.conflicts import Conflict
from fednlp.leaderboard.digest import BoardRun
from fednlp.leaderboard.links import Links
from fednlp.leaderboard.numbers import quantity
from fednlp.results.escaping import shown

MOST_CONFLICTS = 100  # that the overview shows
MOST_ENTRIES = 8  # of one id
MOST_NAMES = 30  # of an environment


@dataclass(frozen=True)
class ConflictView:
    """more: entries that are not shown. rows: name, a value per entry, whether they differ."""

    title: str
    differing: str
    entries: Sequence[tuple[str, str]]
    more: int
    rows: Sequence[tuple[str, Sequence[str], bool]]


def conflict_views(board: Board, links: Links) -> list[ConflictView]:
    return [_view(conflict, links) for conflict in board.conflicts[:MOST_CONFLICTS]]


def _view(conflict: Conflict, links: Links) -> ConflictView:
    runs = conflict.runs[:MOST_ENTRIES]
    first, key = runs[0].result, runs[0].result.primary_metric
    metric, scores = shown(key, 40), [run.result.selected for run in runs]
    rows = [
        ("from", [_from(sources) for sources in conflict.sources[:MOST_ENTRIES]]),
        ("note", [shown(run.submission_note, 400) or "–" for run in runs]),
        (f"{metric}, test", [quantity(s.test.get(key), 6) for s in scores]),
        (f"{metric}, validation", [quantity(s.validation.get(key), 6) for s in scores]),
        ("checksum", [str(run.result.checksum)[:16] for run in runs]),
    ]
    names = list(dict.fromkeys(name for run in runs for entry in run.environment for name in entry))
    rows += [
        (shown(name, 40), [_recorded(run, name) for run in runs]) for name in names[:MOST_NAMES]
    ]
    if not names:
        rows.append(("environment", ["not recorded"] * len(runs)))
    return ConflictView(
        shown(first.folder or first.id),
        shown(_what(conflict), 400),
        [(links.run(run), f"entry {number}") for number, run in enumerate(runs, start=1)],
        len(conflict.runs) - len(runs),
        [(name, values, len(set(values)) > 1) for name, values in rows],
    )


def _what(conflict: Conflict) -> str:
    """The names of what differs; the numbers stand below them."""
    return ", ".join(dict.fromkeys(words.partition(": ")[0] for words in conflict.differing))


def _from(sources: Sequence[str]) -> str:
    more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
    return shown(sources[0], 200) + more


def _recorded(run: BoardRun, name: str) -> str:
    values = dict.fromkeys(shown(entry[name], 80) for entry in run.environment if name in entry)
    return ", then ".join(list(values)[:4]) or "–"


def conflict_lines(board: Board) -> list[str]:
    """The conflicts in the terminal."""
    lines = []
    for conflict in board.conflicts[:MOST_CONFLICTS]:
        places = shown(", ".join(dict.fromkeys(_from(s) for s in conflict.sources)), 300)
        lines.append(
            f"conflict: {conflict.id[:24]} in {places}: {shown(_what(conflict), 300)} differ"
        )
    more = len(board.conflicts) - len(lines)
    return [*lines, f"and {more} more ids with entries in conflict"] if more else lines
