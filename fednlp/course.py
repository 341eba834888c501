"""What a local training will go through: its batches in order, and the rate of every step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fednlp.config import ClientConfig
from fednlp.random_streams import generator
from fednlp.schedule import factor
from tasks.batches import PlannedBatch, epoch_plan
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

    @property
    def steps(self) -> int:
        """Optimizer steps until the budget is spent."""
        full, rest = divmod(self.budget, len(self.examples))
        per_epoch = math.ceil(len(self.examples) / self.settings.batch_size)
        return full * per_epoch + math.ceil(rest / self.settings.batch_size)

    def batches(self) -> Iterator[PlannedBatch]:
        """Epoch after epoch, without end."""
        epoch = 0
        while True:
            rng = generator(self.seed, f"data order{self.stream}", *self.coordinates, epoch)
            yield from epoch_plan(self.store, self.examples, self.settings.batch_size, rng)
            epoch += 1

    def rate(self, done: int) -> float:
        """The learning rate of the step after `done` steps."""
        settings, step = self.settings, 1.0 / self.steps
        progress = done * step
        if settings.schedule_span == "run":
            progress = (self.span.first + progress) / self.span.of
            step /= self.span.of
        return settings.lr * factor(settings.schedule, progress, step, settings.warmup)
