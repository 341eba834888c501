"""How long jobs would take: from finished runs of the same kind, else at a stated rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from fednlp.errors import UserError
from fednlp.jobs.job import Job
from fednlp.results import files
from fednlp.results.load import read_result
from fednlp.results.schema import Result

Key = tuple[str, ...]


@dataclass(frozen=True)
class Rates:
    """Seconds per training operation (6 per weight and token), evaluation shared out on them.

    known: the medians of finished runs, by data, model and kind, and by fewer of them. assumed:
    operations a second where none is like the job.
    """

    assumed: float
    known: dict[Key, float] = field(default_factory=dict)

    @classmethod
    def of(cls, folders: list[Path], assumed: float) -> Rates:
        """Measured in the finished runs of these directories; what cannot be read is no measure."""
        found: dict[Key, list[float]] = {}
        for result in _results(folders):
            weights = result.model.trainable + result.model.frozen
            work = 6.0 * weights * result.costs.real_tokens
            if work:
                for key in _keys(result.data.name, result.task, result.model.name, result.kind):
                    found.setdefault(key, []).append(result.costs.wall_seconds / work)
        return cls(assumed, {key: median(values) for key, values in found.items()})

    def seconds(self, job: Job, data: str, task: str, model: str) -> tuple[float, bool]:
        """Of what is left of a job, and whether finished runs tell it."""
        left = 1 - job.done / job.cost.rounds
        for key in _keys(data, task, model, job.kind):
            if key in self.known:
                training = 6.0 * job.cost.weights * job.cost.tokens
                return left * training * self.known[key], True
        return left * job.cost.work / self.assumed, False


def _keys(data: str, task: str, model: str, kind: str) -> tuple[Key, ...]:
    """The closest first; of two tasks evaluation differs too much."""
    return ("data", data, model, kind), ("data", data, model), ("task", task, model)


def _results(folders: list[Path]) -> Iterator[Result]:
    for folder in folders:
        for path in files.entries(folder) if files.stands(folder) else []:
            try:
                if files.stands(path / "result.json"):
                    yield read_result(path / "result.json")
            except UserError:
                continue
