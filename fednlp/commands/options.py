"""Options and arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fednlp.errors import UserError

Overrides = Annotated[list[str] | None, typer.Argument(metavar="[key.sub=value]...")]
ConfigFile = Annotated[
    str, typer.Argument(metavar="CONFIG", help="a YAML file, or its name in configs/")
]
RunsDir = Annotated[Path, typer.Argument(metavar="RUNS_DIR", help="a directory of run folders")]


def not_empty(path: Path) -> Path:
    """`--out "$UNSET"` would be the current directory."""
    if path == Path():
        raise UserError("--out", "is empty or the current directory", "a directory for run folders")
    return path


Out = Annotated[Path, typer.Option("--out", help="where run folders are kept", callback=not_empty)]
SkipBad = Annotated[
    int, typer.Option("--skip-bad", min=0, help="leave out at most so many bad records")
]
AllowInexact = Annotated[
    bool, typer.Option("--allow-inexact", help="continue a run under other threads or versions")
]


def with_skip_bad(overrides: list[str] | None, skip_bad: int) -> list[str]:
    """`--skip-bad N` is the override `dataset.skip_bad=N`."""
    return [*(overrides or []), *([f"dataset.skip_bad={skip_bad}"] if skip_bad else [])]
