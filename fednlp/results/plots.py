"""Plots from run folders: learning curves against the centralized line, metric against bytes."""

from __future__ import annotations

import hashlib
import io
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from statistics import mean
from typing import Any

from fednlp.errors import UserError
from fednlp.results import files
from fednlp.results.escaping import shown
from fednlp.results.gap import Gap
from fednlp.results.reading import FinishedRun

# Okabe and Ito's palette: distinguishable without colour vision; markers say the same again
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")

TITLE = 120  # characters that a line of the title has room for
LABEL = 50  # characters that a line of the legend has room for
LONGEST = 360  # characters of the name of a benchmark


def plot_gaps(table: list[Gap], target: Path) -> list[Path]:
    """One figure per benchmark of a gap table, as PNG and SVG; returns the PNG paths.

    Raises:
        UserError: the directory `target` cannot be made, or is a link to another one.
    """
    files.refuse_link(target, "a directory for plots")
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["text.parse_math"] = False  # names may hold a dollar sign
    figures: dict[str, list[Gap]] = {}
    for gap in table:
        figures.setdefault(gap.benchmark, []).append(gap)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found = f"cannot be made ({error.strerror})"
        raise UserError(str(target), found, "a directory for plots", "move what is there") from None
    return [_figure(name, members, target) for name, members in figures.items()]


def _figure(name: str, members: list[Gap], target: Path) -> Path:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
    for number, gap in enumerate(members):
        runs = [run for run, _ in gap.pairs]
        style: dict[str, Any] = {
            "color": _COLOURS[number % len(_COLOURS)],
            "marker": _MARKERS[number % len(_MARKERS)],
            "markersize": 4,
            "markevery": 0.1,
        }
        rounds, middle, low, high = _band(runs)
        label = textwrap.fill(shown(gap.method), LABEL)
        left.plot(rounds, middle, label=label, **style)
        left.fill_between(rounds, low, high, color=style["color"], alpha=0.15, linewidth=0)
        sent = [mean(run.cumulative_bytes()[n - 1] for run in runs) / 1e6 for n in rounds]
        right.plot(sent, middle, label=label, **style)
    first = members[0].pairs[0][0].result
    central = {run.result.id: run for gap in members for _, run in gap.pairs}
    floor = first.floor["validation"][first.primary_metric]
    _reference_lines(left, right, central.values(), floor)
    left.set_xlabel("round")
    left.xaxis.get_major_locator().set_params(integer=True)
    right.set_xlabel("megabytes sent, up and down")
    left.set_ylabel(f"{shown(first.primary_metric, 40)} on validation")
    for axis in (left, right):
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    seeds = len({seed for gap in members for seed in gap.seeds})
    title = f"{shown(name, LONGEST)}; {seeds} {'seed' if seeds == 1 else 'seeds'}"
    figure.suptitle(textwrap.fill(title, TITLE), fontsize=11)
    right.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    path = target / f"{_slug(name)}.png"
    for file, options in ((path, {"dpi": 130}), (path.with_suffix(".svg"), {})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=file.suffix.removeprefix("."), **options)
        files.write_bytes(file, buffer.getvalue())
    plt.close(figure)
    return path


def _band(runs: list[FinishedRun]) -> tuple[list[int], list[float], list[float], list[float]]:
    """Mean, lowest and highest over the seeds at the rounds that all of them evaluated."""
    curves = [dict(run.validation_curve()) for run in runs]
    rounds = sorted(set.intersection(*(set(curve) for curve in curves)))
    values = [[curve[n] for curve in curves] for n in rounds]
    return rounds, [mean(v) for v in values], [min(v) for v in values], [max(v) for v in values]


def _reference_lines(left: Any, right: Any, central: Iterable[FinishedRun], floor: float) -> None:
    by_budget: dict[str, list[FinishedRun]] = {}
    for run in central:
        by_budget.setdefault(run.result.budget or "", []).append(run)
    for budget, runs in sorted(by_budget.items()):
        key = runs[0].result.primary_metric
        best = mean(run.result.selected.validation[key] for run in runs)
        for axis in (left, right):
            axis.axhline(best, color="black", linewidth=1.2, label=f"centralized ({budget}), best")
        if budget == "matched":
            rounds, middle, _, _ = _band(runs)
            style = {"color": "black", "linewidth": 1, "linestyle": ":"}
            left.plot(rounds, middle, **style)
            right.plot([], [], label="centralized, after as many examples", **style)
    for axis in (left, right):
        axis.axhline(floor, color="grey", linewidth=1, linestyle="--", label="floor")


def _slug(text: str) -> str:
    """A file name; the end of a long one is a hash of it all."""
    slug = re.sub(r"[^A-Za-z0-9.=]+", "-", text).strip("-.=")  # no hidden file, no formula
    return (
        slug
        if len(slug) <= 180
        else f"{slug[:171]}-{hashlib.sha256(slug.encode()).hexdigest()[:8]}"
    )
