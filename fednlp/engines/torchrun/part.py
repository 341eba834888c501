"""One process's part of a round: it trains its clients and sums up their uploads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any

from algorithms.algorithm import State
from fednlp.engines.client import Assignment, Broadcast, ClientRunner, Upload, client_place
from fednlp.engines.sums import ExactSum, FastSum, weighted_sum
from fednlp.hooks import blaming
from fednlp.local_training import Work
from fednlp.profile import AGGREGATION, clock
from fednlp.together.runner import TogetherRunner

if TYPE_CHECKING:
    from fednlp.experiment import Experiment


@dataclass
class Part:
    """uploads: position in the cohort -> what became of it, without its tensors.

    total: the weighted sum of the uploads that are finite. states: what their clients keep.
    """

    total: FastSum | ExactSum
    uploads: dict[int, Upload] = field(default_factory=dict)
    states: dict[int, State] = field(default_factory=dict)


class Trainer:
    """Trains clients of one experiment in this process."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.runner = experiment, ClientRunner.of(experiment)
        trainer = experiment.together.trainer
        self._together = TogetherRunner(self.runner, trainer) if trainer else None

    def train(
        self,
        sent: Broadcast,
        cohort: Sequence[Assignment],
        jobs: list[list[int]],
        load_state: Callable[[int], State],
        on_client: Callable[[], None] = lambda: None,
    ) -> Part:
        """Trains the clients at the positions `jobs`, and sums up in the order of the cohort.

        load_state: position -> the client's state before the round.
        """
        aggregation = self.experiment.config.engine.aggregation
        part = Part(weighted_sum(aggregation, sent.weights.device))
        method = self.runner.method
        for position, upload in self._in_order(sent, cohort, jobs, load_state):
            began, assignment = time.perf_counter(), cohort[position]
            if upload.problem is None:
                place = client_place(assignment.client, sent.round)
                with blaming(type(method.algorithm), "decode", place):
                    part.total.add(upload.decoded, assignment.weight)
                if upload.state is not None:
                    part.states[position] = upload.state
            upload.decoded, upload.state = {}, None
            clock.lap(AGGREGATION)
            upload.seconds += time.perf_counter() - began
            part.uploads[position] = upload
            on_client()
        return part

    def _in_order(
        self,
        sent: Broadcast,
        cohort: Sequence[Assignment],
        jobs: list[list[int]],
        load_state: Callable[[int], State],
    ) -> Iterator[tuple[int, Upload]]:
        order = sorted(position for job in jobs for position in job)
        done: dict[int, Upload] = {}
        given = 0
        for job in jobs:
            chosen, states = [cohort[k] for k in job], [load_state(k) for k in job]
            if self._together is None:
                uploads = [self.runner.run(sent, chosen[0], states[0])]
            else:
                uploads = self._together.run_many(sent, chosen, states)
            done.update(zip(job, uploads, strict=True))
            while given < len(order) and order[given] in done:
                yield order[given], done.pop(order[given])
                given += 1


def as_json(uploads: dict[int, Upload]) -> list[list[Any]]:
    return [
        [position, list(astuple(u.work)), u.bytes_up, u.seconds, u.problem]
        for position, u in uploads.items()
    ]


def of_json(rows: list[list[Any]]) -> dict[int, Upload]:
    return {
        position: Upload(Work(*work), bytes_up, seconds, problem=problem)
        for position, work, bytes_up, seconds, problem in rows
    }
