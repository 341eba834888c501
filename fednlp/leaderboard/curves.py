"""Which lines the charts of a page draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

from fednlp.leaderboard.axes import TIMES, UNITS, span, unit
from fednlp.leaderboard.board import Benchmark, Line
from fednlp.leaderboard.charts import Chart, Level, Series
from fednlp.leaderboard.conflicts import DISPUTED, is_disputed
from fednlp.leaderboard.digest import BoardRun
from fednlp.results.escaping import shown

MOST_LINES = 28  # that a chart draws: as many as colours, marks and dashes tell apart
AT_FIRST = 7  # of these, shown before the reader chooses

Along = Callable[[BoardRun], Sequence[float]]  # a value per round


def benchmark_charts(benchmark: Benchmark) -> list[Chart]:
    """The metric on validation against rounds, bytes and device seconds; one y axis for all."""
    lines = benchmark.lines[:MOST_LINES]
    metric = shown(benchmark.first.metric, 40)
    levels = _levels(list(benchmark.references.values()), _floor(benchmark.lines[0].runs[0]))
    flat = [level for level in levels if not len(level.x)]
    charts = [
        Chart(
            f"{metric} on validation by round",
            "round",
            metric,
            _series(lines, None),
            levels,
            whole=True,
        )
    ]
    most = max(line.gap.bytes for line in lines)
    scale, name = unit(most, UNITS)
    charts.append(
        Chart(
            f"{metric} on validation by bytes sent",
            f"{name} sent, up and down",
            metric,
            _series(lines, lambda run: run.curves.sent),
            flat,
            scale=scale,
        )
    )
    timed = [line for line in lines if all(len(run.curves.seconds) for run in line.runs)]
    if timed:
        scale, name = unit(max(line.gap.device_seconds for line in timed), TIMES)
        charts.append(
            Chart(
                f"{metric} on validation by device time",
                f"device {name}",
                metric,
                _series(timed, lambda run: run.curves.seconds),
                flat,
                scale=scale,
            )
        )
    room = span(v for chart in charts for v in chart.values() if math.isfinite(v))
    return [replace(chart, y_span=room) for chart in charts]


def _series(lines: Sequence[Line], along: Along | None) -> list[Series]:
    return [series for line in lines if (series := _band(line, along)) is not None]


def _band(line: Line, along: Along | None) -> Series | None:
    """Mean, lowest and highest over seeds at the rounds that all of them evaluated."""
    curves = [dict(run.validation_curve()) for run in line.runs]
    rounds = sorted(set.intersection(*(set(curve) for curve in curves)))
    if not rounds:
        return None
    values = [[curve[n] for curve in curves] for n in rounds]
    x: Sequence[float] = rounds
    if along is not None:
        columns = [along(run) for run in line.runs]
        x = [fmean(column[n - 1] for column in columns) for n in rounds]
    several = len(curves) > 1
    return Series(
        line.key,
        line.method,
        line.style,
        x,
        [fmean(v) for v in values],
        [min(v) for v in values] if several else (),
        [max(v) for v in values] if several else (),
    )


def _levels(references: Sequence[BoardRun], floor: float) -> list[Level]:
    """Per budget the best centralized validation score; matched also after as many examples."""
    by_budget: dict[tuple[str, str], list[BoardRun]] = {}
    for run in references:
        entry = f", entry {run.identity[DISPUTED]}" if is_disputed(run) else ""
        by_budget.setdefault((run.result.budget or "", entry), []).append(run)
    levels = []
    for (budget, entry), runs in sorted(by_budget.items()):
        key = runs[0].result.primary_metric
        best = fmean(run.result.selected.validation[key] for run in runs)
        name = f"centralized ({budget}{entry}), best on validation: {best:.3f}"
        levels.append(Level(name, "central", [best]))
        if budget == "matched":
            curves = [dict(run.validation_curve()) for run in runs]
            rounds = sorted(set.intersection(*(set(curve) for curve in curves)))
            name = "centralized, after as many examples"
            y = [fmean(curve[n] for curve in curves) for n in rounds]
            levels.append(Level(name, "after", y, rounds))
    levels.append(Level(f"floor on validation: {floor:.3f}", "floor", [floor]))
    return levels


def _floor(run: BoardRun) -> float:
    return run.result.floor["validation"][run.result.primary_metric]


def run_charts(run: BoardRun, references: Sequence[BoardRun]) -> list[Chart]:
    """Of one run: validation with its reference's best, and the training loss."""
    metric, curves = shown(run.result.primary_metric, 40), run.curves
    charts = [
        Chart(
            f"{metric} on validation by round",
            "round",
            metric,
            [Series("run", "this run", 0, curves.validated, curves.validation)],
            _levels(references, _floor(run)),
            whole=True,
        )
    ]
    loss = [(n, value) for n, value in enumerate(curves.loss, start=1) if math.isfinite(value)]
    if loss:
        rounds, values = zip(*loss, strict=True)
        charts.append(
            Chart(
                "Training loss by round",
                "round",
                "loss",
                [Series("loss", "training loss", 1, rounds, values)],
                whole=True,
            )
        )
    return charts
