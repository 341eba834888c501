"""Every page of the site as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from fednlp.leaderboard import intervals, overview
from fednlp.leaderboard.across import across
from fednlp.leaderboard.board import MOST_COMPARED, Benchmark, Board, Line, OverExamples
from fednlp.leaderboard.charts import POINTS, swatch
from fednlp.leaderboard.conflict_view import conflict_views
from fednlp.leaderboard.curves import AT_FIRST, MOST_LINES, benchmark_charts
from fednlp.leaderboard.digest import BoardRun
from fednlp.leaderboard.downloads import reference_text
from fednlp.leaderboard.links import Links
from fednlp.leaderboard.numbers import counted, quantity
from fednlp.leaderboard.run_page import method_name, run_context
from fednlp.leaderboard.submission_notes import submission_notes
from fednlp.leaderboard.table import columns, short_rows, table_rows
from fednlp.leaderboard.words import MARKING, READING, benchmark_notes, site_notes
from fednlp.results.comparison_tables import example_words
from fednlp.results.escaping import shown
from fednlp.statistics.rules import TESTS_FROM

MOST_PROBLEMS = 300  # that the overview names
MOST_UNPAIRED = 500
MOST_ROWS = 400  # of a table, while the page stays small; ten times as many are told in short
LARGEST = 1_800_000  # bytes of a page


class Pages:
    """Renders the pages of a board. Names are escaped by the templates, all of them."""

    def __init__(self, board: Board, version: str) -> None:
        self.board, self.links = board, Links(board)
        self._runs = {run.result.id: run for run in (*board.runs, *board.disputed)}
        self._templates = Environment(
            loader=PackageLoader("fednlp.leaderboard"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(reading=READING, marks=MARKING, version=version)

    def _render(self, template: str, **values: Any) -> str:
        return self._templates.get_template(template).render(**values)

    def overview(self) -> str:
        return _fitting(self._overview)

    def _overview(self, most: int) -> str:
        board, names = self.board, overview.columns(self.board)
        tasks, short = overview.tasks(board, names, most)
        return self._render(
            "overview.html",
            root="",
            title="Federated NLP leaderboard",
            trail=[("Leaderboard", "")],
            board=board,
            counts=_counts(board),
            site_notes=site_notes(board),
            columns=names,
            tasks=tasks,
            short=short[: 10 * most],
            omitted=len(short[10 * most :]),
            across=across(board),
            conflicts=conflict_views(board, self.links),
            unpaired=[(self.links.run(r), _run_name(r)) for r in board.unpaired[:MOST_UNPAIRED]],
            most_problems=MOST_PROBLEMS,
            submissions=submission_notes(self._runs.values()),
        )

    def benchmark(self, benchmark: Benchmark) -> str:
        return _fitting(lambda most: self._benchmark(benchmark, most))

    def _benchmark(self, benchmark: Benchmark, most: int) -> str:
        gap, drawn = benchmark.first, benchmark.lines[:MOST_LINES]
        data = shown(gap.data, 60) + (" (synthetic)" if gap.synthetic else "")
        clients, room = _clients(drawn)
        return self._render(
            "benchmark.html",
            root="../",
            title=benchmark.name,
            trail=[("Leaderboard", "index.html"), (shown(gap.data, 40), "")],
            benchmark=benchmark,
            task=overview.task_name(benchmark.task),
            heading=f"{data}, {shown(gap.partition, 100)}",
            known=_known(benchmark),
            benchmark_notes=benchmark_notes(benchmark),
            disputed=len(self.board.conflicts_of(benchmark)),
            columns=columns(benchmark),
            rows=table_rows(benchmark, self.links, most),
            short=short_rows(benchmark.lines[most : 11 * most], self.links),
            untold=len(benchmark.lines[11 * most :]),
            rank_words=_rank_words(benchmark),
            keys=[
                {
                    "key": line.key,
                    "name": line.method,
                    "swatch": swatch(line.style),
                    "shown": line.style < AT_FIRST,
                }
                for line in drawn
            ],
            omitted=len(benchmark.lines) - len(drawn),
            charts=benchmark_charts(benchmark),
            points=POINTS,
            metric=shown(gap.metric, 40),
            clients=clients,
            client_low=quantity(room[0], 2),
            client_high=quantity(room[1], 2),
            comparisons=_comparisons(benchmark),
            left_out=benchmark.over_examples.left_out,
            uncompared=_uncompared(benchmark),
            submissions=submission_notes(_runs_of(benchmark)),
        )

    def run(self, run: BoardRun) -> str:
        context = run_context(run, self.references(run), self.links)
        return self._render("run.html", root="../", **context)

    def references(self, run: BoardRun) -> list[BoardRun]:
        """The centralized runs that a run is measured against, as far as they are here."""
        found = (self._runs.get(reference.id) for reference in run.result.references)
        return [reference for reference in found if reference is not None]


def _runs_of(benchmark: Benchmark) -> Iterator[BoardRun]:
    for line in benchmark.lines:
        yield from (*line.runs, *line.references)


def _fitting(render: Callable[[int], str]) -> str:
    """The page with as many rows as it has room for. render: from their number to the page."""
    most = MOST_ROWS
    while len((page := render(most)).encode(errors="replace")) > LARGEST and most > 1:
        most //= 2
    return page


def _counts(board: Board) -> str:
    seeds = [len(line.gap.seeds) for line in board.lines]
    parts = [
        counted(len(board.benchmarks), "benchmark"),
        counted(len({line.algorithm for line in board.lines}), "method"),
        counted(len(board.runs), "run"),
    ]
    if seeds:
        low, high = min(seeds), max(seeds)
        parts.append(counted(high, "seed") if low == high else f"{low} to {high} seeds")
    return " · ".join(parts)


def _run_name(run: BoardRun) -> str:
    result = run.result
    kind = "centralized" if result.kind == "centralized" else method_name(result)
    return shown(f"{result.data.name}, {kind}, seed {result.seed} ({run.source})", 300)


def _known(benchmark: Benchmark) -> list[tuple[str, str]]:
    gap = benchmark.first
    skew = f"{float(gap.skew):.3f}" if gap.skew is not None else "not measured"
    return [
        ("metric and reference", reference_text(benchmark)),
        ("model", shown(gap.model, 60)),
        ("split", shown(gap.partition, 200)),
        ("achieved skew, Jensen-Shannon", skew),
        ("examples", shown(gap.sizes, 60) + " (train / validation / test)"),
        ("rounds", f"{gap.rounds}, of {gap.cohort} clients each"),
        ("optimizer steps", f"{gap.steps[0]:,.0f} centralized, {gap.steps[1]:,.0f} federated"),
        ("seeds", ", ".join(map(str, sorted(benchmark.seeds)[:20]))),
        ("learning rates", " or ".join(sorted({line.tuning for line in benchmark.lines})[:4])),
    ]


def _rank_words(benchmark: Benchmark) -> str:
    if not benchmark.comparisons:
        return ""
    if all(len(pair.seeds) < TESTS_FROM for pair in benchmark.comparisons):
        return (
            f"Fewer than {TESTS_FROM} common seeds: no difference is claimed, all ranks are tied."
        )
    return "Ranks are tied where no difference is shown."


def _clients(lines: Sequence[Line]) -> tuple[list[dict[str, Any]], tuple[float, float]]:
    """Rows of the distribution table and the ends of its scale."""
    known = [(line, _mean_quantiles(line)) for line in lines]
    ends = [value for _, quantiles in known for value in quantiles]
    if not ends:
        return [], (0.0, 1.0)
    x = intervals.scale(ends)
    return [_distribution(line, q, x) for line, q in known if q], (x.low, x.high)


def _mean_quantiles(line: Line) -> list[float]:
    columns = [run.quantiles for run in line.runs if run.quantiles]
    return [fmean(values) for values in zip(*columns, strict=True)] if columns else []


def _distribution(line: Line, quantiles: list[float], x: intervals.Scale) -> dict[str, Any]:
    told = [run.result.clients for run in line.runs if run.result.clients is not None]

    def over(name: str) -> float | None:
        values = [getattr(one, name) for one in told if getattr(one, name) is not None]
        return fmean(values) if values else None

    scored, total = over("scored"), over("clients")
    return {
        "method": line.method,
        "swatch": swatch(line.style),
        "numbers": [
            ("Scored", f"{scored:.0f} of {total:.0f}" if scored and total else "–"),
            ("Mean", quantity(over("mean"))),
            ("Std", quantity(over("std"))),
            ("Worst tenth", quantity(over("worst_decile"))),
            ("5 %", quantity(quantiles[1])),
            ("Median", quantity(quantiles[4])),
            ("95 %", quantity(quantiles[7])),
        ],
        "picture": intervals.box(quantiles, line.style, x),
    }


def _comparisons(benchmark: Benchmark) -> list[tuple[str, bool, str]]:
    """A pair over seeds, whether a difference is shown there, and the pair over test examples."""
    over = benchmark.over_examples
    return [
        (shown(pair.words, 700), pair.shown, _over_examples(over, (pair.first, pair.second)))
        for pair in benchmark.comparisons
    ]


def _over_examples(over: OverExamples, names: tuple[str, str]) -> str:
    if names in over.differences:
        return example_words(over.differences[names])
    return f"not over test examples: {shown(over.reasons[names], 300)}" if over.reasons else ""


def _uncompared(benchmark: Benchmark) -> str:
    if len(benchmark.lines) == 1:
        return "There is one method here, so there is nothing to compare it with."
    lines = len(benchmark.lines)
    return f"{lines} lines are more than the {MOST_COMPARED} that are compared in pairs."
