"""Which job is next, what an error takes with it, and how long all would take."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

from fednlp.jobs.job import Job


class Schedule:
    """The jobs that wait, run and have ended.

    With several at once references go first, since others wait for them, and then the longest, so
    that none is left alone at the end; one by one they go in their own order.
    """

    def __init__(self, jobs: Sequence[Job], at_once: int = 1) -> None:
        def rank(job: Job) -> tuple[bool, float, int]:
            if at_once == 1:
                return False, 0.0, job.number
            return job.kind != "centralized", -job.work_left, job.number

        self._waiting = sorted(jobs, key=rank)
        self._here = {job.number for job in jobs}
        self._running: set[int] = set()
        self.errors: dict[int, str] = {}  # number -> line

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def over(self) -> bool:
        return not (self._waiting or self._running)

    def next(self) -> Job | None:
        """Begins the first job that waits for none; None where there is none now."""
        for job in self._waiting:
            if not {job.needs, job.after} & self._here:
                self._waiting.remove(job)
                self._running.add(job.number)
                return job
        return None

    def end(self, job: Job, error: str | None = None) -> list[Job]:
        """Ends a job; returns those that wait for it and can no longer run, with the same error."""
        self._running.discard(job.number)
        self._here.discard(job.number)
        if error is None:
            return []
        self.errors[job.number] = error
        lost = [other for other in self._waiting if other.needs == job.number]
        for other in lost:
            self._waiting.remove(other)
            self.end(other, error)
        return lost


def makespan(jobs: Sequence[Job], seconds: Callable[[Job], float], at_once: int) -> float:
    """Seconds until the last job has ended, at the predicted seconds of each."""
    schedule, now = Schedule(jobs, at_once), 0.0
    running: list[tuple[float, int, Job]] = []
    while not schedule.over:
        while len(running) < at_once and (job := schedule.next()) is not None:
            heapq.heappush(running, (now + seconds(job), job.number, job))
        now, _, done = heapq.heappop(running)
        schedule.end(done)
    return now
