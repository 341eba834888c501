"""Local training: what one client does in a round, and what the centralized run does throughout.

Both are a `Participation`: one uninterrupted training from a start vector with a fresh optimizer.
A client's participation lasts its local epochs; the centralized one lasts the whole run and only
pauses at evaluation points. Order of a step for every method: gradient, the method's correction,
clipping, optimizer (design 3.2).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fednlp.config import ClientConfig
from fednlp.course import WHOLE_RUN, Course, Span
from fednlp.flat_model import FlatModel
from fednlp.occurring_rows import OccurringRows, restrict
from fednlp.profile import ALGORITHM, DATA, FORWARD_BACKWARD, OPTIMIZER, SET_UP, clock
from fednlp.random_streams import TorchRandomState, integer_seed
from tasks.batches import PlannedBatch
from tasks.task import Task
from tasks.token_store import TokenStore

TOKENS_PER_PASS = 32_768  # padded; a larger batch is summed up in several passes

Correction = Callable[[Tensor, Tensor], Tensor]


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
    """What all participations of a run share."""

    model: FlatModel
    task: Task
    store: TokenStore
    settings: ClientConfig
    seed: int
    precision: str = "fp32"

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
        rows = None
        if correct is None and not whole_vocabulary:  # corrections see all weights
            rows = restrict(self.model, self.store, course.examples, self.settings)
        made = Participation(self, course, correct, rows)
        clock.lap(SET_UP)
        return made

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
    correct: Correction | None
    rows: OccurringRows | None = None
    done: Work = field(default_factory=Work)
    rates: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        trainer, settings = self.trainer, self.trainer.settings
        course = self.course
        seed = integer_seed(trainer.seed, f"dropout{course.stream}", *course.coordinates)
        self.random_state = TorchRandomState(seed, trainer.model.device)
        decayed = slice(0, trainer.model.decayed) if self.rows is None else self.rows.rest
        leaves = [trainer.model.leaf(decayed)]
        if self.rows is not None:
            leaves.insert(0, self.rows.leaf)
        plain = trainer.model.leaf(slice(trainer.model.decayed, None))
        self._leaves = [*leaves, plain]
        groups = [
            {"params": leaves, "weight_decay": settings.weight_decay},
            {"params": [plain], "weight_decay": 0.0},
        ]
        self.optimizer: torch.optim.Optimizer
        if settings.optimizer == "adamw":
            self.optimizer = torch.optim.AdamW(groups, lr=settings.lr, fused=True)
        else:
            self.optimizer = torch.optim.SGD(
                groups, lr=settings.lr, momentum=settings.momentum, fused=True
            )
        self._planned = course.batches()
        self._losses = torch.zeros((), device=trainer.model.device)
        self._corrections = torch.zeros((), device=trainer.model.device)

    def advance(self, until: int | None = None) -> Work:
        """Trains until at least `until` examples (default: the budget) have been processed.

        Returns the work of this stretch. A batch is never cut, so the budget can be passed by
        less than one batch.
        """
        budget = self.course.budget
        until = budget if until is None else min(until, budget)
        before = Work(**vars(self.done))
        model = self.trainer.model
        model.module.train()
        with self.random_state.active(), self.rows.installed() if self.rows else nullcontext():
            clock.lap(SET_UP)
            while self.done.examples < until:
                planned = next(self._planned)
                clock.lap(DATA)
                self._step(planned)
        clock.lap(SET_UP)
        self.done.loss_sum += float(self._losses)  # one synchronisation per stretch
        self.done.correction_sum += float(self._corrections)
        self._losses.zero_()
        self._corrections.zero_()
        return Work(**{k: v - vars(before)[k] for k, v in vars(self.done).items()})

    def _step(self, planned: PlannedBatch) -> None:
        trainer, settings = self.trainer, self.trainer.settings
        model = trainer.model
        for leaf in self._leaves:
            leaf.grad.zero_()  # type: ignore[union-attr]
        clock.lap(OPTIMIZER)
        loss = torch.zeros((), device=model.device)
        for part in planned.passes(TOKENS_PER_PASS):
            batch = trainer.task.collate(trainer.store, part)
            if self.rows is not None:
                batch.inputs["input_ids"] = self.rows.index(batch.inputs["input_ids"])
            clock.lap(DATA)
            with autocast(trainer.precision, model.device):
                partial = trainer.task.loss(model.module, batch)
            (partial / planned.examples).backward()
            loss += partial.detach()
            clock.lap(FORWARD_BACKWARD)
        if self.correct is not None:
            self._corrections += apply(self.correct, model.gradient, model.weights)
            clock.lap(ALGORITHM)
        if settings.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self._leaves, settings.clip_norm)
        rate = self.course.rate(self.done.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        if self.rows is not None:
            self.rows.decay *= 1.0 - rate * settings.weight_decay
        self.rates.append(rate)
        self._losses += loss
        self.done += Work(planned.examples, 1, planned.real_tokens, planned.padded_tokens)
        clock.lap(OPTIMIZER)

    def tensors(self) -> dict[str, Tensor]:
        """All that is needed to continue: weights, optimizer state, dropout stream, position."""
        state: dict[str, Tensor] = {
            "weights": self.trainer.model.weights,
            "random_state": self.random_state.state,
            "rates": torch.tensor(self.rates, dtype=torch.float64),
            "work": torch.tensor(list(vars(self.done).values()), dtype=torch.float64),
        }
        for index, values in self.optimizer.state_dict()["state"].items():
            for name, value in values.items():
                if value is not None:
                    state[f"optimizer/{index}/{name}"] = value
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continues from `tensors()`: the same position in the batch plan, the same bits."""
        self.trainer.model.load(state["weights"])
        self.random_state.state = state["random_state"]
        self.rates = state["rates"].tolist()
        values: dict[int, dict[str, Any]] = {}
        for key, tensor in state.items():
            if key.startswith("optimizer/"):
                _, index, name = key.split("/")
                values.setdefault(int(index), {})[name] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": values})
        numbers = state["work"].tolist()
        counts = [int(n) for n in numbers[:4]]
        self.done = Work(*counts, *numbers[4:])
        for _ in range(self.done.steps):
            next(self._planned)


def apply(correct: Correction, gradient: Tensor, weights: Tensor) -> Tensor:
    """Corrects a gradient [P] in place; returns |corrected - gradient| / |gradient|."""
    corrected = correct(gradient, weights)
    change = torch.linalg.vector_norm(corrected - gradient)
    ratio = change / torch.linalg.vector_norm(gradient).clamp_min(1e-12)
    gradient.copy_(corrected)
    return ratio


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """bf16 by autocast only; master weights stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
