"""torch's client optimizers on the rows of many clients: its own formulas, each row by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from fednlp.config_schema import ClientConfig
from fednlp.together.rows import ModelRows


class RowsOptimizer:
    """`torch.optim.AdamW` or `SGD` as a participation makes it, for every row of `rows`.

    decayed: number of leading elements to which weight decay applies.
    """

    def __init__(self, rows: ModelRows, decayed: int, settings: ClientConfig) -> None:
        kind = _AdamW if settings.optimizer == "adamw" else _SGD
        self._groups: list[_AdamW | _SGD] = [
            kind(rows, slice(0, decayed), settings.weight_decay, settings.momentum),
            kind(rows, slice(decayed, None), 0.0, settings.momentum),
        ]

    def begin(self) -> None:
        """A fresh optimizer."""
        for group in self._groups:
            group.begin()

    def step(self, rates: Sequence[float | Tensor]) -> None:
        """One step of the first rows, each at its own rate; rows of the same one go together."""
        clients: dict[float | Tensor, list[int]] = defaultdict(list)
        for client, rate in enumerate(rates):
            clients[rate].append(client)
        for group in self._groups:
            for rate, chosen in clients.items():
                group.step(rate, chosen)


class _Group:
    """One slice of all rows. weights, gradients: K views each."""

    def __init__(self, rows: ModelRows, part: slice, decay: float, momentum: float) -> None:
        self.weights = list(rows.weights[:, part].unbind())
        self.gradients = list(rows.gradient[:, part].unbind())
        self.decay, self.momentum = decay, momentum


class _AdamW(_Group):
    def __init__(self, rows: ModelRows, part: slice, decay: float, momentum: float) -> None:
        super().__init__(rows, part, decay, momentum)
        self.first, self.second = ([torch.zeros_like(w) for w in self.weights] for _ in range(2))
        self.steps = [torch.zeros((), device=w.device) for w in self.weights]

    def begin(self) -> None:
        torch._foreach_zero_([*self.first, *self.second, *self.steps])

    def step(self, rate: float | Tensor, chosen: list[int]) -> None:
        values = (self.weights, self.gradients, self.first, self.second, self.steps)
        weights, gradients, first, second, steps = ([v[k] for k in chosen] for v in values)
        adamw(
            weights,
            gradients,
            first,
            second,
            [],
            steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=self.decay,
            eps=1e-8,
            maximize=False,
        )


class _SGD(_Group):
    def __init__(self, rows: ModelRows, part: slice, decay: float, momentum: float) -> None:
        super().__init__(rows, part, decay, momentum)
        # one of zeros becomes the gradient, as torch's first one is
        self.buffers = [torch.zeros_like(w) for w in self.weights] if momentum else []

    def begin(self) -> None:
        if self.buffers:
            torch._foreach_zero_(self.buffers)

    def step(self, rate: Any, chosen: list[int]) -> None:
        sgd(
            [self.weights[k] for k in chosen],
            [self.gradients[k] for k in chosen],
            [self.buffers[k] if self.buffers else None for k in chosen],
            fused=True,
            weight_decay=self.decay,
            momentum=self.momentum,
            lr=rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
