"""The steps of a local training: gradient, the method's correction, clipping, optimizer.

`PlainSteps` serves one participation and makes its optimizer afresh; it is what runs on a CPU.
`StaticSteps` (fednlp/static_step.py) does the same in memory that never moves, for a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from fednlp.config_schema import ClientConfig
from fednlp.occurring_rows import OccurringRows
from fednlp.profile import ALGORITHM, DATA, FORWARD_BACKWARD, OPTIMIZER, clock
from tasks.batches import PlannedBatch

if TYPE_CHECKING:
    from fednlp.local_training import LocalTrainer

TOKENS_PER_PASS = 32_768  # padded; a larger batch is summed up in several passes

Correction = Callable[[Tensor, Tensor], Tensor]
OptimizerState = dict[int, dict[str, Tensor]]  # parameter number -> name -> tensor


class Steps(Protocol):
    """optimizer: of torch, over slices of the flat weights: decayed ones first."""

    optimizer: torch.optim.Optimizer

    def shaped(self, planned: PlannedBatch) -> PlannedBatch:
        """The batch as it will be computed: perhaps with rows that weigh nothing."""

    def run(self, steps: Iterable[tuple[PlannedBatch, float]]) -> None:
        """Takes a step for every shaped batch, at its learning rate."""

    def active(self) -> AbstractContextManager[object]:
        """Where `run` is called."""

    def sums(self) -> tuple[float, float]:
        """Of the steps since the last call: losses, and relative changes by the correction."""

    def restore(self, state: OptimizerState) -> None:
        """Puts the optimizer where `optimizer.state_dict()["state"]` said."""


class PlainSteps:
    def __init__(
        self, trainer: LocalTrainer, correct: Correction | None, rows: OccurringRows | None
    ) -> None:
        self.trainer, self.correct, self.rows = trainer, correct, rows
        model = trainer.model
        decayed = [model.leaf(slice(0, model.decayed) if rows is None else rows.rest)]
        if rows is not None:
            decayed.insert(0, rows.leaf)
        plain = model.leaf(slice(model.decayed, None))
        self._leaves = [*decayed, plain]
        self.optimizer = make_optimizer(trainer.settings, decayed, plain)
        self._sums = torch.zeros(2, device=model.device)

    def shaped(self, planned: PlannedBatch) -> PlannedBatch:
        return planned

    def run(self, steps: Iterable[tuple[PlannedBatch, float]]) -> None:
        for planned, rate in steps:
            clock.lap(DATA)
            self._take(planned, rate)

    def active(self) -> AbstractContextManager[object]:
        return self.rows.installed() if self.rows is not None else nullcontext()

    def sums(self) -> tuple[float, float]:
        return read(self._sums)

    def restore(self, state: OptimizerState) -> None:
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})

    def _take(self, planned: PlannedBatch, rate: float) -> None:
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
                partial = trainer.task.loss(trainer.module, batch)
            (partial / planned.examples).backward()
            loss += partial.detach()
            clock.lap(FORWARD_BACKWARD)
        if self.correct is not None:
            self._sums[1].add_(apply(self.correct, model.gradient, model.weights))
            clock.lap(ALGORITHM)
        clip(self._leaves, settings.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        if self.rows is not None:
            self.rows.decay *= 1.0 - rate * settings.weight_decay
        self._sums[0].add_(loss)
        clock.lap(OPTIMIZER)


def make_optimizer(
    settings: ClientConfig, decayed: list[Any], plain: Any, rate: Tensor | None = None
) -> torch.optim.Optimizer:
    """The client optimizer over leaves with and without weight decay.

    rate: where the learning rate stands, for steps that are recorded; default: a plain number.
    """
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": [plain], "weight_decay": 0.0},
    ]
    lr = settings.lr if rate is None else rate
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=lr, fused=True, capturable=rate is not None)
    return torch.optim.SGD(groups, lr=lr, momentum=settings.momentum, fused=True)


def apply(correct: Correction, gradient: Tensor, weights: Tensor) -> Tensor:
    """Corrects a gradient [P] in place; returns |corrected - gradient| / |gradient|."""
    corrected = correct(gradient, weights)
    change = torch.linalg.vector_norm(corrected - gradient)
    ratio = change / torch.linalg.vector_norm(gradient).clamp_min(1e-12)
    gradient.copy_(corrected)
    return ratio


def clip(leaves: list[Any], norm: float | None) -> None:
    """Scales the gradients down to a common norm; None: no limit."""
    if norm is not None:
        torch.nn.utils.clip_grad_norm_(leaves, norm)


def read(sums: Tensor) -> tuple[float, float]:
    """The values of [2], which begin anew: one synchronisation."""
    losses, corrections = sums.tolist()
    sums.zero_()
    return losses, corrections


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """bf16 by autocast only; master weights stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
