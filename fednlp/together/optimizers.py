"""torch's client optimizers on the rows of many clients: its own formulas, each row by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from fednlp.config import ClientConfig
from fednlp.together.rows import ModelRows


class RowsOptimizer:
    """`torch.optim.AdamW` or `SGD` as a participation makes it, for every row of `rows`.

    decayed: number of leading elements to which weight decay applies.
    """

    def __init__(self, rows: ModelRows, decayed: int, settings: ClientConfig) -> None:
        self._settings = settings
        groups = ((slice(0, decayed), settings.weight_decay), (slice(decayed, None), 0.0))
        self._groups = [_Group(rows, part, decay) for part, decay in groups]

    def begin(self) -> None:
        """A fresh optimizer."""
        for group in self._groups:
            group.begin(self._settings)

    def step(self, rates: Sequence[float]) -> None:
        """One step of the first rows, each at its own rate."""
        clients = defaultdict(list)
        for client, rate in enumerate(rates):
            clients[rate].append(client)
        for group in self._groups:
            for rate, chosen in clients.items():
                group.step(self._settings, rate, chosen)


class _Group:
    """One slice of all rows. weights, gradients: K views each."""

    def __init__(self, rows: ModelRows, part: slice, decay: float) -> None:
        self.decay = decay
        self.weights = list(rows.weights[:, part].unbind())
        self.gradients = list(rows.gradient[:, part].unbind())
        self.first: list[Tensor | None] = [None] * len(self.weights)  # moments, made when needed
        self.second: list[Tensor] = []
        self.steps: list[Tensor] = []

    def begin(self, settings: ClientConfig) -> None:
        count = len(self.weights)
        if settings.optimizer == "sgd":
            self.first = [None] * count
            return
        if self.second:
            torch._foreach_zero_([*self.first, *self.second, *self.steps])
            return
        self.first = [torch.zeros_like(w) for w in self.weights]
        self.second = [torch.zeros_like(w) for w in self.weights]
        device = self.weights[0].device
        self.steps = [torch.zeros((), dtype=torch.float32, device=device) for _ in range(count)]

    def step(self, settings: ClientConfig, rate: float, chosen: list[int]) -> None:
        weights, gradients, first = (
            [values[k] for k in chosen] for values in (self.weights, self.gradients, self.first)
        )
        if settings.optimizer == "sgd":
            sgd(
                weights,
                gradients,
                first,
                fused=True,
                weight_decay=self.decay,
                momentum=settings.momentum,
                lr=rate,
                dampening=0.0,
                nesterov=False,
                maximize=False,
            )
            for client, buffer in zip(chosen, first, strict=True):
                self.first[client] = buffer
            return
        adamw(
            weights,
            gradients,
            first,
            [self.second[k] for k in chosen],
            [],
            [self.steps[k] for k in chosen],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=self.decay,
            eps=1e-8,
            maximize=False,
        )
