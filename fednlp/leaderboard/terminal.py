"""The leaderboard in the terminal."""

from __future__ import annotations

from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fednlp.leaderboard.board import Board, Line
from fednlp.leaderboard.build import Built
from fednlp.leaderboard.downloads import cells, reference_text
from fednlp.leaderboard.words import site_notes
from fednlp.results.tables import NARROW

_COLUMNS = ("rank", "method", "seeds", "gap", "95 % interval", "federated", "sent", "device time")


def terminal(board: Board, width: int = 120) -> Group:
    """A table per benchmark, its notes below all; a paragraph per line where it is narrow."""
    parts: list[RenderableType] = []
    for benchmark in board.benchmarks:
        parts.append(Text(f"{benchmark.name}\n{reference_text(benchmark)}"))
        parts.append(_paragraphs(benchmark.lines) if width < NARROW else _table(benchmark.lines))
    parts += [Text(note, style="dim") for note in site_notes(board)]
    for conflict in board.conflicts:
        parts.append(Text(f"conflict: {conflict.id[:24]}: {', '.join(conflict.differing)} differ"))
    return Group(*parts)


def summary(built: Built) -> list[str]:
    """What was written, in lines."""
    board = built.board
    lines = [
        f"{len(board.runs)} runs, {len(board.lines)} lines on {len(board.benchmarks)} benchmarks; "
        f"{built.read} run folders read, the others were known",
        f"{built.written} files written, {built.kept} unchanged, {built.removed} removed",
    ]
    if board.conflicts:
        lines.append(f"{len(board.conflicts)} ids with entries in conflict: see the overview")
    return [*lines, f"leaderboard: {built.index.resolve()}"]


def _table(lines: tuple[Line, ...]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in _COLUMNS:
        justify: Literal["left", "right"] = "left" if name == "method" else "right"
        table.add_column(name, justify=justify, overflow="fold")
    for line in lines:
        table.add_row(*map(Text, cells(line)))  # names are no markup
    return table


def _paragraphs(lines: tuple[Line, ...]) -> Text:
    told = [zip(_COLUMNS, cells(line), strict=True) for line in lines]
    return Text("\n\n".join("\n".join(f"{n}: {v}" for n, v in line) for line in told) + "\n")
