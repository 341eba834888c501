"""Run folders and all that is made from them; `load` gives them to a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fednlp.results.frames.tables import RunTables

__all__ = ["load"]


def load(runs_dir: str | Path) -> RunTables:
    """The finished runs of a directory as tidy DataFrames: `runs`, `rounds` and `clients`.

        from fednlp.results import load

        tables = load("runs")
        tables.runs.groupby("algorithm")["gap"].mean()

    Columns and dtypes are in docs/pandas.md. A folder that is damaged is in no table and named in
    `problems`.

    Raises:
        UserError: there is no such directory.
    """
    from fednlp.results.frames.tables import read_tables

    return read_tables(Path(runs_dir))
