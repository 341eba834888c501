"""The leaderboard as data: benchmarks, the lines on them, and what may be said of a difference."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import mean

from fednlp.leaderboard.collect import Collection
from fednlp.leaderboard.conflicts import DISPUTED, Conflict, is_disputed
from fednlp.leaderboard.digest import BoardRun
from fednlp.results.escaping import shown
from fednlp.results.gap import Gap, gaps, series
from fednlp.results.method_comparison import contests
from fednlp.results.reading import FinishedRun
from fednlp.statistics import Comparison, ExampleDifference, Rank, Summary, summary

MOST_COMPARED = 40  # lines of a benchmark that are compared in pairs: 780 pairs


@dataclass(frozen=True)
class Line:
    """One method on one benchmark, over its seeds.

    key: stable name for links. style: colour and mark, the same in all pictures of a benchmark.
    """

    key: str
    gap: Gap
    method: str
    algorithm: str  # its name alone: the column of the overview
    details: tuple[str, ...]  # the rest of the method's name: own settings, client, what else tells
    style: int
    rank: Rank | None

    @cached_property
    def gap_summary(self) -> Summary:
        return summary(self.gap_by_seed.values())

    @cached_property
    def gap_by_seed(self) -> dict[int, float]:
        key = self.gap.metric
        return {
            f.result.seed: c.result.selected.test[key] - f.result.selected.test[key]
            for f, c in self.gap.pairs
        }

    @property
    def runs(self) -> list[BoardRun]:
        return [_board_run(run) for run, _ in self.gap.pairs]

    @property
    def references(self) -> list[BoardRun]:
        return [_board_run(run) for _, run in self.gap.pairs]

    @cached_property
    def sources(self) -> list[str]:
        """Where its federated runs come from."""
        return sorted({run.source for run in self.runs})

    @cached_property
    def disputed(self) -> bool:
        """Whether a reference of it is in conflict."""
        return _is_disputed(self.gap)

    @cached_property
    def tuning(self) -> str:
        """Whether learning rates were searched for, and with what budget."""
        if not self.gap.tuned:
            return "untuned"
        budgets = {tuning_budget(run) for run in self.runs}
        return f"tuned, {budgets.pop()}" if len(budgets) == 1 else "tuned, budgets differ"

    @cached_property
    def test_stderr(self) -> float:
        """Standard error of one run's score over test examples, mean over its runs."""
        return mean(run.result.selected.test_stderr for run in self.runs)


@dataclass(frozen=True)
class OverExamples:
    """The paired bootstrap over test examples of a benchmark's pairs, by the names of the two.

    reasons: of the pairs that have none. left_out: why none was computed at all.
    """

    differences: dict[tuple[str, str], ExampleDifference] = field(default_factory=dict)
    reasons: dict[tuple[str, str], str] = field(default_factory=dict)
    left_out: str = ""


@dataclass(frozen=True)
class Benchmark:
    """What the methods that may be compared share; its lines from the smallest gap on.

    Those whose reference is in conflict come last.

    comparisons: all pairs of methods by their test scores, as `gap` compares them; empty where
    there are more than `MOST_COMPARED` lines. compared: name in them -> seed -> run.
    """

    key: str
    name: str
    lines: tuple[Line, ...]
    comparisons: tuple[Comparison, ...]
    compared: dict[str, dict[int, FinishedRun]]
    over_examples: OverExamples = field(default_factory=OverExamples)

    @property
    def first(self) -> Gap:
        return self.lines[0].gap

    @cached_property
    def settled(self) -> tuple[Line, ...]:
        """The lines whose references are not in conflict; all, where there is none."""
        return tuple(line for line in self.lines if not line.disputed) or self.lines

    @property
    def task(self) -> str:
        return self.first.task

    @cached_property
    def seeds(self) -> set[int]:
        return {seed for line in self.lines for seed in line.gap.seeds}

    @cached_property
    def references(self) -> dict[str, BoardRun]:
        """The centralized runs by id, without those in conflict unless there are no others."""
        return {run.result.id: run for line in self.settled for run in line.references}

    @cached_property
    def machines(self) -> set[str]:
        """Where the federated runs were made: device, processor and threads."""
        return {machine(run) for line in self.lines for run in line.runs}


