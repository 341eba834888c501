"""The default engine: this machine, one process or several, clients in any order.

An engine computes the weighted mean of a cohort's uploads (design 3.6). Uploads are summed in
cohort order and dropped, so memory does not grow with the cohort or the population.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
from fednlp.errors import NotFinite
from fednlp.hooks import blaming
from fednlp.local_training import Work
from fednlp.nonfinite import FIX
from fednlp.profile import AGGREGATION, ALGORITHM, REST, clock
from fednlp.together.runner import TogetherRunner

if TYPE_CHECKING:
    from fednlp.engines.workers import Workers


@dataclass
class RoundOutcome:
    """mean: the weighted mean of the decoded payloads; bytes and seconds over the whole cohort.

    skipped: clients that were left out of the mean, whose work is in `lost` instead of `work`.
    """

    mean: State = field(default_factory=dict)
    work: Work = field(default_factory=Work)
    lost: Work = field(default_factory=Work)
    skipped: list[int] = field(default_factory=list)
    bytes_up: int = 0
    bytes_down: int = 0
    device_seconds: float = 0.0


@dataclass
class LocalEngine:
    runner: ClientRunner
    load_state: Callable[[int, int], State]  # client, round -> its state before this round
    store_state: Callable[[int, int, State], None]  # client, round, new state
    workers: Workers | None = None
    skip_nonfinite: bool = False
    together: TogetherRunner | None = None  # None: one by one

    def run_round(
        self,
        round: int,
        weights: Tensor,
        server: State,
        cohort: list[Assignment],
        on_client: Callable[[], None] = lambda: None,
    ) -> RoundOutcome:
        """Trains the cohort from `weights` [P] and returns the weighted mean of its uploads.

        Raises:
            NotFinite: a client's loss, upload or state is not finite; with `skip_nonfinite`, those
                of all clients.
        """
        method = self.runner.method
        clock.lap(REST)
        received = method.download(weights, server, f"server, round {round + 1}")
        clock.lap(ALGORITHM)
        outcome, total, total_weight = RoundOutcome(), State(), 0.0
        outcome.bytes_down = payload_bytes(received) * len(cohort)
        uploads = self._uploads(Broadcast(round, weights, received), cohort)
        for assignment, upload in zip(cohort, uploads, strict=True):
            began, place = time.perf_counter(), client_place(assignment.client, round)
            if upload.problem is None:
                if upload.state is not None:
                    self.store_state(assignment.client, round, upload.state)
                with blaming(type(method.algorithm), "decode", place):
                    for name, tensor in upload.decoded.items():
                        if name in total:
                            total[name].add_(tensor, alpha=assignment.weight)
                        else:
                            total[name] = tensor * assignment.weight
                total_weight += assignment.weight
                outcome.work += upload.work
            elif self.skip_nonfinite:
                outcome.skipped.append(assignment.client)
                outcome.lost += upload.work
                if len(outcome.skipped) == len(cohort):
                    found = f"no client of {len(cohort)} is left; of client {assignment.client} "
                    fix = "lower client.lr"
                    raise NotFinite(f"round {round + 1}", found + upload.problem, fix=fix)
            else:
                raise NotFinite(place, upload.problem, fix=FIX)
            outcome.bytes_up += upload.bytes_up
            clock.lap(AGGREGATION)
            outcome.device_seconds += upload.seconds + time.perf_counter() - began
            on_client()
        outcome.mean = {name: tensor / total_weight for name, tensor in total.items()}
        clock.lap(AGGREGATION)
        return outcome

    def _uploads(self, sent: Broadcast, cohort: list[Assignment]) -> Iterator[Upload]:
        """In cohort order."""
        if self.workers is not None:
            yield from self.workers.uploads(sent, cohort, self.load_state)
            return
        if self.together is not None:
            yield from self.together.uploads(sent, cohort, self.load_state)
            return
        for assignment in cohort:
            state = self.load_state(assignment.client, sent.round)
            yield self.runner.run(sent, assignment, state)
