"""A table where the terminal is wide enough, else a paragraph per row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from fednlp.shown import shown

NARROW = 90  # characters


def wide_or_narrow(
    columns: Sequence[str], rows: Iterable[Sequence[str]], width: int
) -> list[RenderableType]:
    """Rows of texts under `columns`, the first of which names a row; width: of the terminal."""
    rows = [[shown(cell) for cell in row] for row in rows]
    if width < NARROW:
        parts: list[RenderableType] = []
        for name, *values in rows:
            lines = [f" {n}: {v}" for n, v in zip(columns[1:], values, strict=True)]
            parts.append(Text("\n".join([f"\n{name}", *lines])))
        return [*parts, Text("")]  # as below a table, whatever comes next
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    return [table]
