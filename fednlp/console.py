"""The one console that commands print to."""

from __future__ import annotations

import os

from rich.console import Console


def _console() -> Console:
    """Files and pipes have no width of their own: 120 characters, or COLUMNS."""
    console = Console()
    if console.is_terminal:
        return console
    wanted = os.environ.get("COLUMNS", "")
    return Console(width=max(int(wanted), 40) if wanted.isdecimal() and int(wanted) else 120)


console = _console()
