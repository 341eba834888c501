"""How two partitions overlap, client by client, and how far matched clients are apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..comparison import Comparison
from ..overlap import overlap
from ..partition import Partition
from .heat_map import heat_map, name_clients, named, percent, share_bar, write_cells
from .style import COLOURS, drawing, heading, paths

BLOCKS = 150  # rows and columns of the heat map; more clients are summed up in groups
ROOM = 4.8  # inches for the clients
HEIGHT = 5.6  # inches


def plot_overlap(
    a: Partition, b: Partition, comparison: Comparison, target: Path
) -> tuple[Path, Path]:
    """Left: share of each client of `a` that each client of `b` holds, partners on the diagonal.
    Right: of matched clients, the rows that the partner lacks and the distance of label mixes.

    comparison: `compare(a, b)`. Above 150 clients, neighbours are drawn as one.
    Writes `target`.png and .svg and returns their paths. Raises PartitionError if a picture exists.
    """
    matching = comparison.matching
    rows, columns = _partners_first(matching.a, a.clients), _partners_first(matching.b, b.clients)
    slim = max(len(rows), len(columns)) > 3 * min(len(rows), len(columns))
    groups = [-(-len(numbers) // BLOCKS) for numbers in (rows, columns)]
    if not slim:  # partners stay on the diagonal
        groups = [max(groups)] * 2
    shares = _grouped(overlap(a, b), rows, columns, *groups)
    with drawing(target, 11.5, HEIGHT, f"A: {heading(a)}\nB: {heading(b)}") as figure:
        figure.get_layout_engine().set(wspace=0.08)  # the bar's label and that of the right axis
        left, right = figure.subplots(1, 2, width_ratios=[3, 2])
        image = heat_map(left, shares, faint=True, square=not slim)
        for axis, numbers, group, name in (
            (left.yaxis, rows, groups[0], "client of A"),
            (left.xaxis, columns, groups[1], "client of B, matched order"),
        ):
            told = f"; {group} in a cell" if group > 1 else named(len(numbers), ROOM)
            name_clients(axis, numbers[::group], ROOM)
            axis.set_label_text(name + told)
        if max(shares.shape) <= 10:
            write_cells(image, shares, percent)
        share_bar(image, "share of the common rows of A's client", HEIGHT)
        _distances(right, a, comparison)
    return paths(target)


def _partners_first(matched: tuple[int, ...], clients: int) -> np.ndarray:
    """[clients] int64: the matched in the order of their pairs, then the others."""
    first = np.array(matched, dtype=np.int64)
    return np.concatenate([first, np.setdiff1d(np.arange(clients), first)])


def _grouped(
    shared: Any, rows: np.ndarray, columns: np.ndarray, tall: int, wide: int
) -> np.ndarray:
    """[R, C] float64: `tall` clients of A a row, `wide` of B a column, shares of a row."""
    cells = shared.tocoo()
    row, column = np.argsort(rows)[cells.row] // tall, np.argsort(columns)[cells.col] // wide
    height, width = -(-len(rows) // tall), -(-len(columns) // wide)
    counts = np.bincount(row * width + column, cells.data, height * width).reshape(height, width)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _distances(axes: Any, a: Partition, comparison: Comparison) -> None:
    """Cumulative shares of the matched clients over how far they are apart."""
    matching = comparison.matching
    sizes = a.splits["train"].sizes()[list(matching.a)]
    measures = [("rows of A's client that its partner lacks", 1 - np.array(matching.rows) / sizes)]
    if matching.distances is not None:
        measures.append(("JS distance of label mixes", np.array(matching.distances)))
    for number, (name, values) in enumerate(measures):
        places = np.arange(len(values) + 1) / len(values)
        axes.step(
            np.concatenate([[0], np.sort(values), [1]]),
            np.append(places, 1),
            where="post",
            color=COLOURS[number],
            linestyle=("-", "--")[number],  # both are seen where they are the same
            label=f"{name}, mean {values.mean():.3f}",
        )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.grid(alpha=0.25)
    axes.set_xlabel("distance of matched clients")
    axes.set_ylabel("share of matched clients at most that far")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
