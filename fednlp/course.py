"""What a local training will go through: its batches in order, and the rate of every step."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fednlp.config_schema import ClientConfig
from fednlp.random_streams import generator
from fednlp.schedule import factor
from tasks.batches import (
    Plan,
    PlannedBatch,
    class_by_class_plan,
    epoch_plan,
    token_budget_plan,
)
from tasks.token_store import TokenStore


@dataclass(frozen=True)
class Span:
    """Which part of the schedule a participation covers: rounds [first, first + 1) of `of`."""

    first: int = 0
    of: int = 1


WHOLE_RUN = Span()


@dataclass(frozen=True, eq=False)
class Course:
    """One participation as it is known before it begins.

    Attributes:
        examples: [n] int64 indices into the store.
        budget: examples to be processed.
        seed, coordinates, stream: of the data order; coordinates are round and client.
    """

    store: TokenStore
    settings: ClientConfig
    seed: int
    examples: np.ndarray
    budget: int
    coordinates: tuple[int, int]
    span: Span = WHOLE_RUN
    stream: str = ""

    @cached_property
    def steps(self) -> int:
        """Optimizer steps until the budget is spent; a batch is never cut."""
        full, rest = divmod(self.budget, len(self.examples))
        if self.settings.batch_tokens is None:
            size = self.settings.batch_size
            return full * math.ceil(len(self.examples) / size) + math.ceil(rest / size)
        steps = sum(len(self.epoch(number)) for number in range(full))
        if rest:
            steps += 1 + int(np.searchsorted(np.cumsum(self.epoch(full).examples), rest))
        return steps

    def batches(self) -> Iterator[PlannedBatch]:
        """Epoch after epoch, without end."""
        for number in itertools.count():
            yield from self.epoch(number)

    def epoch(self, number: int) -> Plan:
        rng = generator(self.seed, f"data order{self.stream}", *self.coordinates, number)
        if self.settings.order == "by_class":
            return class_by_class_plan(self.store, self.examples, self.settings.batch_size, rng)
        if self.settings.batch_tokens is None:
            return epoch_plan(self.store, self.examples, self.settings.batch_size, rng)
        return token_budget_plan(self.store, self.examples, self.settings.batch_tokens, rng)

    def rate(self, done: int) -> float:
        """The learning rate of the step after `done` steps."""
        settings, step = self.settings, 1.0 / self.steps
        progress = done * step
        if settings.schedule_span == "run":
            progress = (self.span.first + progress) / self.span.of
            step /= self.span.of
        return settings.lr * factor(settings.schedule, progress, step, settings.warmup)
