"""Steps in memory that never moves, so that a GPU can replay them as graphs.

Weights, gradient, optimizer state, sums, and what a step is told (rows of the token store, real
rows, examples, learning rate) keep their places for all participations of a trainer. Rows come in
a few counts only: the last are fill that weighs nothing. A step is recorded in two halves, the
gradient (one graph per shape, gathering of the batch included) and the update. Between them the
method's correction runs as it is written: it may replace a client's tensors (SCAFFOLD sums up
gradients that way), where a recording would go on reading the old ones. So the graphs serve every
method and client.

The embedding keeps all its rows here. Those that occur are others for every client, so their
table would change its shape, and to find them the host would wait for the GPU.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from fednlp.config_schema import ClientConfig
from fednlp.cuda_graphs import Graphs
from fednlp.profile import ALGORITHM, DATA, FORWARD_BACKWARD, OPTIMIZER, clock
from fednlp.step import (
    TOKENS_PER_PASS,
    Correction,
    OptimizerState,
    apply,
    autocast,
    clip,
    make_optimizer,
    read,
)
from tasks.batches import PlannedBatch
from tasks.token_store import send

if TYPE_CHECKING:
    from fednlp.local_training import LocalTrainer

AHEAD = 256  # steps that are sent to the device at once


class StaticSteps:
    """Steps of one participation after another; `begin` starts the next one."""

    def __init__(self, trainer: LocalTrainer, graphs: Graphs) -> None:
        self.trainer, self.graphs = trainer, graphs
        self.correct: Correction | None = None
        model = trainer.model
        self._told = torch.zeros(3, device=model.device)  # real rows, examples, learning rate
        self._rows: dict[int, Tensor] = {}  # count -> [count] int64
        self._sums = torch.zeros(2, device=model.device)
        cuts = slice(0, model.decayed), slice(model.decayed, None)
        self._leaves = [model.leaf(cut) for cut in cuts]
        decayed, plain = self._leaves
        self.optimizer = make_optimizer(trainer.settings, [decayed], plain, self._told[2])
        # A step outside a recording is meant here: torch need not warn of it.
        self.optimizer._warned_capturable_if_run_uncaptured = True
        for leaf in self._leaves:
            self.optimizer.state[leaf] = self._fresh(leaf)

    def begin(self, correct: Correction | None) -> StaticSteps:
        """A fresh optimizer, in the old one's place."""
        self.correct = correct
        state = [t for leaf in self._leaves for t in self._state(leaf).values()]
        torch._foreach_zero_([self._sums, *state])
        return self

    def shaped(self, planned: PlannedBatch) -> PlannedBatch:
        wanted = few_counts(len(planned.rows), self.trainer.settings)
        width = planned.length + planned.target_length
        return planned if wanted * width > TOKENS_PER_PASS else planned.with_rows(wanted)

    def run(self, steps: Iterable[tuple[PlannedBatch, float]]) -> None:
        steps = iter(steps)
        while chunk := list(islice(steps, AHEAD)):
            batches = [planned for planned, _ in chunk]
            told = [[len(p.rows) - p.fill, p.examples, rate] for p, rate in chunk]
            flat = np.concatenate([planned.rows for planned in batches])
            device = self.trainer.model.device
            rows = send(flat, device).split([len(planned.rows) for planned in batches])
            numbers = send(np.array(told, np.float32), device).unbind()
            clock.lap(DATA)
            for planned, which, number in zip(batches, rows, numbers, strict=True):
                self._told.copy_(number)
                self._take(planned, which)

    def active(self) -> AbstractContextManager[object]:
        return self.graphs.active()

    def sums(self) -> tuple[float, float]:
        return read(self._sums)

    def restore(self, state: OptimizerState) -> None:
        for number, leaf in enumerate(self._leaves):
            for name, value in self._state(leaf).items():
                value.copy_(state[number][name])

    def _take(self, planned: PlannedBatch, which: Tensor) -> None:
        parts = planned.passes(TOKENS_PER_PASS)
        if len(parts) == 1:
            rows = self._kept(which)
            # What is recorded must not know more of a batch than its sizes.
            sizes = replace(planned, rows=planned.rows[:0], examples=0)
            shape = len(which), planned.length, planned.target_length
            self.graphs.run(shape, lambda: self._gradient(rows, sizes, first=True))
        else:  # too large for launches to matter
            begin = 0
            for part in parts:
                end = begin + len(part.rows)
                self._gradient(which[begin:end], part, first=begin == 0)
                begin = end
        clock.lap(FORWARD_BACKWARD)
        if self.correct is not None:
            model = self.trainer.model
            self._sums[1].add_(apply(self.correct, model.gradient, model.weights))
            clock.lap(ALGORITHM)
        self.graphs.run("update", self._update)
        clock.lap(OPTIMIZER)

    def _gradient(self, rows: Tensor, sizes: PlannedBatch, first: bool) -> None:
        """Adds the gradient of rows [B] of the store; the first ones begin at zero."""
        trainer = self.trainer
        if first:
            trainer.model.gradient.zero_()
        real, examples, _ = self._told.unbind()
        batch = trainer.task.gather(trainer.store, rows, sizes)
        batch.row_weight *= torch.arange(len(rows), device=rows.device) < real
        with autocast(trainer.precision, trainer.model.device):
            loss = trainer.task.loss(trainer.module, batch)
        (loss / examples).backward()
        self._sums[0].add_(loss.detach())

    def _update(self) -> None:
        clip(self._leaves, self.trainer.settings.clip_norm)
        self.optimizer.step()

    def _kept(self, which: Tensor) -> Tensor:
        """`which` [B], copied to the place of its count."""
        if len(which) not in self._rows:
            self._rows[len(which)] = torch.empty_like(which)
        return self._rows[len(which)].copy_(which)

    def _fresh(self, leaf: Tensor) -> dict[str, Tensor]:
        """What torch's fused optimizers begin with; a momentum of zero is their first one."""
        settings = self.trainer.settings
        if settings.optimizer == "adamw":
            state = {name: torch.zeros_like(leaf.data) for name in ("exp_avg", "exp_avg_sq")}
            return {"step": torch.zeros((), device=leaf.device), **state}
        return {"momentum_buffer": torch.zeros_like(leaf.data)} if settings.momentum else {}

    def _state(self, leaf: Tensor) -> dict[str, Tensor]:
        return self.optimizer.state[leaf]


def few_counts(count: int, settings: ClientConfig) -> int:
    """Rows of a batch, up to a quarter of a full one, or an eighth of a batch by tokens."""
    step = settings.batch_size // 4
    if settings.batch_tokens is not None:
        step = 2 ** (count.bit_length() - 1) // 8
    return -(-count // max(1, step)) * max(1, step)
