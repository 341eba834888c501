"""What the heat maps share: shades, client numbers that fit, texts in the cells of small ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .style import COLOURS

TICK = 0.2  # inches that a client's number takes
PIXELS = 1_000  # about as many as the longest axis has


def heat_map(axes: Any, values: np.ndarray, faint: bool = False, square: bool = False) -> Any:
    """The image of [R, C] values in [0, 1], white to almost black; `faint` lifts small ones."""
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    colours = ["#ffffff", "#56B4E9", "#0072B2", "#00182b"]  # the palette's blues
    shades = LinearSegmentedColormap.from_list("shades", colours)
    norm = PowerNorm(0.5 if faint else 1, 0, 1)
    rows, columns = values.shape
    # an axis with more cells than pixels is smoothed, both ways: fine cells keep that to their edge
    fine = np.repeat(values, max(1, PIXELS // rows), axis=0)
    fine = np.repeat(fine, max(1, PIXELS // columns), axis=1)
    extent = (-0.5, columns - 0.5, rows - 0.5, -0.5)
    aspect = "equal" if square else "auto"
    axes.spines[:].set(visible=True, linewidth=0.6)
    return axes.imshow(fine, cmap=shades, norm=norm, extent=extent, aspect=aspect)


def share_bar(image: Any, name: str, height: float) -> None:
    """The legend of a `faint` heat map of shares on a figure `height` inches high."""
    from matplotlib.ticker import PercentFormatter

    ticks = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1]
    bar = image.figure.colorbar(
        image, ax=image.axes, pad=0.015, ticks=ticks, shrink=min(1, 4.5 / height), aspect=25
    )
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    bar.set_label(name)


def name_clients(axis: Any, numbers: np.ndarray, room: float) -> None:
    """Ticks at client numbers, as many as fit on an axis `room` inches long."""
    step = _step(len(numbers), room)
    names = [str(number) for number in numbers[::step].tolist()]
    axis.set_ticks(range(0, len(numbers), step), names)
    letters = sum(len(name) + 2 for name in names) * 0.09
    if axis.axis_name == "x" and letters > room:
        axis.set_tick_params(rotation=90)
    axis.set_tick_params(length=2 if step > 1 else 0, labelsize=9)


def mark_clients(axis: Any, held_out: np.ndarray) -> str:
    """Triangles at [C] held-out clients of an axis, beyond it; what its title says of them."""
    places = np.flatnonzero(held_out)
    if not len(places):
        return ""
    beyond, across = np.full(len(places), 1.0), axis.axis_name == "x"
    transform = axis.axes.get_xaxis_transform() if across else axis.axes.get_yaxis_transform()
    axis.axes.plot(
        *((places, beyond + 0.012) if across else (beyond + 0.012, places)),
        linestyle="none",
        marker="v" if across else "<",
        markersize=max(3.0, min(6.0, 600 / len(held_out))),
        color=COLOURS[1],
        transform=transform,
        clip_on=False,
        markeredgewidth=0,
    )
    return f"; {len(places):,} held out: triangles"


def named(count: int, room: float) -> str:
    """What an axis title says where `name_clients` leaves numbers out."""
    step = _step(count, room)
    return "" if step == 1 else f"; every {'second' if step == 2 else f'{step}th'} is named"


def _step(count: int, room: float) -> int:
    most = max(int(room / TICK), 2)
    return next(step for step in _steps() if count <= step * most)


def _steps() -> Iterator[int]:
    scale = 1
    while True:
        yield from (scale, 2 * scale, 5 * scale)
        scale *= 10


def write_cells(image: Any, values: np.ndarray, text: Callable[[float], str]) -> None:
    """`text` of each of [R, C] values in its cell of a small heat map."""
    dark = image.norm(values) > 0.6
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if dark[row, column] else "black"
        style = {"ha": "center", "va": "center", "fontsize": 9, "color": colour}
        image.axes.text(column, row, text(float(value)), **style)


def percent(share: float) -> str:
    """Nothing for 0, `<1%` for less than half a per cent."""
    if share == 0:
        return ""
    return "<1%" if share < 0.005 else f"{share:.0%}"
