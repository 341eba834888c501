"""The leaderboard as files for other programs: CSV, JSON, LaTeX, Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from fednlp.leaderboard.board import Benchmark, Line
from fednlp.leaderboard.numbers import quantity, rank_text, signed
from fednlp.results.escaping import csv_table, latex, markdown, plain_row, shown
from fednlp.results.floor import FLOOR_NOTE, marked
from fednlp.results.tables import human_bytes, human_seconds
from fednlp.statistics import Comparison

_HEAD = ("rank", "method", "seeds", "gap", "95 % interval", "federated", "sent", "device time")


def rows(benchmarks: Sequence[Benchmark]) -> list[dict[str, Any]]:
    """One flat mapping per line of the leaderboard; columns as docs/leaderboard.md names them."""
    return [_row(benchmark, line) for benchmark in benchmarks for line in benchmark.lines]


def _row(benchmark: Benchmark, line: Line) -> dict[str, Any]:
    numbers = line.gap_summary
    row: dict[str, Any] = {
        "benchmark": benchmark.name,
        "benchmark_key": benchmark.key,
        "line_key": line.key,
        "rank_best": line.rank.best if line.rank else None,
        "rank_worst": line.rank.worst if line.rank else None,
        **line.gap.as_row(),
        "gap_std": numbers.std,
    }
    for name in ("t_interval", "bootstrap_interval"):
        low, high = getattr(numbers, name) or (None, None)
        row[f"gap_{name}_low"], row[f"gap_{name}_high"] = low, high
    row["test_stderr"] = line.test_stderr
    row["reference_in_conflict"] = line.disputed
    row["sources"] = "; ".join(line.sources)
    row["runs"] = " ".join(run.result.id for run in line.runs)
    row["references"] = " ".join(run.result.id for run in line.references)
    return plain_row(row)


def as_csv(benchmarks: Sequence[Benchmark]) -> str:
    """Texts that a spreadsheet would take for formulas have an apostrophe in front."""
    return csv_table(rows(benchmarks))


def as_json(benchmarks: Sequence[Benchmark]) -> str:
    """The rows of the CSV, each with its gap by seed, and the comparisons in pairs."""
    entries = rows(benchmarks)
    lines = [line for benchmark in benchmarks for line in benchmark.lines]
    for row, line in zip(entries, lines, strict=True):
        row["gap_by_seed"] = {str(seed): gap for seed, gap in line.gap_by_seed.items()}
    pairs = [
        plain_row(
            {
                "benchmark_key": benchmark.key,
                "first": pair.first,
                "second": pair.second,
                "seeds": list(pair.seeds),
                "difference": pair.difference.mean if pair.difference else None,
                "interval": pair.difference.t_interval if pair.difference else None,
                "t_p": pair.t_p,
                "wilcoxon_p": pair.wilcoxon_p,
                "better": pair.better,
                "seeds_needed": pair.needed.seeds if pair.needed else None,
                "seeds_needed_low": pair.needed.low if pair.needed else None,
                "seeds_needed_high": pair.needed.high if pair.needed else None,
                **_over_examples(benchmark, pair),
            }
        )
        for benchmark in benchmarks
        for pair in benchmark.comparisons
    ]
    whole = {"lines": entries, "comparisons": pairs}
    return json.dumps(whole, indent=1, allow_nan=False, ensure_ascii=True) + "\n"


def _over_examples(benchmark: Benchmark, pair: Comparison) -> dict[str, Any]:
    """The paired bootstrap over test examples; where there is none the note says why."""
    over, names = benchmark.over_examples, (pair.first, pair.second)
    found = over.differences.get(names)
    return {
        "examples": found.examples if found else None,
        "examples_difference": found.difference if found else None,
        "examples_stderr": found.stderr if found else None,
        "examples_interval": found.interval if found else None,
        "examples_p": found.p if found else None,
        "examples_note": over.left_out or over.reasons.get(names, ""),
    }


def as_latex(benchmarks: Sequence[Benchmark]) -> str:
    """A `booktabs` table per benchmark."""
    parts = ["% needs \\usepackage{booktabs}"]
    for benchmark in benchmarks:
        body = [" & ".join(map(latex, cells(line))) + r" \\" for line in benchmark.lines]
        parts += [
            r"\begin{table}\centering\small",
            rf"\caption{{{_caption(benchmark)}}}",
            r"\begin{tabular}{rlrrrrrr}",
            r"\toprule",
            " & ".join(map(latex, _HEAD)) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    return "\n".join(parts) + "\n"


def as_markdown(benchmarks: Sequence[Benchmark]) -> str:
    """A heading and a table per benchmark."""
    parts = []
    for benchmark in benchmarks:
        parts += [f"## {markdown(benchmark.name)}", "", markdown(reference_text(benchmark)), ""]
        parts += ["| " + " | ".join(_HEAD) + " |", "|" + " --- |" * len(_HEAD)]
        parts += ["| " + " | ".join(map(markdown, cells(n))) + " |" for n in benchmark.lines]
        parts += ["", *([FLOOR_NOTE, ""] if _any_below(benchmark) else [])]
    return "\n".join(parts)


def _caption(benchmark: Benchmark) -> str:
    below = f" {latex(FLOOR_NOTE)}" if _any_below(benchmark) else ""
    return f"{latex(benchmark.name)}. {latex(reference_text(benchmark))}.{below}"


def _any_below(benchmark: Benchmark) -> bool:
    return any(line.gap.below_floor for line in benchmark.lines)


def cells(line: Line) -> list[str]:
    """One line as texts, as the tables of the downloads and the terminal show it."""
    gap, interval = line.gap, line.gap_summary.t_interval
    return [
        rank_text(line.rank),
        line.method,
        str(len(gap.seeds)),
        signed(gap.gap.mean),
        f"[{signed(interval[0])}, {signed(interval[1])}]" if interval else "none",
        marked(quantity(gap.federated), gap.below_floor),
        human_bytes(gap.bytes),
        human_seconds(gap.device_seconds),
    ]


def reference_text(benchmark: Benchmark) -> str:
    """The metric, the centralized scores by budget, and the floor."""
    budgets: dict[str, list[float]] = {}
    for line in benchmark.settled:
        budgets.setdefault(line.gap.budget, []).append(line.gap.centralized)
    central = ", ".join(
        f"centralized {_range(values)} ({budget})" for budget, values in sorted(budgets.items())
    )
    return f"{shown(benchmark.first.metric)}: {central}; floor {quantity(benchmark.first.floor)}"


def _range(values: Sequence[float]) -> str:
    low, high = quantity(min(values)), quantity(max(values))
    return low if low == high else f"{low} to {high}"


FORMS: dict[str, Callable[[Sequence[Benchmark]], str]] = {
    "csv": as_csv,
    "json": as_json,
    "tex": as_latex,
    "md": as_markdown,
}
