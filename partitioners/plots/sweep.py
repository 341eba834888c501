"""What each alpha achieved: skew against alpha, one line per partitioner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import PartitionError
from ..short_names import printable
from .style import COLOURS, DASHES, MARKERS, drawing, paths, plain_logarithmic

_PANELS = (
    ("js_distance", "mean pairwise JS distance"),
    ("total_variation", "mean total variation to all"),
    ("missing_labels", "share of missing labels"),
    ("gini", "Gini coefficient of sizes"),
)


def plot_sweep(
    sweeps: Mapping[str, Sequence[tuple[float, Mapping[str, Any]]]], title: str, target: Path
) -> tuple[Path, Path]:
    """A line per partitioner through (alpha, `achieved` of its provenance), in four panels.

    One alpha may come several times, with several seeds: the line is their mean, the band reaches
    from the lowest to the highest. Writes `target`.png and .svg and returns their paths.
    Raises PartitionError if there is nothing to draw, a measure is missing or a picture exists.
    """
    if not sweeps or not all(sweeps.values()):
        raise PartitionError("sweep", "nothing was measured", "at least one alpha per partitioner")
    with drawing(target, 11, 7, title) as figure:
        panels = figure.subplots(2, 2, sharex=True, sharey=True).ravel()
        for axes, (key, name) in zip(panels, _PANELS, strict=True):
            for number, (partitioner, points) in enumerate(sweeps.items()):
                _line(axes, number, printable(partitioner, 40), _by_alpha(points, key))
            axes.set_title(name)
            axes.set_xscale("log")
            plain_logarithmic(axes.xaxis)
            axes.set_ylim(-0.03, 1.03)
            axes.grid(alpha=0.25)
        for axes in panels[2:]:
            axes.set_xlabel("alpha")
        handles, names = panels[0].get_legend_handles_labels()
        columns = min(len(names), 4)
        figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False)
    return paths(target)


def _by_alpha(points: Sequence[tuple[float, Mapping[str, Any]]], key: str) -> dict[float, list]:
    values: dict[float, list] = {}
    for alpha, achieved in points:
        measured = achieved.get("sizes", {}) if key == "gini" else achieved
        if key not in measured:
            raise PartitionError("sweep", f"no {key} at alpha {alpha:g}", "what was achieved")
        values.setdefault(alpha, []).append(measured[key])
    return dict(sorted(values.items()))


def _line(axes: Any, number: int, name: str, values: Mapping[float, list]) -> None:
    alphas = list(values)
    middle = [sum(found) / len(found) for found in values.values()]
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    size = max(9 - 2 * number, 4)  # where lines lie on one another, each is still seen
    style = {"color": colour, "linestyle": DASHES[number % len(DASHES)], "marker": marker}
    axes.plot(alphas, middle, **style, markersize=size, markerfacecolor="none", label=name)
    low, high = [min(v) for v in values.values()], [max(v) for v in values.values()]
    axes.fill_between(alphas, low, high, color=colour, alpha=0.15, linewidth=0)
