"""One job: a run made, continued or extended, and what it reports meanwhile and at its end."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from fednlp.config_schema import RunConfig
from fednlp.errors import NotFinite, UserError, one_line
from fednlp.experiment import Experiment, prepare_process
from fednlp.jobs.job import Job
from fednlp.progress import Progress
from fednlp.results.schema import Tuning
from fednlp.runs import Kind, Surroundings, run_one

SECONDS = 0.2  # between two reports of the same job


@dataclass(frozen=True)
class Order:
    """A job as it is sent to another process; config, tuning: JSON."""

    kind: Kind
    config: str
    out: Path
    allow_inexact: bool
    tuning: str | None

    @classmethod
    def of(cls, job: Job, out: Path, allow_inexact: bool) -> Order:
        tuning = job.tuning.model_dump_json() if job.tuning else None
        config = job.config.model_dump_json()
        return cls(job.kind, config, out, allow_inexact, tuning)


@dataclass(frozen=True)
class Moved:
    """completed: rounds, with the part of the current one. metric: of the last validation."""

    completed: float
    rounds: int
    metric: str


@dataclass(frozen=True)
class Said:
    text: str


@dataclass(frozen=True)
class Ended:
    """folder, score: of a run that is finished. error: the line of one that is not.

    diverged: its weights became NaN or infinite. trace: of a fault of this program.
    """

    folder: str = ""
    score: str = ""
    error: str | None = None
    diverged: bool = False
    trace: str = ""


Send = Callable[[Moved | Said], None]


def work(order: Order, send: Send) -> Ended:
    """Does a job in this process; whatever stops it is told in the answer."""

    def progress(_: Console, title: str, rounds: int, completed: int) -> Progress:
        return Reporter(send, title, rounds, completed)

    try:
        config = RunConfig.model_validate_json(order.config)
        tuning = Tuning.model_validate_json(order.tuning) if order.tuning else None
        prepare_process(config)
        quiet = Console(quiet=True)
        around = Surroundings(order.out, quiet, order.allow_inexact, progress)
        result = run_one(Experiment(config), order.kind, around, tuning)
    except NotFinite as error:
        return Ended(error=str(error), diverged=True)
    except Exception as error:
        line = one_line(error) or _out_of_memory(error)
        if line is not None:
            return Ended(error=line)
        first = (str(error).splitlines() or [""])[0]
        return Ended(error=f"{type(error).__name__}: {first}", trace=traceback.format_exc())
    score = result.selected.test[result.primary_metric]
    return Ended(result.folder, f"{result.primary_metric} {score:.3f} on test")


def _out_of_memory(error: Exception) -> str | None:
    words = ("can't allocate memory", "not enough memory")  # torch's, on a CPU
    known = isinstance(error, MemoryError | torch.cuda.OutOfMemoryError)
    if not known and not any(word in str(error) for word in words):
        return None
    fix = "a smaller --jobs needs less of it; the same command continues"
    return str(UserError("job process", "ran out of memory", fix=fix))


class Reporter(Progress):
    """Progress that is reported to whoever shows all jobs."""

    def __init__(self, send: Send, title: str, rounds: int, completed: int) -> None:
        super().__init__(Console(quiet=True), title, rounds, completed)
        self._send, self._last = send, (0.0, "")

    def message(self, text: str) -> None:
        self._send(Said(text))

    def _show(self, text: str) -> None:
        now, (then, metric) = time.monotonic(), self._last
        if now - then >= SECONDS or self._metric != metric:
            self._last = now, self._metric
            share = self._done / self._clients if self._clients else 0.0
            self._send(Moved(self._round + share, self._rounds, self._metric))
