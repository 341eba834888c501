"""The order of a training's batches: the same for every method that trains these examples."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fednlp.config import ClientConfig
from fednlp.random_streams import generator
from tasks.batches import Plan, PlannedBatch, epoch_plan, token_budget_plan
from tasks.token_store import TokenStore


@dataclass(frozen=True)
class BatchOrder:
    """Batches of `examples` [n], epoch after epoch, drawn from the stream of `coordinates`."""

    store: TokenStore
    examples: np.ndarray
    settings: ClientConfig
    seed: int
    coordinates: tuple[int, int]  # round, client
    stream: str = ""

    def __iter__(self) -> Iterator[PlannedBatch]:
        for epoch in itertools.count():
            yield from self.epoch(epoch)

    def epoch(self, number: int) -> Plan:
        rng = generator(self.seed, f"data order{self.stream}", *self.coordinates, number)
        if self.settings.batch_tokens is None:
            return epoch_plan(self.store, self.examples, self.settings.batch_size, rng)
        return token_budget_plan(self.store, self.examples, self.settings.batch_tokens, rng)

    def steps(self, budget: int) -> int:
        """Batches until at least `budget` examples have been processed; none is cut."""
        full, rest = divmod(budget, len(self.examples))
        if self.settings.batch_tokens is None:
            size = self.settings.batch_size
            return full * math.ceil(len(self.examples) / size) + math.ceil(rest / size)
        steps = sum(len(self.epoch(number)) for number in range(full))
        if rest:
            steps += 1 + int(np.searchsorted(np.cumsum(self.epoch(full).examples), rest))
        return steps
