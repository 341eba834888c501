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
from fednlp.profile import ALGORITHM, DATA, FORWARD_BACKWARD, OPTIMIZER, SET_UP, clock
from fednlp.random_streams import TorchRandomState, integer_seed
from fednlp.step import TOKENS_PER_PASS, apply, autocast
from fednlp.together.batches import JointBatch, joint, padded_tokens
from fednlp.together.module import NotTogether, clients_module
from fednlp.together.optimizers import RowsOptimizer
from fednlp.together.rows import ModelRows
from tasks.batches import PlannedBatch, evaluation_plan
from tasks.task import evaluating


class CorrectionFailed(Exception):
    """The correction of one of the trainings raised; that is the cause."""

    def __init__(self, asked: Asked) -> None:
        super().__init__()
        self.asked = asked


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
        self._optimizer = RowsOptimizer(self.rows, trainer.model.decayed, trainer.settings)
        self._losses = torch.zeros(clients, device=trainer.model.device)  # over examples
        self._corrections = torch.zeros_like(self._losses)
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
                (part,) = joint([one] * count, TOKENS_PER_PASS)
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
        trainer, rows, count = self.trainer, self.rows, len(asked)
        clock.lap(ALGORITHM)
        for k, one in enumerate(asked):
            rows.weights[k] = one.start
        clock.lap(SET_UP)
        self._optimizer.begin()
        clock.lap(OPTIMIZER)  # as one by one, where the first step makes the moments
        work = [Work() for _ in asked]
        rates: list[list[float]] = [[] for _ in asked]
        plans = [one.course.batches() for one in asked]
        self._losses.zero_()
        self._corrections.zero_()
        first = asked[0].course
        seed = integer_seed(trainer.seed, f"dropout{first.stream}", *first.coordinates)
        clock.lap(SET_UP)
        with TorchRandomState(seed, trainer.model.device).active():
            for step in range(first.steps):
                active = [one for one in asked if one.course.steps > step]
                batches = [next(plan) for plan in plans[: len(active)]]
                applied = [one.course.rate(step) for one in active]
                padded = self._step(active, batches, applied)
                for k, batch in enumerate(batches):
                    rates[k].append(applied[k])
                    work[k] += Work(batch.examples, 1, batch.real_tokens, padded)
        losses, corrections = self._losses.tolist(), self._corrections.tolist()
        for k, done in enumerate(work):
            done.loss_sum, done.correction_sum = losses[k], corrections[k]
        learned = [Learned(rows.weights[k].clone(), tuple(rates[k]), work[k]) for k in range(count)]
        clock.lap(SET_UP)
        return learned

    def _step(self, active: list[Asked], batches: list[PlannedBatch], rates: list[float]) -> int:
        """One step of the first clients; returns the padded tokens of each."""
        rows, settings, count = self.rows, self.trainer.settings, len(active)
        gradient = rows.gradient[:count]
        clock.lap(DATA)
        gradient.zero_()
        clock.lap(OPTIMIZER)
        rows.active = count
        passes = joint(batches, TOKENS_PER_PASS)
        examples = torch.tensor([float(b.examples) for b in batches], device=gradient.device)
        for part in passes:
            means = self._means(part)
            means.sum().backward()
            self._losses[:count] += means.detach() * examples
            clock.lap(FORWARD_BACKWARD)
        for k, one in enumerate(active):
            if one.correct is not None:
                try:
                    self._corrections[k] += apply(one.correct, gradient[k], rows.weights[k])
                except BaseException as error:
                    raise CorrectionFailed(one) from error
        clock.lap(ALGORITHM)
        if settings.clip_norm is not None:
            clip_(gradient, settings.clip_norm)
        self._optimizer.step(rates)
        clock.lap(OPTIMIZER)
        return padded_tokens(passes)

    def _means(self, part: JointBatch) -> Tensor:
        """The mean loss of every client's examples: [active]."""
        trainer, rows = self.trainer, self.rows
        rows.batch = part.batch
        batch = trainer.task.collate(trainer.store, part.planned)
        share = torch.from_numpy(part.share).to(batch.row_weight.device)
        clock.lap(DATA)
        with autocast(trainer.precision, trainer.model.device):
            losses = trainer.task.row_loss(self.module, batch)
        return (losses * (batch.row_weight * share)).view(rows.active, -1).sum(1)


def clip_(gradient: Tensor, most: float) -> None:
    """`torch.nn.utils.clip_grad_norm_` for every row of gradient [K, P]."""
    norms = torch.linalg.vector_norm(gradient, dim=1)
    gradient.mul_((most / (norms + 1e-6)).clamp(max=1.0).unsqueeze(1))
