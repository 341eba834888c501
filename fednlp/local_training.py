"""Local training: what one client does in a round, and what the centralized run does throughout.

Both are a `Participation`: one uninterrupted training from a start vector with a fresh optimizer.
A client's participation lasts its local epochs; the centralized one lasts the whole run and only
pauses at evaluation points. Order of a step for every method: gradient, the method's correction,
clipping, optimizer (design 3.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from fednlp.compiled import CompiledModule
from fednlp.config_schema import ClientConfig
from fednlp.course import WHOLE_RUN, Course, Span
from fednlp.cuda_graphs import Graphs, Recorder
from fednlp.flat_model import FlatModel
from fednlp.occurring_rows import restrict, restricted_table
from fednlp.profile import SET_UP, clock
from fednlp.random_streams import TorchRandomState, integer_seed
from fednlp.static_step import StaticSteps
from fednlp.step import Correction, OptimizerState, PlainSteps, Steps
from tasks.batches import PlannedBatch
from tasks.task import Task
from tasks.token_store import TokenStore

TakenSteps = Literal["plain", "static", "graphs"]


@dataclass
class Work:
    """What a training did; values that add up."""

    examples: int = 0
    steps: int = 0
    real_tokens: int = 0
    padded_tokens: int = 0
    loss_sum: float = 0.0  # over examples
    correction_sum: float = 0.0  # over steps of |corrected - gradient| / |gradient|

    def __iadd__(self, other: Work) -> Work:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self


@dataclass
class LocalTrainer:
    """What all participations of a run share; one of them trains at a time.

    steps: how steps are taken: `plain` as torch does, `static` in memory that never moves and with
        few shapes, `graphs` the same, replayed on a GPU.
    compile: the model's forward through `torch.compile`.
    """

    model: FlatModel
    task: Task
    store: TokenStore
    settings: ClientConfig
    seed: int
    precision: str = "fp32"
    steps: TakenSteps = "plain"
    compile: bool = False

    @cached_property
    def module(self) -> Any:
        """What is trained: the model's module, perhaps compiled."""
        return CompiledModule(self.model.module) if self.compile else self.model.module

    @cached_property
    def table(self) -> nn.Embedding | None:
        """The embedding that a participation may restrict to the rows that occur in its data."""
        return restricted_table(self.model, self.store, self.settings)

    @cached_property
    def static_steps(self) -> StaticSteps:
        recorder = Recorder(self.model.device) if self.steps == "graphs" else None
        return StaticSteps(self, Graphs(recorder))

    def participate(
        self,
        examples: np.ndarray,
        start: Tensor,
        *,
        round: int,
        client: int,
        correct: Correction | None = None,
        budget: int | None = None,
        span: Span = WHOLE_RUN,
        stream: str = "",
        whole_vocabulary: bool = False,
    ) -> Participation:
        """A training of `budget` examples (default: the local epochs) from `start` [P].

        Args:
            examples: [n] int64 indices into the token store.
            round, client: coordinates of the random streams (data order, dropout).
            correct: the method's correction of a gradient.
            stream: names a further pass of the same client and round.
            whole_vocabulary: never restrict the embedding to the rows that occur.
        """
        course = self.course(examples, budget, round=round, client=client, span=span, stream=stream)
        return self.begin(course, start, correct, whole_vocabulary)

    def begin(
        self,
        course: Course,
        start: Tensor,
        correct: Correction | None = None,
        whole_vocabulary: bool = False,
    ) -> Participation:
        """`participate` for a course."""
        self.model.load(start)
        made = Participation(self, course, self._begin(course, correct, whole_vocabulary))
        clock.lap(SET_UP)
        return made

    def _begin(self, course: Course, correct: Correction | None, whole_vocabulary: bool) -> Steps:
        if self.steps != "plain":
            return self.static_steps.begin(correct)
        rows = None
        # Corrections see all weights; compiled code is made for the weights' shapes.
        whole = whole_vocabulary or correct is not None or self.compile
        if not whole and self.table is not None:
            rows = restrict(self.model, self.table, self.store, course.examples)
        return PlainSteps(self, correct, rows)

    def course(
        self,
        examples: np.ndarray,
        budget: int | None = None,
        *,
        round: int,
        client: int,
        span: Span = WHOLE_RUN,
        stream: str = "",
    ) -> Course:
        """What a participation of these arguments goes through."""
        return Course(
            self.store,
            self.settings,
            self.seed,
            examples,
            budget or len(examples) * self.settings.epochs,
            (round, client),
            span,
            stream,
        )


@dataclass
class Participation:
    trainer: LocalTrainer
    course: Course
    steps: Steps
    done: Work = field(default_factory=Work)
    rates: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        trainer, course = self.trainer, self.course
        seed = integer_seed(trainer.seed, f"dropout{course.stream}", *course.coordinates)
        self.random_state = TorchRandomState(seed, trainer.model.device)
        self._planned = course.batches()

    def advance(self, until: int | None = None) -> Work:
        """Trains until at least `until` examples (default: the budget) have been processed.

        Returns the work of this stretch. A batch is never cut, so the budget can be passed by
        less than one batch.
        """
        budget = self.course.budget
        until = budget if until is None else min(until, budget)
        before = Work(**vars(self.done))
        module = self.trainer.model.module
        if not module.training:  # to set it in every layer takes a while
            module.train()
        with self.random_state.active(), self.steps.active():
            clock.lap(SET_UP)
            self.steps.run(self._batches(until))
        clock.lap(SET_UP)
        losses, corrections = self.steps.sums()  # one synchronisation per stretch
        self.done.loss_sum += losses
        self.done.correction_sum += corrections
        return Work(**{k: v - vars(before)[k] for k, v in vars(self.done).items()})

    def _batches(self, until: int) -> Iterator[tuple[PlannedBatch, float]]:
        """The next batches and their learning rates, which count as done."""
        while self.done.examples < until:
            planned = self.steps.shaped(next(self._planned))
            rate = self.course.rate(self.done.steps)
            self.rates.append(rate)
            self.done += Work(planned.examples, 1, planned.real_tokens, planned.padded_tokens)
            yield planned, rate

    def tensors(self) -> dict[str, Tensor]:
        """All that is needed to continue: weights, optimizer state, dropout stream, position."""
        state: dict[str, Tensor] = {
            "weights": self.trainer.model.weights,
            "random_state": self.random_state.state,
            "rates": torch.tensor(self.rates, dtype=torch.float64),
            "work": torch.tensor(list(vars(self.done).values()), dtype=torch.float64),
        }
        for index, values in self.steps.optimizer.state_dict()["state"].items():
            for name, value in values.items():
                if value is not None:
                    state[f"optimizer/{index}/{name}"] = value
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continues from `tensors()`: the same position in the batch plan, the same bits."""
        self.trainer.model.load(state["weights"])
        self.random_state.state = state["random_state"]
        self.rates = state["rates"].tolist()
        values: OptimizerState = {}
        for key, tensor in state.items():
            if key.startswith("optimizer/"):
                _, index, name = key.split("/")
                values.setdefault(int(index), {})[name] = tensor
        self.steps.restore(values)
        numbers = state["work"].tolist()
        counts = [int(n) for n in numbers[:4]]
        self.done = Work(*counts, *numbers[4:])
        for _ in range(self.done.steps):
            next(self._planned)
