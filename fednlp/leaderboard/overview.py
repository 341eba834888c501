"""What the first page shows: benchmarks by task, methods side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fednlp.leaderboard.board import Benchmark, Board, Line
from fednlp.leaderboard.downloads import reference_text
from fednlp.leaderboard.numbers import duration, half_width, rank_text, signed
from fednlp.results.escaping import shown
from fednlp.results.floor import FLOOR_MARK
from fednlp.results.tables import human_bytes

MOST_COLUMNS = 16  # methods side by side; the others share a column
MOST_IN_CELL = 4  # lines of one method in a cell
OTHERS = "other methods"


@dataclass(frozen=True)
class MatrixCell:
    """meter: the relative gap in percent, cut to 0..100; None where there is none.

    detail: settings, where the lines of the benchmark differ in them. leads: no method is shown to
    be better, and one to be worse.
    """

    gap: str
    half: str
    meter: str | None
    detail: str
    rank: str
    leads: bool
    cost: Sequence[str]
    floor: str  # a mark, or ""


@dataclass(frozen=True)
class MatrixRow:
    """columns: method, its cells, and how many more lines it has."""

    benchmark: Benchmark
    title: str
    detail: str
    reference: str
    columns: Sequence[tuple[str, Sequence[MatrixCell], int]]


def columns(board: Board) -> list[str]:
    """The methods by name; the rarer ones of many share the last column."""
    count = Counter(line.algorithm for line in board.lines)
    if len(count) <= MOST_COLUMNS:
        return sorted(count)
    return [*sorted(name for name, _ in count.most_common(MOST_COLUMNS - 1)), OTHERS]


def tasks(
    board: Board, names: Sequence[str], most: int
) -> tuple[list[tuple[str, list[MatrixRow]]], list[tuple[str, str]]]:
    """Task by task the rows of at most so many benchmarks; keys and names of the others."""
    grouped: dict[str, list[MatrixRow]] = {}
    for benchmark in board.benchmarks[:most]:
        grouped.setdefault(task_name(benchmark.task), []).append(_row(benchmark, names))
    return list(grouped.items()), [(b.key, b.name) for b in board.benchmarks[most:]]


def task_name(task: str) -> str:
    return shown(task, 60).replace("_", " ").capitalize()


def _row(benchmark: Benchmark, names: Sequence[str]) -> MatrixRow:
    by_method: dict[str, list[Line]] = {}
    for line in benchmark.lines:
        name = line.algorithm if line.algorithm in names else OTHERS
        by_method.setdefault(name, []).append(line)
    gap = benchmark.first
    data = shown(gap.data, 60) + (" (synthetic)" if gap.synthetic else "")
    common = _common(benchmark)
    ranks = max((line.rank.worst for line in benchmark.lines if line.rank), default=0)
    return MatrixRow(
        benchmark,
        f"{data}, {shown(gap.partition, 80)}",
        ", ".join([f"{shown(gap.model, 40)}, {gap.rounds} rounds of {gap.cohort}", *common]),
        reference_text(benchmark),
        [_column(name, by_method.get(name, []), common, ranks) for name in names],
    )


def _common(benchmark: Benchmark) -> list[str]:
    """What all lines of a benchmark share of settings, seeds and tuning: said once."""
    lines = benchmark.lines
    columns = zip(*map(_told, lines), strict=True)
    return [values[0] for values in columns if len(set(values)) == 1 and values[0]]


def _told(line: Line) -> tuple[str, ...]:
    return (*line.details, _seeds(line), line.tuning)


def _seeds(line: Line) -> str:
    count = len(line.gap.seeds)
    return f"{count} {'seed' if count == 1 else 'seeds'}"


def _column(
    name: str, lines: Sequence[Line], common: Sequence[str], ranks: int
) -> tuple[str, list[MatrixCell], int]:
    """Several lines of a method are all told: to show its best would be selection on test."""
    cells = [_cell(line, name == OTHERS, common, ranks) for line in lines[:MOST_IN_CELL]]
    return name, cells, max(len(lines) - MOST_IN_CELL, 0)


def _cell(line: Line, whole: bool, common: Sequence[str], ranks: int) -> MatrixCell:
    gap, rank = line.gap, line.rank
    own = [text for text in _told(line) if text and text not in common]
    if whole:
        own = [line.method, *(text for text in own if text not in line.details)]
    return MatrixCell(
        signed(gap.gap.mean),
        half_width(line.gap_summary.t_interval),
        f"{min(max(gap.relative.mean, 0), 1) * 100:.0f}" if gap.relative else None,
        ", ".join(own),
        rank_text(rank),
        rank is not None and rank.best == 1 and rank.worst < ranks,
        (human_bytes(gap.bytes), duration(gap.device_seconds)),
        FLOOR_MARK if gap.below_floor else "",
    )
