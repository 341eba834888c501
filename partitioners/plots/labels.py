"""Which labels each client holds: a heat map of shares, similar clients side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..label_mixes import label_mixes
from ..pairwise import pairwise_distances, require_histogram
from ..partition import Partition
from ..short_names import distinct
from .heat_map import heat_map, mark_clients, name_clients, named, percent, share_bar, write_cells
from .style import drawing, heading, paths, sampled

MOST = 40  # rows; of more labels the largest are shown and the others summed up
ROOM = 9.0  # inches for the clients


def plot_labels(partition: Partition, target: Path) -> tuple[Path, Path]:
    """Rows: labels, largest first, with their share of all; columns: clients in clustered order.

    Writes `target`.png and .svg and returns their paths. Of more than 1,000 clients a seeded sample
    is shown. Raises PartitionError if there is no label histogram or a picture exists.
    """
    order = pairwise_distances(partition)
    names, pooled, shares = label_table(partition, order.clients)
    rows, columns = shares.shape
    height = 1.7 + 0.24 * max(rows, 5)
    title = heading(partition, *sampled(columns, order.of))
    with drawing(target, 11, height, title) as figure:
        axes = figure.subplots()
        image = heat_map(axes, shares, faint=True)
        told = [f"{name}  {share:.1%}" for name, share in zip(names, pooled, strict=True)]
        axes.set_yticks(range(rows), told, fontsize=9)
        axes.tick_params(axis="y", length=0)
        name_clients(axes.xaxis, order.clients, ROOM)
        marks = mark_clients(axes.xaxis, np.isin(order.clients, partition.held_out))
        axes.set_xlabel(f"client, in clustered order{named(columns, ROOM)}{marks}")
        axes.set_ylabel("label and its share of all")
        if columns <= 12 and rows <= 20:
            write_cells(image, shares, percent)
        share_bar(image, "share of the client's examples", height)
    return paths(target)


def label_table(
    partition: Partition, clients: np.ndarray
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of the rows, their [rows] share of all examples and [rows, clients] of each client's.

    clients: [k] int64, each with examples. At most `MOST` rows: the others are the last.
    """
    histogram = require_histogram(partition)
    values, columns = np.unique(histogram.labels, return_inverse=True)
    totals = np.bincount(columns, histogram.counts, len(values))
    pooled = totals / totals.sum()
    mixes, filled = label_mixes(histogram)
    chosen = mixes[np.searchsorted(filled, clients)].tocsc()
    order = np.argsort(-totals, kind="stable")
    cut = len(order) if len(order) <= MOST else MOST - 1
    kept, others = order[:cut], order[cut:]
    names = distinct([histogram.name(label) for label in values[kept].tolist()])
    names = [name or "(blank)" for name in names]
    shares = chosen[:, kept].toarray().T
    if not len(others):
        return names, pooled[kept], shares
    rest = np.asarray(chosen[:, others].sum(axis=1)).ravel()
    return (
        [*names, f"{len(others):,} others"],
        np.append(pooled[kept], pooled[others].sum()),
        np.vstack([shares, rest]),
    )
