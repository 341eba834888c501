"""How many examples the clients hold: sizes, and the Lorenz curve with its Gini coefficient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..partition import Partition
from ..skew import gini
from .style import COLOURS, drawing, heading, paths, plain_logarithmic

HELD_OUT = COLOURS[4]
ABOVE = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 4, "frameon": False}
FEW = 30  # clients; up to that many each has a bar of its own


def plot_sizes(partition: Partition, target: Path, split: str = "train") -> tuple[Path, Path]:
    """Left: a bar per client, or above 30 clients a histogram. Right: the Lorenz curve.

    Writes `target`.png and .svg and returns their paths. Raises PartitionError if a picture exists.
    """
    sizes = partition.splits[split].sizes()
    held_out = np.isin(np.arange(len(sizes)), partition.held_out)
    with drawing(target, 11, 4, heading(partition, f"{split} examples")) as figure:
        left, right = figure.subplots(1, 2, width_ratios=[3, 2])
        if len(sizes) <= FEW:
            _bars(left, sizes, held_out, split)
        else:
            _histogram(left, sizes, held_out, split)
        _lorenz(right, sizes, split)
        left.yaxis.set_major_formatter("{x:,.0f}")
        left.yaxis.get_major_locator().set_params(integer=True)
        for axes in (left, right):
            axes.grid(alpha=0.25)
            axes.set_axisbelow(True)
    return paths(target)


def _bars(axes: Any, sizes: np.ndarray, held_out: np.ndarray, split: str) -> None:
    colours = np.where(held_out, HELD_OUT, COLOURS[0])
    bars = axes.bar(np.arange(len(sizes)), sizes, color=colours)
    if held_out.any():
        first = int(np.argmax(held_out))
        axes.legend([bars[first]], [f"held out: {held_out.sum()}"], **ABOVE)
    axes.set_xticks(range(len(sizes)))
    if len(sizes) <= 12:
        axes.bar_label(bars, [f"{size:,}" for size in sizes], fontsize=9)
    axes.set_xlabel("client")
    axes.set_ylabel(f"{split} examples")
    axes.grid(axis="x", visible=False)


def _histogram(axes: Any, sizes: np.ndarray, held_out: np.ndarray, split: str) -> None:
    low, high = int(sizes.min()), int(sizes.max())
    # bins begin between whole numbers: none is empty by rounding alone
    if 0 < 50 * low < high:
        bins: np.ndarray = np.unique(np.ceil(np.geomspace(low, high + 1, 41))) - 0.5
        axes.set_xscale("log")
        plain_logarithmic(axes.xaxis)
    else:
        width = max(1, -(-(high - low + 1) // 40))
        bins = np.arange(low, high + width + 1, width) - 0.5
        axes.xaxis.get_major_locator().set_params(integer=True)
    look = {"edgecolor": "white", "linewidth": 0.4}
    if held_out.any():
        parts, names = (
            [sizes[~held_out], sizes[held_out]],
            ["trained on", f"held out: {held_out.sum():,}"],
        )
        axes.hist(parts, bins, color=[COLOURS[0], HELD_OUT], stacked=True, label=names, **look)
    else:
        axes.hist(sizes, bins, color=COLOURS[0], **look)
    mean, median = sizes.mean(), np.median(sizes)
    axes.axvline(mean, color="black", linewidth=1.2, label=f"mean {mean:,.1f}")
    axes.axvline(median, color="black", linewidth=1, linestyle=":", label=f"median {median:,.1f}")
    if low == high:
        axes.set_xlim(low - max(5, low / 10), low + max(5, low / 10))
    axes.set_xlabel(f"{split} examples of a client, {low:,} to {high:,}")
    axes.set_ylabel("clients")
    axes.legend(**ABOVE)


def _lorenz(axes: Any, sizes: np.ndarray, split: str) -> None:
    total = max(int(sizes.sum()), 1)
    held = np.concatenate([[0], np.cumsum(np.sort(sizes))]) / total
    clients = np.linspace(0, 1, len(held))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--", label="all equal")
    axes.plot(clients, held, color=COLOURS[1], label=f"Gini coefficient {gini(sizes):.3f}")
    axes.fill_between(clients, held, clients, color=COLOURS[1], alpha=0.15, linewidth=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.set_xlabel("share of clients, smallest first")
    axes.set_ylabel(f"share of {split} examples")
    axes.legend(loc="upper left", frameon=False)
