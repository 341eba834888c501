"""One look for all pictures, and their way to the disk.

No pyplot: its figures and its backend belong to the caller's program.
"""

from __future__ import annotations

import io
import os
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import PartitionError
from ..files import write_bytes
from ..libraries import require_libraries
from ..partition import Partition
from ..short_names import printable
from ..tables import method

# Okabe and Ito's palette: distinguishable without colour vision; markers say the same again
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", ":", "-.", (0, (6, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1, 1, 1)))
DPI = 130
_RC = {
    "text.parse_math": False,  # names may hold a dollar sign
    "svg.hashsalt": "partitioners",  # the same picture is the same bytes
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.titlesize": 11,
    "axes.titlesize": 10,
}


@contextmanager
def drawing(target: Path, width: float, height: float, title: str) -> Iterator[Any]:
    """A figure of `width` x `height` inches, written to `target`.png and .svg at the end.

    Raises:
        PartitionError: one of the two exists, or cannot be written.
    """
    files = paths(target)
    for path in files:
        if os.path.lexists(path):
            raise PartitionError(str(path), "exists", fix="choose another name, or delete it")
    require_libraries("plots", "matplotlib")
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(["default", _RC]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a label in a script the font does not have
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.suptitle(_wrapped(title, width))
        yield figure
        pictures = [io.BytesIO() for _ in files]
        figure.savefig(pictures[0], format="png", dpi=DPI)
        figure.set_layout_engine("none")  # it is laid out, for both alike
        figure.savefig(pictures[1], format="svg", dpi=DPI, metadata={"Date": None})
    write_bytes(files[0], pictures[0].getbuffer())
    try:
        write_bytes(files[1], pictures[1].getbuffer())
    except PartitionError:
        files[0].unlink()  # both or none
        raise


def paths(target: Path) -> tuple[Path, Path]:
    """Where the PNG and the SVG of a picture go."""
    return target.with_name(f"{target.name}.png"), target.with_name(f"{target.name}.svg")


def heading(partition: Partition, *more: str) -> str:
    """Data set, partitioner, parameters, clients and seed, as far as they are known."""
    known = partition.provenance
    parts = [printable(str(known["dataset"]), 50)] if known.get("dataset") else []
    parts += [
        printable(method(partition), 100),
        f"{partition.clients:,} client{'s' if partition.clients > 1 else ''}",
    ]
    parts += [f"seed {known['seed']}"] if known.get("seed") is not None else []
    return "; ".join([*parts, *more])


def sampled(shown: int, of: int) -> list[str]:
    """What a heading adds where only a sample of the clients is drawn."""
    return [f"{shown:,} of them shown"] if shown < of else []


def _wrapped(title: str, width: float) -> str:
    letters = int(width * 11)
    lines = [printable(line, 2 * letters) for line in title.split("\n")]
    return "\n".join(textwrap.fill(line, letters) for line in lines)


def plain_logarithmic(axis: Any) -> None:
    """Decades as plain numbers on a logarithmic axis: powers of ten would need mathtext."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())
