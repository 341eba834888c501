"""How far the label mixes of any two clients are apart: a heat map in clustered order."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..pairwise import pairwise_distances
from ..partition import Partition
from .heat_map import heat_map, mark_clients, name_clients, named, write_cells
from .style import drawing, heading, paths, sampled

ROOM = 5.6  # inches for the clients


def plot_distances(partition: Partition, target: Path) -> tuple[Path, Path]:
    """Client by client Jensen-Shannon distance, similar clients side by side.

    Writes `target`.png and .svg and returns their paths. Of more than 1,000 clients a seeded sample
    is shown. Raises PartitionError if there is no label histogram or a picture exists.
    """
    pairs = pairwise_distances(partition)
    count = len(pairs.clients)
    title = heading(partition, *sampled(count, pairs.of))
    with drawing(target, 7.6, 7, title) as figure:
        axes = figure.subplots()
        image = heat_map(axes, pairs.distances, square=True)
        name_clients(axes.xaxis, pairs.clients, ROOM)
        name_clients(axes.yaxis, pairs.clients, ROOM)
        held_out = np.isin(pairs.clients, partition.held_out)
        told = mark_clients(axes.xaxis, held_out)
        mark_clients(axes.yaxis, held_out)
        axes.set_xlabel(f"client, in clustered order{named(count, ROOM)}{told}")
        axes.set_ylabel("client")
        if count <= 10:
            write_cells(image, pairs.distances, "{:.2f}".format)
        bar = figure.colorbar(image, ax=axes, pad=0.02, shrink=0.7, aspect=25)
        bar.set_label("Jensen-Shannon distance of label mixes")
    return paths(target)
