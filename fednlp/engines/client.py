"""One client's part of a round: train, encode, and what the engine sums up of it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from algorithms.algorithm import Client, ClientOptimizer, Correction, State, Trained
from fednlp.hooks import Hooks
from fednlp.local_training import LocalTrainer, Span, Work
from fednlp.nonfinite import nonfinite
from fednlp.profile import ALGORITHM, SET_UP, clock
from fednlp.random_streams import torch_generator


@dataclass(frozen=True)
class Assignment:
    """One client of one cohort."""

    client: int
    examples: np.ndarray  # [n] int64 indices into the training store
    weight: float  # aggregation weight, not yet normalised


@dataclass(frozen=True)
class Broadcast:
    """What all clients of a round start from: the global weights [P] and what is sent to them."""

    round: int
    weights: Tensor
    received: State


@dataclass
class Upload:
    """What became of one participation.

    Attributes:
        decoded: the payload as dense tensors that can be summed; {} where there is a problem.
        state: what the client keeps; None where it keeps nothing.
        problem: what is not finite, in words.
    """

    work: Work
    bytes_up: int
    seconds: float
    decoded: State = field(default_factory=dict)
    state: State | None = None
    problem: str | None = None


@dataclass
class ClientRunner:
    """Runs clients of one federated run, one after another."""

    trainer: LocalTrainer
    method: Hooks
    optimizer: ClientOptimizer
    rounds: int

    def run(self, sent: Broadcast, assignment: Assignment, state: State) -> Upload:
        """state: the client's own before this round; its entries may be replaced."""
        began = time.perf_counter()
        place = client_place(assignment.client, sent.round)
        client, work = self._client(sent, assignment, state)
        stateful = bool(state)
        payload = self.method.local_update(client, place)
        kept = client.state if client.state or stateful else None
        problem = nonfinite(payload, "upload") or _loss_problem(work)
        problem = problem or nonfinite(kept or {}, "state")
        decoded: State = {}
        if problem is None:
            decoded = self.method.decode(payload, sent.weights, place)
            problem = nonfinite(decoded, "decoded upload")
        clock.lap(ALGORITHM)
        upload = Upload(work, payload_bytes(payload), time.perf_counter() - began)
        if problem is not None:
            upload.problem = problem
        else:
            upload.decoded, upload.state = decoded, kept
        return upload

    def _client(self, sent: Broadcast, assignment: Assignment, state: State) -> tuple[Client, Work]:
        """The client as the method sees it, and the work that its trainings add up to."""
        trainer, work, passes = self.trainer, Work(), 0
        place = client_place(assignment.client, sent.round)

        def train(start: Tensor, correct: Correction | None) -> Trained:
            nonlocal passes, work
            participation = trainer.participate(
                assignment.examples,
                start,
                round=sent.round,
                client=assignment.client,
                correct=self.method.checked(correct, place),
                span=Span(sent.round, self.rounds),
                stream=f" {passes}" if passes else "",
            )
            passes += 1
            work += participation.advance()
            rates = tuple(participation.rates)
            weights = trainer.model.weights.clone()
            clock.lap(SET_UP)
            return Trained(weights, len(rates), sum(rates), rates)

        client = Client(
            index=assignment.client,
            examples=len(assignment.examples),
            round=sent.round,
            received=sent.received,
            state=state,
            layout=trainer.model.layout,
            optimizer=self.optimizer,
            generator=torch_generator(trainer.seed, "algorithm", sent.round, assignment.client),
            train=train,
        )
        return client, work


def client_place(client: int, round: int) -> str:
    """How a client of a round (from 0) is named in messages."""
    return f"client {client}, round {round + 1}"


def payload_bytes(payload: State) -> int:
    """Size of the encoded tensors in bytes."""
    return sum(tensor.numel() * tensor.element_size() for tensor in payload.values())


def _loss_problem(work: Work) -> str | None:
    return None if math.isfinite(work.loss_sum) else "its training loss is not finite"
