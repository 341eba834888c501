"""The local trainings of several clients at once.

The same steps as a `Participation` takes, for K clients: the batches of each client's own order,
its own rates, its gradient clipped by its own norm, torch's optimizers row by row. Without dropout
the results are those of training one by one up to rounding, since products are summed in another
order; with dropout the draws are others. A client with fewer steps leaves: its weights are not
touched any more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fednlp.engines.client import Asked, Learned
from fednlp.local_training import LocalTrainer, Work
from fednlp.profile import ALGORITHM, OPTIMIZER, SET_UP, clock
from fednlp.random_streams import TorchRandomState, integer_seed
from fednlp.step import TOKENS_PER_PASS
from fednlp.together.batches import joint
from fednlp.together.module import NotTogether, clients_module
from fednlp.together.rows import ModelRows
from fednlp.together.steps import JointSteps
from tasks.batches import evaluation_plan
from tasks.task import evaluating


class TogetherTrainer:
    """Trains up to `clients` participations of a run's `LocalTrainer` at once.

    Raises:
        NotTogether: the model has trained layers that cannot hold the weights of several clients,
            or reads weights around its layers.
    """

    def __init__(self, trainer: LocalTrainer, clients: int) -> None:
        self.trainer = trainer
        self.rows = ModelRows(trainer.model, clients)
        self.module = clients_module(trainer.model, self.rows)
        self.steps = JointSteps(trainer, self.rows, self.module)
        self._check()

    def _check(self) -> None:
        """Compares the losses of an example with those of the model itself, for two clients."""
        model, task, rows = self.trainer.model, self.trainer.task, self.rows
        before, store = model.weights.clone(), self.trainer.store
        count = min(2, rows.clients)
        one = evaluation_plan(store, np.zeros(1, np.int64), 1)[0]
        expected = []
        try:
            with evaluating(model.module), evaluating(self.module):
                for k in range(count):
                    rows.weights[k] = before * (1.0 + 0.1 * k)
                    model.load(rows.weights[k])
                    expected.append(task.row_loss(model.module, task.collate(store, one)))
                rows.active = count
                (part,) = joint([one] * count, TOKENS_PER_PASS, (count, len(one.rows)))
                rows.batch = part.batch
                found = task.row_loss(self.module, task.collate(store, part.planned))
        except (RuntimeError, ValueError) as error:
            raise NotTogether(str(error).partition("\n")[0]) from error
        finally:
            model.load(before)
        if not torch.allclose(found, torch.cat(expected), rtol=1e-3, atol=1e-4):
            raise NotTogether("its layers do not read all of their weights themselves")

    def train(self, asked: Sequence[Asked]) -> list[Learned]:
        """The outcomes of at most K trainings, in their order."""
        order = sorted(range(len(asked)), key=lambda k: -asked[k].course.steps)
        ordered = [asked[k] for k in order]
        found = self._train(ordered)
        learned = dict(zip(order, found, strict=True))
        return [learned[k] for k in range(len(asked))]

    def _train(self, asked: list[Asked]) -> list[Learned]:
        """asked: the longest first."""
        trainer, rows = self.trainer, self.rows
        clock.lap(ALGORITHM)
        for k, one in enumerate(asked):
            rows.weights[k] = one.start
        clock.lap(SET_UP)
        self.steps.begin()
        clock.lap(OPTIMIZER)  # as one by one, where the first step makes the moments
        work = [Work() for _ in asked]
        rates: list[list[float]] = [[] for _ in asked]
        ends: list[Tensor] = [torch.empty(0)] * len(asked)
        plans = [one.course.batches() for one in asked]
        first = asked[0].course
        seed = integer_seed(trainer.seed, f"dropout{first.stream}", *first.coordinates)
        clock.lap(SET_UP)
        with TorchRandomState(seed, trainer.model.device).active(), self.steps.active():
            for step in range(first.steps):
                active = [one for one in asked if one.course.steps > step]
                batches = [next(plan) for plan in plans[: len(active)]]
                applied = [one.course.rate(step) for one in active]
                padded = self.steps.take(active, batches, applied)
                for k, batch in enumerate(batches):
                    rates[k].append(applied[k])
                    work[k] += Work(batch.examples, 1, batch.real_tokens, padded)
                    if active[k].course.steps == step + 1:
                        ends[k] = rows.weights[k].clone()
        losses, corrections = self.steps.sums()
        for k, done in enumerate(work):
            done.loss_sum, done.correction_sum = losses[k], corrections[k]
        clock.lap(SET_UP)
        return [Learned(ends[k], tuple(rates[k]), done) for k, done in enumerate(work)]
