"""All jobs of a plan, in this process or side by side; one that fails does not stop the others."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path

from fednlp.errors import one_line
from fednlp.jobs.job import Job, Planning
from fednlp.jobs.schedule import Schedule
from fednlp.jobs.slots import Slot
from fednlp.jobs.view import View
from fednlp.jobs.work import Ended, Moved, Order, Said, work
from fednlp.runs import finished

Answers = Generator[tuple[Job, Ended], None, None]


@dataclass(frozen=True)
class Outcomes:
    """ended: by number of the job. failures: label of a run -> line. faults: of this program."""

    ended: dict[int, Ended] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    faults: bool = False


@dataclass(frozen=True)
class Runner:
    """out: where run folders are kept. at_once: jobs side by side; 1: in this process.

    on_diverged: is told of jobs whose weights became NaN or infinite, where that is an answer and
    no error. known: ids of those that did before, which are left out.
    """

    out: Path
    allow_inexact: bool
    at_once: int
    on_diverged: Callable[[Job], None] | None = None
    known: frozenset[str] = frozenset()

    def run(self, planning: Planning, view: Callable[[list[Job]], View]) -> Outcomes:
        """Finishes all jobs; those that were finished already are only read."""
        ended, errors = self._read(planning)
        rest = [job for job in planning.jobs if job.number not in {*ended, *errors}]
        rest = [job for job in rest if job.identity.id not in self.known]
        lost = [job for job in rest if job.needs in errors]
        errors |= {job.number: errors[job.needs] for job in lost if job.needs is not None}
        rest = [job for job in rest if job.number not in errors]
        if rest:
            schedule = Schedule(rest, self.at_once)
            with view(rest) as shown:
                run = self._here if self.at_once == 1 else self._side_by_side
                with closing(run(schedule, shown)) as answers:
                    for job, answer in answers:
                        ended[job.number] = answer
                        self._tell(shown, job, answer, schedule.end(job, answer.error))
            errors |= schedule.errors
        return Outcomes(ended, _of_runs(planning, errors), any(e.trace for e in ended.values()))

    def _read(self, planning: Planning) -> tuple[dict[int, Ended], dict[int, str]]:
        """Jobs that are finished, and whose reference is, need no process and no turn."""
        ended: dict[int, Ended] = {}
        errors: dict[int, str] = {}
        for job in planning.jobs:
            ready = job.needs is None or job.needs in ended
            if job.state != "finished" or not ready or job.after in errors:
                continue
            try:
                result = finished(
                    job.path, job.config, job.reference, job.tuning, partial(_warn, job)
                )
            except (ValueError, OSError) as error:
                line = one_line(error)
                if line is None:
                    raise
                errors[job.number] = line
                print(f"error: {job.name}: {line}", file=sys.stderr)
                continue
            score = result.selected.test[result.primary_metric]
            ended[job.number] = Ended(result.folder, f"{result.primary_metric} {score:.3f} on test")
        return ended, errors

    def _tell(self, view: View, job: Job, answer: Ended, lost: list[Job]) -> None:
        """lost: jobs that its error takes with it."""
        if answer.trace:
            print(answer.trace, file=sys.stderr)
        if answer.error is None:
            view.end(job, answer.score)
        elif answer.diverged and self.on_diverged is not None:
            self.on_diverged(job)
            view.end(job, f"diverged ({answer.error})")
        else:
            view.fail(job, answer.error, lost)

    def _order(self, job: Job) -> Order:
        return Order.of(job, Path(os.path.abspath(self.out)), self.allow_inexact)

    def _here(self, schedule: Schedule, view: View) -> Answers:
        while (job := schedule.next()) is not None:
            view.begin(job)
            yield job, work(self._order(job), partial(_show, view, job))

    def _side_by_side(self, schedule: Schedule, view: View) -> Answers:
        most = min(self.at_once, schedule.waiting)
        with _slots() as slots:
            while not schedule.over:
                while (slot := self._free(slots, most)) and (job := schedule.next()) is not None:
                    view.begin(job)
                    slot.begin(job, self._order(job))
                busy = {slot.connection: slot for slot in slots if slot.job is not None}
                for connection in wait(list(busy), timeout=1.0):
                    slot = busy[connection]  # type: ignore[index]
                    job, said = slot.job, slot.receive()
                    assert job is not None
                    if isinstance(said, Ended):
                        slot.job = None
                        yield job, said
                    else:
                        _show(view, job, said)
                view.tick()

    def _free(self, slots: list[Slot], most: int) -> Slot | None:
        """A process without a job; a new one in the place of one that has ended."""
        for number, slot in enumerate(slots):
            if slot.job is None:
                if not slot.alive:
                    slot.join()
                    slots[number] = Slot(self.at_once)
                return slots[number]
        if len(slots) < most:
            slots.append(Slot(self.at_once))
            return slots[-1]
        return None


@contextmanager
def _slots() -> Iterator[list[Slot]]:
    """Job processes, all of which have ended afterwards."""
    slots: list[Slot] = []
    try:
        yield slots
    finally:
        for slot in slots:
            slot.stop()
        for slot in slots:
            slot.join()


def _warn(job: Job, text: str) -> None:
    print(f"{job.name}: {text}", file=sys.stderr)


def _show(view: View, job: Job, said: Moved | Said) -> None:
    if isinstance(said, Said):
        view.say(job, said.text)
    else:
        view.move(job, said)


def _of_runs(planning: Planning, errors: dict[int, str]) -> dict[str, str]:
    """The errors of jobs as those of the runs that wanted them, in the order of the runs."""
    found = dict(planning.failures)
    for label, numbers in planning.of.items():
        line = next((errors[number] for number in numbers if number in errors), None)
        if line is not None:
            found[label] = line
    return found
