"""One client's part of a round: train, encode, and what the engine sums up of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from algorithms.algorithm import Client, ClientOptimizer, Correction, State, Trained
from fednlp.components import client_optimizer
from fednlp.course import Course, Span
from fednlp.hooks import Hooks
from fednlp.local_training import LocalTrainer, Work
from fednlp.nonfinite import nonfinite
from fednlp.profile import ALGORITHM, SET_UP, clock
from fednlp.random_streams import torch_generator

if TYPE_CHECKING:
    from fednlp.experiment import Experiment


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


@dataclass(frozen=True, eq=False)
class Asked:
    """A training that a method asks for, from `start` [P]."""

    course: Course
    start: Tensor
    correct: Correction | None


@dataclass(frozen=True)
class Learned:
    """weights: [P], fresh. rates: one per step."""

    weights: Tensor
    rates: tuple[float, ...]
    work: Work


@dataclass(frozen=True)
class Contribution:
    """What a client made of its round.

    payload: as it is sent. state: what it keeps; None where it keeps nothing. problem: what is not
    finite, in words.
    """

    payload: State
    state: State | None
    work: Work
    problem: str | None

    def decoded(self, method: Hooks, weights: Tensor, place: str) -> tuple[State, str | None]:
        """The payload as dense tensors to be summed, or the problem. weights: [P], as sent."""
        if self.problem is not None:
            return {}, self.problem
        decoded = method.decode(self.payload, weights, place)
        fresh = {name: t for name, t in decoded.items() if t is not self.payload.get(name)}
        return decoded, nonfinite(fresh, "decoded upload")


@dataclass
class ClientRunner:
    """Runs clients of one federated run, one after another."""

    trainer: LocalTrainer
    method: Hooks
    optimizer: ClientOptimizer
    rounds: int

    @classmethod
    def of(cls, experiment: Experiment) -> ClientRunner:
        config, method = experiment.config, Hooks(experiment.algorithm)
        return cls(experiment.trainer(), method, client_optimizer(config.client), config.rounds)

    def run(self, sent: Broadcast, assignment: Assignment, state: State) -> Upload:
        """state: the client's own before this round; its entries may be replaced."""
        return self.run_by(self._alone, sent, assignment, state)

    def run_by(
        self,
        learn: Callable[[Asked], Learned],
        sent: Broadcast,
        assignment: Assignment,
        state: State,
    ) -> Upload:
        """`run`, where `learn` does the trainings."""
        began = time.perf_counter()
        place = client_place(assignment.client, sent.round)
        made = self._contribution(learn, sent, assignment, state)
        decoded, problem = made.decoded(self.method, sent.weights, place)
        clock.lap(ALGORITHM)
        upload = Upload(made.work, payload_bytes(made.payload), time.perf_counter() - began)
        if problem is not None:
            upload.problem = problem
        else:
            upload.decoded, upload.state = decoded, made.state
        return upload

    def contribution(self, sent: Broadcast, assignment: Assignment, state: State) -> Contribution:
        """`run` as far as a client knows it: nothing of `sent` but what it received is used."""
        return self._contribution(self._alone, sent, assignment, state)

    def _contribution(
        self,
        learn: Callable[[Asked], Learned],
        sent: Broadcast,
        assignment: Assignment,
        state: State,
    ) -> Contribution:
        client, work = self._client(learn, sent, assignment, state)
        stateful = bool(state)
        payload = self.method.local_update(client, client_place(assignment.client, sent.round))
        kept = client.state if client.state or stateful else None
        problem = nonfinite(payload, "upload") or _loss_problem(work)
        return Contribution(payload, kept, work, problem or nonfinite(kept or {}, "state"))

    def _alone(self, asked: Asked) -> Learned:
        clock.lap(ALGORITHM)
        participation = self.trainer.begin(asked.course, asked.start, asked.correct)
        work = participation.advance()
        weights = self.trainer.model.weights.clone()
        clock.lap(SET_UP)
        return Learned(weights, tuple(participation.rates), work)

    def _client(
        self,
        learn: Callable[[Asked], Learned],
        sent: Broadcast,
        assignment: Assignment,
        state: State,
    ) -> tuple[Client, Work]:
        """The client as the method sees it, and the work that its trainings add up to."""
        trainer, work, passes = self.trainer, Work(), 0
        place = client_place(assignment.client, sent.round)

        def train(start: Tensor, correct: Correction | None) -> Trained:
            nonlocal passes, work
            course = trainer.course(
                assignment.examples,
                round=sent.round,
                client=assignment.client,
                span=Span(sent.round, self.rounds),
                stream=f" {passes}" if passes else "",
            )
            passes += 1
            with torch.enable_grad():  # a hook may stand in torch.no_grad()
                learned = learn(Asked(course, start, self.method.checked(correct, place)))
            work += learned.work
            rates = learned.rates
            return Trained(learned.weights, len(rates), sum(rates), rates)

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


def in_turn(done: dict[int, Upload], first: int) -> Iterator[Upload]:
    """Takes out the uploads of `done` that are next, from position `first` of the cohort."""
    while first in done:
        yield done.pop(first)
        first += 1


def client_place(client: int, round: int) -> str:
    """How a client of a round (from 0) is named in messages."""
    return f"client {client}, round {round + 1}"


def payload_bytes(payload: State) -> int:
    """Size of the encoded tensors in bytes."""
    return sum(tensor.numel() * tensor.element_size() for tensor in payload.values())


def _loss_problem(work: Work) -> str | None:
    return None if math.isfinite(work.loss_sum) else "its training loss is not finite"
