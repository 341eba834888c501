"""The leaderboard in the terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from fednlp.leaderboard.board import Board
from fednlp.leaderboard.build import Built
from fednlp.leaderboard.conflict_view import conflict_lines
from fednlp.leaderboard.downloads import cells, reference_text
from fednlp.leaderboard.numbers import counted
from fednlp.leaderboard.words import site_notes
from fednlp.results.wide_or_narrow import wide_or_narrow

_COLUMNS = ("method", "rank", "seeds", "gap", "95 % interval", "federated", "sent", "device time")


def terminal(board: Board, width: int = 120) -> Group:
    """A table per benchmark, its notes below all; a paragraph per line where it is narrow."""
    parts: list[RenderableType] = []
    for benchmark in board.benchmarks:
        parts.append(Text(f"{benchmark.name}\n{reference_text(benchmark)}"))
        rows = [cells(line) for line in benchmark.lines]
        parts += wide_or_narrow(
            _COLUMNS, [(name, rank, *rest) for rank, name, *rest in rows], width
        )
    parts += [Text(note, style="dim") for note in site_notes(board)]
    parts += [Text(line) for line in conflict_lines(board)]
    return Group(*parts)


def summary(built: Built) -> list[str]:
    """What was written, in lines."""
    board = built.board
    lines = [
        f"{counted(len(board.runs), 'run')}, {counted(len(board.lines), 'line')} on "
        f"{counted(len(board.benchmarks), 'benchmark')}; run folders read: {built.read}",
        f"{built.written} files written, {built.kept} unchanged, {built.removed} removed",
    ]
    if board.conflicts:
        lines.append(f"ids with entries in conflict, on the first page too: {len(board.conflicts)}")
        lines += conflict_lines(board)
    return [*lines, f"leaderboard: {built.index.resolve()}"]
