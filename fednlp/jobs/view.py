"""What a suite shows while its jobs run: live on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fednlp.jobs.job import Job
from fednlp.jobs.work import Moved
from fednlp.results.tables import human_seconds
from fednlp.shown import without_middle

LONGEST = 100  # characters of the name of a run
EVERY = 60.0  # seconds between lines on what runs, where there is no terminal


@dataclass
class _Running:
    job: Job
    since: float  # seconds of the monotonic clock
    completed: float  # rounds
    metric: str = ""

    @property
    def share(self) -> float:
        return min(1.0, self.completed / self.job.cost.rounds)

    def seconds_left(self, now: float) -> float | None:
        """At the speed of its rounds in this process; None before there is one."""
        made = self.completed - self.job.done
        left = max(0.0, self.job.cost.rounds - self.completed)
        return (now - self.since) * left / made if made > 0 else None


class View:
    """Shows jobs that run and counts those that wait, are done or failed.

    The time left of all is that of the work left, in floating-point operations, at the speed so
    far.
    """

    def __init__(self, console: Console, title: str, jobs: list[Job]) -> None:
        self._console, self._title = console, title
        self._total = len(jobs)
        self._work = sum(job.work_left for job in jobs)
        self._made = 0.0
        self._done = self._failed = 0
        self._running: dict[int, _Running] = {}
        self._began = self._told = time.monotonic()
        self._live = Live(
            get_renderable=self.table, console=console, refresh_per_second=2, transient=True
        )

    def __enter__(self) -> View:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def begin(self, job: Job) -> None:
        self._running[job.number] = _Running(job, time.monotonic(), float(job.done))

    def move(self, job: Job, moved: Moved) -> None:
        running = self._running[job.number]
        running.completed, running.metric = moved.completed, moved.metric or running.metric
        self.tick()

    def say(self, job: Job, text: str) -> None:
        self._line(f"{job.name}: {text}")

    def end(self, job: Job, score: str) -> None:
        running = self._running.pop(job.number)
        self._made += job.work_left
        self._done += 1
        seconds = human_seconds(time.monotonic() - running.since)
        self._line(f"{self._count()} {job.name}: {score}, {seconds}")

    def fail(self, job: Job, line: str, lost: Sequence[Job] = ()) -> None:
        """A job that ended with an error, and those that waited for it, which cannot run now."""
        self._running.pop(job.number, None)
        self._work -= sum(one.work_left for one in (job, *lost))
        self._failed += 1 + len(lost)
        more = f" (and {len(lost)} that need it)" if lost else ""
        print(f"error: {job.name}{more}: {line}", file=sys.stderr, flush=True)

    def tick(self) -> None:
        """Time has passed: without a terminal it may be time for a line."""
        now = time.monotonic()
        if not self._console.is_terminal and now - self._told >= EVERY:
            self._told = now
            parts = [", ".join(filter(None, self._cells(r, now))) for r in self._running.values()]
            self._line("; ".join([self._summary(now), *parts]))

    def table(self) -> RenderableType:
        """The runs that are under way, and how far all are."""
        now = time.monotonic()
        grid = Table.grid(padding=(0, 2))
        grid.add_column(overflow="fold")  # names fold, numbers never do
        for _ in range(3):
            grid.add_column(no_wrap=True)
        for running in self._running.values():
            grid.add_row(*(Text(cell) for cell in self._cells(running, now)))
        return Group(grid, Text(self._summary(now), style="bold"))

    def _cells(self, running: _Running, now: float) -> list[str]:
        left = running.seconds_left(now)
        return [
            without_middle(running.job.name, LONGEST),
            f"round {int(running.completed)}/{running.job.cost.rounds}",
            running.metric,
            "" if left is None else f"{human_seconds(left)} left",
        ]

    def _count(self) -> str:
        return f"[{self._done + self._failed}/{self._total}]"

    def _summary(self, now: float) -> str:
        waiting = self._total - self._done - self._failed - len(self._running)
        words = f"{self._title}: {self._done} done, {len(self._running)} running, {waiting} waiting"
        if self._failed:
            words += f", {self._failed} failed"
        made = self._made + sum(
            r.job.cost.work * (r.share - r.job.done / r.job.cost.rounds)
            for r in self._running.values()
        )
        if made > 0:
            left = (now - self._began) * max(0.0, self._work - made) / made
            words += f", about {human_seconds(left)} left"
        return words

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
