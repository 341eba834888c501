"""The methods of a benchmark against each other: statistics applied to the gap table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from fednlp.results.gap import Gap, series
from fednlp.results.load import FinishedRun
from fednlp.statistics import Comparison, Rank, Summary, compare, ranks, summary


@dataclass(frozen=True)
class Standing:
    """A line of the gap table among the other methods of its benchmark.

    gap, federated: over seeds; federated is the test score. test_stderr: the error of that score
    over test examples, mean over seeds. rank: by federated score, see `ranks`.
    """

    line: Gap
    gap: Summary
    federated: Summary
    test_stderr: float
    rank: Rank

    def as_row(self) -> dict[str, Any]:
        """What a row of the gap table gains, flat, for CSV and JSON."""
        row: dict[str, Any] = {"gap_std": self.gap.std, "test_stderr": self.test_stderr}
        for name in ("t", "bootstrap"):
            interval = getattr(self.gap, f"{name}_interval") or (None, None)
            row[f"gap_{name}_low"], row[f"gap_{name}_high"] = interval
        return {**row, "rank_best": self.rank.best, "rank_worst": self.rank.worst}


@dataclass(frozen=True)
class Contest:
    """A benchmark: its lines of the gap table, best federated score first, and all pairs.

    Pairs are of distinct federated runs by their federated test scores: two lines that differ in
    their centralized reference alone are one method here. They are named as in the gap table.
    runs: name in `pairs` -> seed -> run.
    """

    task: str
    benchmark: str
    metric: str
    standings: tuple[Standing, ...]
    pairs: tuple[Comparison, ...]
    runs: dict[str, dict[int, FinishedRun]]


def contests(table: Sequence[Gap]) -> list[Contest]:
    """The benchmarks of a gap table, in its order; a lone method has rank 1 and no pair."""
    groups: dict[tuple[str, str, str], list[Gap]] = {}
    for line in table:
        groups.setdefault((line.task, line.benchmark, line.metric), []).append(line)
    return [_contest(*key, lines) for key, lines in groups.items()]


def _contest(task: str, benchmark: str, metric: str, lines: list[Gap]) -> Contest:
    names: dict[str, str] = {}  # of the series of federated runs
    runs: dict[str, dict[int, FinishedRun]] = {}
    for line in lines:
        own = runs.setdefault(names.setdefault(_key(line), line.method), {})
        for run, _ in line.pairs:
            own.setdefault(run.result.seed, run)
    pairs = compare({name: scores_by_seed(own.values()) for name, own in runs.items()})
    placed = ranks(list(runs), pairs)
    standings = [_standing(line, placed[names[_key(line)]]) for line in lines]
    standings.sort(key=lambda standing: -standing.federated.mean)
    return Contest(task, benchmark, metric, tuple(standings), tuple(pairs), runs)


def _key(line: Gap) -> str:
    return series(line.pairs[0][0])


def scores_by_seed(runs: Iterable[FinishedRun]) -> dict[int, float]:
    """Seed -> primary metric of the selected model on test."""
    return {run.result.seed: score(run) for run in runs}


def score(run: FinishedRun) -> float:
    """The primary metric of the selected model on test."""
    return run.result.selected.test[run.result.primary_metric]


def _standing(line: Gap, rank: Rank) -> Standing:
    return Standing(
        line,
        summary(score(central) - score(federated) for federated, central in line.pairs),
        summary(score(federated) for federated, _ in line.pairs),
        mean(federated.result.selected.test_stderr for federated, _ in line.pairs),
        rank,
    )