@dataclass(frozen=True)
class Board:
    """unpaired: runs that are in no line, since they have or are no reference.

    disputed: see `Settled`.
    """

    benchmarks: tuple[Benchmark, ...]
    runs: tuple[BoardRun, ...]
    unpaired: tuple[BoardRun, ...]
    conflicts: tuple[Conflict, ...]
    disputed: tuple[BoardRun, ...]
    problems: tuple[str, ...] = field(default=())

    @property
    def lines(self) -> list[Line]:
        return [line for benchmark in self.benchmarks for line in benchmark.lines]

    def conflicts_of(self, benchmark: Benchmark) -> list[Conflict]:
        """Those of federated runs that would be in a line of it."""
        here = {_subject(run) for line in benchmark.lines for run in line.runs}
        return [c for c in self.conflicts if any(_subject(run) in here for run in c.runs)]


def _subject(run: BoardRun) -> tuple[object, ...]:
    result = run.result
    split = (result.partition or {}).get("checksum")
    return result.data.fingerprint, result.model.name, str(split), result.costs.rounds


def make_board(collected: Collection) -> Board:
    """The leaderboard of a collection."""
    settled, problems = collected.settled, list(collected.problems)
    table = [_marked(gap) for gap in gaps([*settled.runs, *settled.disputed], problems)]
    grouped: dict[str, list[Gap]] = {}
    for gap in table:
        grouped.setdefault(f"{gap.task}, {gap.benchmark}, {gap.metric}", []).append(gap)
    used = {run.result.id for gap in table for pair in gap.pairs for run in pair}
    return Board(
        tuple(_benchmark(name, members) for name, members in grouped.items()),
        settled.runs,
        tuple(run for run in settled.runs if run.result.id not in used),
        settled.conflicts,
        settled.disputed,
        tuple(shown(problem, 600) for problem in sorted(set(problems))),
    )


def _benchmark(name: str, members: Sequence[Gap]) -> Benchmark:
    ordered = sorted(members, key=lambda gap: (_is_disputed(gap), gap.gap.mean, gap.method))
    lines = [_line(gap, number) for number, gap in enumerate(ordered)]
    comparisons: tuple[Comparison, ...] = ()
    compared: dict[str, dict[int, FinishedRun]] = {}
    if len(lines) <= MOST_COMPARED:
        (contest,) = contests(ordered)
        comparisons, compared = contest.pairs, contest.runs
        placed = {id(standing.line): standing.rank for standing in contest.standings}
        lines = [replace(line, rank=placed[id(line.gap)]) for line in lines]
    key = hashlib.sha256(name.encode()).hexdigest()[:12]
    return Benchmark(key, shown(members[0].benchmark, 300), tuple(lines), comparisons, compared)


def _marked(gap: Gap) -> Gap:
    """A line whose reference is in conflict says so, and which entry it is where there are two."""
    if not _is_disputed(gap):
        return gap
    named = gap.method.replace(f"centralized.{DISPUTED}=", "reference ")
    mark = ", reference in conflict" if named == gap.method else ", in conflict"
    return replace(gap, method=shown(named, 120) + mark)


def _is_disputed(gap: Gap) -> bool:
    return any(is_disputed(_board_run(reference)) for _, reference in gap.pairs)


def _line(gap: Gap, style: int) -> Line:
    federated, reference = gap.pairs[0]
    whole = f"{series(federated)} {series(reference)}"
    name = str((federated.result.algorithm or {}).get("name", "?"))
    named = f"{gap.algorithm} [{gap.client}]"
    rest = (
        gap.algorithm.removeprefix(name),
        gap.client,
        gap.method.removeprefix(named).strip(", "),
    )
    return Line(
        key=hashlib.sha256(whole.encode()).hexdigest()[:12],
        gap=gap,
        method=shown(gap.method),
        algorithm=shown(name, 40),
        details=tuple(map(shown, rest)),
        style=style,
        rank=None,
    )


def machine(run: BoardRun) -> str:
    """Where a run was made, as far as it decides device seconds."""
    last = run.environment[-1] if run.environment else {}
    return ", ".join(shown(last[k], 60) for k in ("device", "processor", "threads") if k in last)


def tuning_budget(run: FinishedRun) -> str:
    """For example `5 trials of 8 rounds with seed 100`: what a search may have cost."""
    tuning = run.result.tuning
    return shown(tuning.budget, 100) if tuning is not None else "budget not told"


def _board_run(run: FinishedRun) -> BoardRun:
    assert isinstance(run, BoardRun)
    return run
