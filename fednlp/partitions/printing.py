"""What the `partition` commands print, and the lists of numbers that they are given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from fednlp.errors import UserError
from partitioners.short_names import distinct, printable

WHO = 40  # characters for what the data call a client


def pair_table(rows: Iterable[tuple[str, str]]) -> Table:
    """Two columns: what, and its value."""
    table = Table(box=SIMPLE_HEAD, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(escape(name), escape(value))
    return table


def client_table(rows: Iterable[Mapping[str, Any]], called: Sequence[str] | None = None) -> Table:
    """One line per client of `partitioners.tables.client_rows`.

    called: what the data call each of them, if it is told.
    """
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name, _ in row["top"] or ()))
    short = dict(zip(names, distinct(names), strict=True))
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("client", "train", "test", "labels"):
        table.add_column(name, justify="right")
    if called is not None:
        table.add_column("who")
    table.add_column("largest labels")
    for place, row in enumerate(rows):
        top = ", ".join(f"{short[name]} {count:,}" for name, count in row["top"] or ())
        held = (row["sizes"].get(split) for split in ("train", "test"))
        sizes = ["-" if size is None else f"{size:,}" for size in held]
        client = f"{row['client']}{' held out' if row['held_out'] else ''}"
        labels = "-" if row["labels"] is None else str(row["labels"])
        who = [] if called is None else [escape(printable(called[place], WHO))]
        table.add_row(client, *sizes, labels, *who, escape(top))
    return table


def client_numbers(text: str, clients: int) -> list[int]:
    """`0-9,20` as numbers, each once, in order."""
    chosen: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not match:
            raise UserError("--clients", f"found '{text:.80}'", "numbers and ranges: 0-9,20")
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last or last >= clients:
            raise UserError("--clients", f"found '{part.strip():.80}'", f"within 0-{clients - 1}")
        chosen.update(range(first, last + 1))
    return sorted(chosen)


def numbers(text: str, where: str, kind: Callable[[str], Any]) -> list[Any]:
    """`0.1,1,10` as numbers of a kind, each once; UserError names the option."""
    try:
        return list(dict.fromkeys(kind(part) for part in text.split(",")))
    except ValueError:
        raise UserError(where, f"found '{text:.80}'", "numbers with commas") from None
