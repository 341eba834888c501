"""The skew that partitioners achieve on a data set, against alpha: measured, written, drawn."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from fednlp.partitions import folder
from partitioners.plots import plot_sweep

Points = dict[str, list[tuple[float, dict[str, Any]]]]  # partitioner -> (alpha, achieved)

COLUMNS = ("js_distance", "total_variation", "missing_labels", "effective_alpha")


def measured_sweep(
    dataset: str,
    partitioners: Sequence[str],
    clients: int,
    alphas: Sequence[float],
    seeds: Sequence[int],
    overrides: list[str],
    console: Console,
) -> Points:
    """A partition for each partitioner, alpha and seed of the split; `console` shows progress.

    Raises:
        UserError: what a run with one of these partitions would be refused for, before any is made.
    """
    for name in partitioners:
        folder.require_alpha(name, "--partitioners")
    requests = [
        (name, alpha, folder.request(
            dataset,
            {"name": name, "clients": clients, "alpha": alpha, "seed": seed},
            overrides,
            {"name": "--partitioners", "alpha": "--alphas", "seed": "--seeds"},
        ))
        for name in partitioners for alpha in alphas for seed in seeds
    ]  # fmt: skip
    points: Points = {name: [] for name in partitioners}
    for number, (name, alpha, config) in enumerate(requests, 1):
        achieved = folder.make(config).provenance["achieved"]
        points[name].append((alpha, achieved))
        console.print(
            f"[{number}/{len(requests)}] {name}, alpha {alpha:g}: "
            f"js distance {achieved['js_distance']:.3f}",
            markup=False,
            highlight=False,
        )
    return points


def write_sweep(points: Mapping[str, Any], dataset: str, clients: int, out: Path) -> None:
    """sweep.csv, sweep.png and sweep.svg in a new folder."""

    def fill(place: Path) -> None:
        with open(place / "sweep.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("partitioner", "alpha", "size_min", "size_max", "gini", *COLUMNS))
            for name, measured in points.items():
                for alpha, told in measured:
                    sizes = (told["sizes"][key] for key in ("min", "max", "gini"))
                    writer.writerow((name, alpha, *sizes, *(told[key] for key in COLUMNS)))
        plot_sweep(points, f"{dataset}, {clients} clients", place / "sweep")

    folder.whole(out, fill)
