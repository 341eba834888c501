"""Where a run's time goes (`run --profile`): a clock whose laps are given to phases.

A lap gives the time since the lap before it to a phase, so the phases add up to all that passed. A
clock that is off costs one comparison per lap. On a GPU a lap waits for what was launched.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

PREPARATION, SET_UP, DATA = "preparation", "client set-up", "data"
FORWARD_BACKWARD, OPTIMIZER, ALGORITHM = "forward and backward", "optimizer", "algorithm"
AGGREGATION, EVALUATION, CHECKPOINT = "aggregation", "evaluation", "log and checkpoint"
STARTING, WAITING, REST = "starting workers", "waiting for workers", "the rest"

MEANINGS = {
    PREPARATION: "imports, data, tokens, model, partition",
    SET_UP: "weights in and out, a fresh optimizer",
    DATA: "planning and gathering batches",
    FORWARD_BACKWARD: "",
    OPTIMIZER: "clearing gradients, clipping, the step",
    ALGORITHM: "the method's hooks, checks of what they give",
    AGGREGATION: "summing up uploads, the server's update",
    EVALUATION: "predictions and metrics",
    CHECKPOINT: "digest, log line, files",
    STARTING: "or handing them another run",
    WAITING: "",
    REST: "",
}
ARITHMETIC = (FORWARD_BACKWARD, OPTIMIZER)
OF_CLIENTS = (SET_UP, DATA, FORWARD_BACKWARD, OPTIMIZER, ALGORITHM)


class LapClock:
    """seconds: phase -> seconds of this process; of_workers: the same, of all workers together."""

    def __init__(self) -> None:
        self.running = False
        self.seconds: dict[str, float] = defaultdict(float)
        self.of_workers: dict[str, float] = defaultdict(float)
        self._last = 0.0

    def start(self) -> None:
        self.running = True
        self.take()
        self._last = time.perf_counter()

    def lap(self, phase: str) -> None:
        """Gives the time since the last lap to a phase."""
        if not self.running:
            return
        import torch  # only now: it is a part of the preparation

        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.seconds[phase] += now - self._last
        self._last = now

    def skip(self) -> None:
        """Gives the time since the last lap to nobody."""
        self._last = time.perf_counter()

    def take(self) -> tuple[dict[str, float], dict[str, float]]:
        """`seconds` and `of_workers`, which begin anew."""
        taken = dict(self.seconds), dict(self.of_workers)
        self.seconds.clear()
        self.of_workers.clear()
        return taken

    def add(self, seconds: dict[str, float]) -> None:
        """Adds the laps of a worker."""
        for phase, value in seconds.items():
            self.of_workers[phase] += value


clock = LapClock()


def profile_table(title: str, seconds: dict[str, float], of_workers: dict[str, float]) -> Any:
    """Seconds and shares by phase, and what of the clients' time is bare arithmetic."""
    from rich.table import Table

    table = Table(title=f"Where the time went: {title}")
    table.add_column("phase", no_wrap=True)
    for column in ("s", "%", *(("workers, s", "%") if of_workers else ())):
        table.add_column(column, justify="right")
    table.add_column("what it is")
    columns = [seconds, of_workers] if of_workers else [seconds]
    for phase, meaning in MEANINGS.items():
        if any(phase in column for column in columns):
            cells = [cell for column in columns for cell in _cells(column, phase)]
            table.add_row(phase, *cells, meaning)
    table.add_section()
    sums = [cell for column in columns for cell in (f"{sum(column.values()):.2f}", "100")]
    table.add_row("all", *sums, "")
    clients = sum(column.get(phase, 0.0) for column in columns for phase in OF_CLIENTS)
    bare = sum(column.get(phase, 0.0) for column in columns for phase in ARITHMETIC)
    if clients:
        share = f"{100 * bare / clients:.1f} %"
        table.caption = f"bare arithmetic (forward, backward, optimizer): {share} of training"
    return table


def _cells(column: dict[str, float], phase: str) -> tuple[str, str]:
    value, total = column.get(phase, 0.0), sum(column.values())
    return f"{value:.2f}", f"{100 * value / total:.1f}" if total else ""
