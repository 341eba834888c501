"""Progress of long runs: a live bar on a terminal, one line per validation elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar


class Progress:
    """Shows rounds, the clients of the current round, the last metric and the time left."""

    def __init__(self, console: Console, title: str, rounds: int, completed: int = 0) -> None:
        self._console, self._title, self._rounds = console, title, rounds
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._run = self._bar.add_task(title, total=rounds, completed=completed, note="")
        self._round, self._clients, self._done, self._metric = completed, 0, 0, ""

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def round(self, round: int, clients: int) -> None:
        """Round `round` (from 0) begins with this many clients."""
        self._round, self._clients, self._done = round, clients, 0
        self._show(f"client 0/{clients}")

    def client_done(self) -> None:
        self._done += 1
        self._show(f"client {self._done}/{self._clients}")

    def note(self, text: str) -> None:
        self._show(text)

    def message(self, text: str) -> None:
        """A line that stays."""
        self._console.print(f"{self._title}: {text}", highlight=False, soft_wrap=True)

    def metric(self, value: float) -> None:
        """A validation result, which also ends the round."""
        self._metric = f"validation {value:.3f}"
        self._round += 1
        self._done = 0
        self._show("")
        if not self._console.is_terminal:
            self._console.print(
                f"{self._title}: round {self._round}/{self._rounds}, {self._metric}",
                highlight=False,
                soft_wrap=True,
            )

    def _show(self, text: str) -> None:
        share = self._done / self._clients if self._clients else 0.0
        note = "  ".join(part for part in (text, self._metric) if part)
        self._bar.update(self._run, completed=self._round + share, note=note)
