"""A step of several clients at once: gradient, each one's correction, clipping, optimizer.

As the steps of one client alone, and on a GPU as its static ones (fednlp/static_step.py): in memory
that never moves, with few shapes, so that gradient and update can be replayed as graphs. The
corrections between them run client by client, as they are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fednlp.cuda_graphs import Graphs, Recorder
from fednlp.engines.client import Asked
from fednlp.local_training import LocalTrainer
from fednlp.profile import ALGORITHM, DATA, FORWARD_BACKWARD, OPTIMIZER, clock
from fednlp.static_step import few_counts
from fednlp.step import TOKENS_PER_PASS, apply, autocast
from fednlp.together.batches import JointBatch, joint, padded_tokens
from fednlp.together.optimizers import RowsOptimizer
from fednlp.together.rows import ModelRows
from tasks.batches import PlannedBatch
from tasks.token_store import send


class CorrectionFailed(Exception):
    """The correction of one of the trainings raised; that is the cause."""

    def __init__(self, asked: Asked) -> None:
        super().__init__()
        self.asked = asked


class JointSteps:
    """Steps of one group of clients after another; `begin` starts the next group.

    module: reads the weights of `rows`.
    """

    def __init__(self, trainer: LocalTrainer, rows: ModelRows, module: Any) -> None:
        self.trainer, self.rows, self.module = trainer, rows, module
        device = trainer.model.device
        self.graphs = Graphs(Recorder(device) if trainer.steps == "graphs" else None)
        self._optimizer = RowsOptimizer(rows, trainer.model.decayed, trainer.settings)
        self._told = torch.zeros(2, rows.clients, device=device)  # examples, learning rates
        self._sums = torch.zeros(2, rows.clients, device=device)  # losses, changes by corrections
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}  # count -> rows of the store, shares

    def begin(self) -> None:
        """Fresh optimizers, in the old ones' place."""
        self._optimizer.begin()
        self._sums.zero_()

    def active(self) -> AbstractContextManager[object]:
        """Where `take` is called."""
        return self.graphs.active()

    def sums(self) -> tuple[list[float], list[float]]:
        """Per client since `begin`: losses, and relative changes by the correction."""
        losses, corrections = self._sums.tolist()
        return losses, corrections

    def take(self, active: list[Asked], batches: list[PlannedBatch], rates: list[float]) -> int:
        """One step of the first clients; returns the padded tokens of each.

        Where shapes have to be few, clients that have ended may take part with rows that weigh
        nothing; what becomes of their weights is nobody's.
        """
        shape = self._shape(batches)
        count = self.rows.active = shape[0]
        passes = joint(batches, TOKENS_PER_PASS, shape)
        rates = rates + rates[:1] * (count - len(batches))
        examples = [batch.examples for batch in batches] + [0] * (count - len(batches))
        told = send(np.array([examples, rates], np.float32), self._told.device)
        self._told[:, :count].copy_(told)
        clock.lap(DATA)
        if len(passes) == 1:
            self._recorded(passes[0])
        else:  # too large for launches to matter
            for part in passes:
                own, share = self._sent(part)
                self._gradient(own, share, part, first=part is passes[0])
        clock.lap(FORWARD_BACKWARD)
        self._correct(active)
        clock.lap(ALGORITHM)
        applied = self._rates(rates)
        one_rate = len(set(rates)) == 1
        self.graphs.run(("update", count, one_rate), lambda: self._update(applied))
        clock.lap(OPTIMIZER)
        return padded_tokens(passes)

    def _shape(self, batches: Sequence[PlannedBatch]) -> tuple[int, int]:
        """Clients, and rows of each: up to a quarter of all clients, and of a batch."""
        clients, count = len(batches), max(len(batch.rows) for batch in batches)
        if self.trainer.steps == "plain":
            return clients, count
        quarter = max(1, self.rows.clients // 4)
        clients = min(self.rows.clients, -(-clients // quarter) * quarter)
        return clients, few_counts(count, self.trainer.settings)

    def _recorded(self, part: JointBatch) -> None:
        own, share = self._sent(part)
        if len(own) not in self._kept:
            self._kept[len(own)] = torch.empty_like(own), torch.empty_like(share)
        kept_rows, kept_share = self._kept[len(own)]
        kept_rows.copy_(own)
        kept_share.copy_(share)
        # What is recorded must not know more of a batch than its sizes.
        sizes = replace(part, planned=replace(part.planned, rows=part.planned.rows[:0]))
        shape = self.rows.active, part.batch, part.planned.length, part.planned.target_length
        self.graphs.run(shape, lambda: self._gradient(kept_rows, kept_share, sizes, first=True))

    def _sent(self, part: JointBatch) -> tuple[Tensor, Tensor]:
        device = self.trainer.store.device
        return send(part.planned.rows, device), send(part.share, device)

    def _gradient(self, own: Tensor, share: Tensor, part: JointBatch, first: bool) -> None:
        """Adds the gradients of rows [active * B] of the store; the first ones begin at zero."""
        trainer, rows = self.trainer, self.rows
        if first:
            rows.gradient[: rows.active].zero_()
        rows.batch = part.batch
        batch = trainer.task.gather(trainer.store, own, part.planned)
        with autocast(trainer.precision, trainer.model.device):
            losses = trainer.task.row_loss(self.module, batch)
        means = (losses * (batch.row_weight * share)).view(rows.active, -1).sum(1)
        means.sum().backward()
        examples = self._told[0, : rows.active]
        self._sums[0, : rows.active] += torch.where(examples > 0, means.detach() * examples, 0.0)

    def _correct(self, active: list[Asked]) -> None:
        gradient, weights = self.rows.gradient, self.rows.weights
        for k, one in enumerate(active):
            if one.correct is not None:
                try:
                    self._sums[1, k] += apply(one.correct, gradient[k], weights[k])
                except BaseException as error:
                    raise CorrectionFailed(one) from error

    def _rates(self, rates: Sequence[float]) -> Sequence[float | Tensor]:
        """A rate per client; for steps that may be recorded, where it is told."""
        if self.trainer.steps == "plain":
            return rates
        told = self._told[1].unbind()[: len(rates)]
        return [told[0]] * len(rates) if len(set(rates)) == 1 else told

    def _update(self, rates: Sequence[float | Tensor]) -> None:
        most = self.trainer.settings.clip_norm
        if most is not None:
            clip_(self.rows.gradient[: len(rates)], most)
        self._optimizer.step(rates)


def clip_(gradient: Tensor, most: float) -> None:
    """`torch.nn.utils.clip_grad_norm_` for every row of gradient [K, P]."""
    norms = torch.linalg.vector_norm(gradient, dim=1)
    gradient.mul_((most / (norms + 1e-6)).clamp(max=1.0).unsqueeze(1))
