"""What a reader must know to read the numbers right, in sentences."""

from __future__ import annotations

from collections.abc import Iterable

from fednlp.leaderboard.board import Benchmark, Board
from fednlp.leaderboard.charts import MARKS
from fednlp.results.escaping import shown
from fednlp.results.floor import FLOOR_NOTE
from fednlp.results.tuning import search_notes
from fednlp.statistics.rules import TESTS_FROM

READING = (
    "The gap is centralized minus federated on test, paired by seed: positive means that the "
    "federated run is worse. It is of the round that validation selected."
)

MARKING = (
    f"Up to {MARKS} points of a line each have a mark; on a longer line marks stand at equal "
    "distances, and there are points between them. A round that was not validated is no point of a "
    "validation curve."
)


def benchmark_notes(benchmark: Benchmark) -> list[str]:
    """Of one benchmark."""
    return _unique([*_of_lines([benchmark]), *_of_data(benchmark)])


def site_notes(board: Board) -> list[str]:
    """Of all benchmarks."""
    notes = _of_lines(board.benchmarks)
    floors = [b for b in board.benchmarks if b.first.centralized <= b.first.floor]
    if floors:
        notes.append(
            f"Centralized does not beat the floor on {len(floors)} of {len(board.benchmarks)} "
            "benchmarks: their gaps mean nothing."
        )
    return _unique(notes)


def _of_lines(benchmarks: Iterable[Benchmark]) -> list[str]:
    lines = [line for benchmark in benchmarks for line in benchmark.lines]
    counts = [len(line.gap.seeds) for line in lines]
    notes = []
    if any(count == 1 for count in counts):
        notes.append("One seed: there is no interval.")
    if any(count < TESTS_FROM for count in counts):
        notes.append(
            f"Fewer than {TESTS_FROM} seeds: no difference between methods is claimed; their "
            "ranks are tied."
        )
    untuned = sum(not line.gap.tuned for line in lines)
    if untuned:
        which = "All" if untuned == len(lines) else f"{untuned} of {len(lines)}"
        notes.append(f"{which} lines are untuned: their learning rates were not searched for.")
    if len({line.tuning for line in lines if line.gap.tuned}) > 1:
        notes.append("Methods were tuned with different budgets, so more than the method differs.")
    if any(line.gap.below_floor for line in lines):
        notes.append(FLOOR_NOTE)
    if any(line.disputed for line in lines):
        notes.append(
            "Where a reference is in conflict, a run is measured against the entry that came with "
            "it; such lines say so and come last."
        )
    if any(line.gap.synthetic for line in lines):
        notes.append("Synthetic data are embedded corpora, not real text.")
    if any(line.gap.skipped for line in lines):
        notes.append("Some uploads were not finite and left out of their rounds.")
    return notes


def _of_data(benchmark: Benchmark) -> list[str]:
    notes, gap = [], benchmark.first
    if gap.centralized <= gap.floor:
        notes.append("Centralized does not beat the floor, so the gap means nothing here.")
    notes += [shown(note, 600) for note in search_notes(line.gap for line in benchmark.settled)]
    if gap.unassigned:
        notes.append(
            f"{gap.unassigned} test examples are like no client's data and in no client's share; "
            "the pooled test has them."
        )
    if len(benchmark.machines) > 1:
        notes.append(
            f"The runs were made on {len(benchmark.machines)} kinds of machine: do not compare "
            "their device seconds."
        )
    return notes


def _unique(notes: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(notes))
