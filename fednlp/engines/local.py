"""The default engine: one process, one model, clients one after another.

An engine computes the weighted mean of a cohort's uploads (design 3.6). Uploads are summed in
cohort order and dropped, so memory does not grow with the cohort or the population.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from algorithms.algorithm import Client, ClientOptimizer, Correction, State, Trained
from fednlp.errors import UserError
from fednlp.hooks import Hooks, blaming
from fednlp.local_training import LocalTrainer, Span, Work
from fednlp.nonfinite import FIX, nonfinite
from fednlp.random_streams import torch_generator


@dataclass(frozen=True)
class Assignment:
    """One client of one cohort."""

    client: int
    examples: np.ndarray  # [n] int64 indices into the training store
    weight: float  # aggregation weight, not yet normalised


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
    trainer: LocalTrainer
    optimizer: ClientOptimizer
    rounds: int
    load_state: Callable[[int, int], State]  # client, round -> its state before this round
    store_state: Callable[[int, int, State], None]  # client, round, new state
    skip_nonfinite: bool = False

    def run_round(
        self,
        round: int,
        method: Hooks,
        weights: Tensor,
        server: State,
        cohort: list[Assignment],
        on_client: Callable[[], None] = lambda: None,
    ) -> RoundOutcome:
        """Trains the cohort from `weights` [P] and returns the weighted mean of its uploads.

        Raises:
            UserError: a client's loss, upload or state is not finite; with `skip_nonfinite`, those
                of all clients.
        """
        outcome, total_weight = RoundOutcome(), 0.0
        total: State = {}
        received = method.download(weights, server, f"server, round {round + 1}")
        for assignment in cohort:
            began = time.perf_counter()
            place = f"client {assignment.client}, round {round + 1}"
            work = Work()
            payload, state = self._train(round, method, received, assignment, work, place)
            decoded: State = {}
            problem = nonfinite(payload, "upload") or _loss_problem(work)
            problem = problem or nonfinite(state or {}, "state")
            if problem is None:
                decoded = method.decode(payload, weights, place)
                problem = nonfinite(decoded, "decoded upload")
            if problem is None:
                if state is not None:
                    self.store_state(assignment.client, round, state)
                with blaming(type(method.algorithm), "decode", place):
                    for name, tensor in decoded.items():
                        if name in total:
                            total[name].add_(tensor, alpha=assignment.weight)
                        else:
                            total[name] = tensor * assignment.weight
                total_weight += assignment.weight
                outcome.work += work
            elif self.skip_nonfinite:
                outcome.skipped.append(assignment.client)
                outcome.lost += work
                if len(outcome.skipped) == len(cohort):
                    found = f"no client of {len(cohort)} is left; of client {assignment.client} "
                    raise UserError(f"round {round + 1}", found + problem, fix="lower client.lr")
            else:
                raise UserError(place, problem, fix=FIX)
            outcome.bytes_down += payload_bytes(received)
            outcome.bytes_up += payload_bytes(payload)
            outcome.device_seconds += time.perf_counter() - began
            on_client()
        outcome.mean = {name: tensor / total_weight for name, tensor in total.items()}
        return outcome

    def _train(
        self,
        round: int,
        method: Hooks,
        received: State,
        assignment: Assignment,
        work: Work,
        place: str,
    ) -> tuple[State, State | None]:
        """The upload of one client and its new state; None where it keeps none."""
        trainer, passes = self.trainer, 0

        def train(start: Tensor, correct: Correction | None) -> Trained:
            nonlocal passes, work
            participation = trainer.participate(
                assignment.examples,
                start,
                round=round,
                client=assignment.client,
                correct=method.checked(correct, place),
                span=Span(round, self.rounds),
                stream=f" {passes}" if passes else "",
            )
            passes += 1
            work += participation.advance()
            rates = tuple(participation.rates)
            return Trained(trainer.model.weights.clone(), len(rates), sum(rates), rates)

        state = self.load_state(assignment.client, round)
        stateful = bool(state)
        client = Client(
            index=assignment.client,
            examples=len(assignment.examples),
            round=round,
            received=received,
            state=state,
            layout=trainer.model.layout,
            optimizer=self.optimizer,
            generator=torch_generator(trainer.seed, "algorithm", round, assignment.client),
            train=train,
        )
        payload = method.local_update(client, place)
        return payload, client.state if client.state or stateful else None


def _loss_problem(work: Work) -> str | None:
    return None if math.isfinite(work.loss_sum) else "its training loss is not finite"


def payload_bytes(payload: State) -> int:
    """Size of the encoded tensors in bytes."""
    return sum(tensor.numel() * tensor.element_size() for tensor in payload.values())
