"""The default engine: this machine, one process or several, clients in any order.

Uploads are summed in cohort order and dropped, so memory does not grow with the cohort or the
population.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from algorithms.algorithm import State
from fednlp.engines.client import (
    Assignment,
    Broadcast,
    ClientRunner,
    Upload,
    client_place,
    payload_bytes,
)
from fednlp.engines.engine import ClientStates, RoundOutcome
from fednlp.engines.sums import weighted_sum
from fednlp.engines.tally import Tally
from fednlp.evaluation import predict
from fednlp.hooks import blaming
from fednlp.profile import AGGREGATION, ALGORITHM, PREPARATION, REST, clock
from fednlp.together.runner import TogetherRunner

if TYPE_CHECKING:
    from fednlp.experiment import Experiment

WORTH_SHARING = 64  # examples, from which several processes score them


class LocalEngine:
    """An `engines.engine.Engine`."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment

    @property
    def peak_memory(self) -> int:
        workers = self.experiment.workers
        return workers.peak_memory if workers else 0

    @cached_property
    def runner(self) -> ClientRunner:
        return ClientRunner.of(self.experiment)

    @cached_property
    def together(self) -> TogetherRunner | None:
        """None: one by one."""
        trainer = self.experiment.together.trainer
        return TogetherRunner(self.runner, trainer) if trainer else None

    def run_round(
        self,
        round: int,
        weights: Tensor,
        server: State,
        cohort: list[Assignment],
        states: ClientStates,
        on_client: Callable[[], None] = lambda: None,
    ) -> RoundOutcome:
        clock.lap(REST)
        method, config = self.runner.method, self.experiment.config
        clock.lap(PREPARATION)  # of the runner, before the first round
        received = method.download(weights, server, f"server, round {round + 1}")
        clock.lap(ALGORITHM)
        tally = Tally(round, len(cohort), config.client.on_nonfinite == "skip")
        outcome = tally.outcome
        total = weighted_sum(config.engine.aggregation, weights.device)
        outcome.bytes_down = payload_bytes(received) * len(cohort)
        uploads = self._uploads(Broadcast(round, weights, received), cohort, states)
        for assignment, upload in zip(cohort, uploads, strict=True):
            began = time.perf_counter()
            if tally.take(assignment, upload):
                if upload.state is not None:
                    states.store(assignment.client, round, upload.state)
                place = client_place(assignment.client, round)
                with blaming(type(method.algorithm), "decode", place):
                    total.add(upload.decoded, assignment.weight)
            clock.lap(AGGREGATION)
            outcome.device_seconds += time.perf_counter() - began
            on_client()
        outcome.mean = total.mean(tally.total_weight)
        clock.lap(AGGREGATION)
        return outcome

    def _uploads(
        self, sent: Broadcast, cohort: list[Assignment], states: ClientStates
    ) -> Iterator[Upload]:
        """In cohort order."""
        if self.experiment.workers is not None:
            yield from self.experiment.workers.uploads(sent, cohort, states.load)
            return
        if self.together is not None:
            yield from self.together.uploads(sent, cohort, states.load)
            return
        for assignment in cohort:
            state = states.load(assignment.client, sent.round)
            yield self.runner.run(sent, assignment, state)

    def predict(self, split: str, weights: Tensor, indices: np.ndarray) -> list:
        workers = self.experiment.workers
        if workers is not None and len(indices) >= WORTH_SHARING:
            return workers.predict(split, weights, indices)
        return predict(self.experiment, split, weights, indices)

    def finish(self, states: ClientStates) -> None:
        """They are there."""

    def notes(self) -> list[str]:
        return []

    def facts(self) -> dict[str, Any]:
        exact = self.experiment.config.engine.aggregation == "exact"
        return {"aggregation": "exact"} if exact else {}

    def close(self) -> None:
        """Worker processes go on for the next run."""
