"""Memory of K models of one layout, a row each."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fednlp.flat_model import FlatModel


class ModelRows:
    """Weights and gradients of K clients, and how many of them are being trained.

    A row is as long as the flat vector and a little more, so that rows of an embedding table lie
    in one matrix over all clients.

    Attributes:
        weights, gradient: [K, P] float32.
        active: the clients 0 to `active` - 1 take part in a step; the other rows are left alone.
        batch: rows of tokens that each active client has in the step.
    """

    def __init__(self, model: FlatModel, clients: int) -> None:
        size = model.weights.numel()
        tables = [m for m in model.module.modules() if isinstance(m, nn.Embedding)]
        unit = math.lcm(16, *(m.embedding_dim for m in tables if m.weight.requires_grad))
        self.stride = -(-size // unit) * unit
        self._weights = torch.zeros(clients, self.stride, device=model.device)
        self._gradient = torch.zeros_like(self._weights)
        self.weights, self.gradient = self._weights[:, :size], self._gradient[:, :size]
        self.clients, self.active, self.batch = clients, clients, 1
        # what makes autograd call a layer's backward, whose inputs may need no gradient
        self.anchor = torch.zeros((), device=model.device, requires_grad=True)

    def parameter(self, part: slice, shape: torch.Size) -> tuple[Tensor, Tensor]:
        """A parameter and its gradient for all clients: [K, *shape] each, over the same memory."""
        weights, gradient = self.weights[:, part], self.gradient[:, part]
        return weights.unflatten(1, shape), gradient.unflatten(1, shape)

    def table(self, part: slice, width: int) -> tuple[Tensor, Tensor, int]:
        """An embedding and its gradient as matrices [R, width] over all clients.

        Row v of client k is row k * step + v; the step comes third.
        """
        rows = (self._weights.numel() - part.start) // width
        weights, gradient = (
            memory.as_strided((rows, width), (width, 1), part.start)
            for memory in (self._weights, self._gradient)
        )
        return weights, gradient, self.stride // width
