"""A model is one vector (design 3.1).

All trainable weights of a module live in one contiguous float32 tensor; the module's parameters
are views into it, and so are their gradients. Every federated method is then vector arithmetic.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn


def digest(vector: Tensor) -> str:
    """SHA-256 of a vector's bytes: equal digests mean equal bits."""
    data = vector.detach().to("cpu").contiguous()
    return hashlib.sha256(data.numpy().data).hexdigest()


class FlatModel:
    """A module whose trainable parameters are views into `weights`.

    Layout: `named_parameters` that require gradients, tied weights once; first those with weight
    decay (matrices), then those without (biases and normalisation gains).

    Attributes:
        weights: [P] float32, the master weights.
        gradient: [P] float32, filled by `backward()`; zero it before a step.
        decayed: number of leading elements to which weight decay applies.
        layout: parameter name -> slice of the vector.
        frozen: number of elements of parameters that are not trained.
    """

    def __init__(self, module: nn.Module, device: torch.device | str = "cpu") -> None:
        self.module = module
        self.device = torch.device(device)
        named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        named.sort(key=lambda pair: pair[1].ndim < 2)  # stable: matrices first
        size = sum(p.numel() for _, p in named)
        self.decayed = sum(p.numel() for _, p in named if p.ndim >= 2)
        self.frozen = sum(p.numel() for p in module.parameters() if not p.requires_grad)
        self.weights = torch.empty(size, dtype=torch.float32, device=self.device)
        self.gradient = torch.zeros(size, dtype=torch.float32, device=self.device)
        self.layout: dict[str, slice] = {}
        position = 0
        for name, parameter in named:
            part = slice(position, position + parameter.numel())
            self.weights[part] = parameter.detach().reshape(-1).to(self.weights)
            parameter.data = self.weights[part].view(parameter.shape)
            parameter.grad = self.gradient[part].view(parameter.shape)
            self.layout[name] = part
            position = part.stop
        self._move_the_rest()

    def _move_the_rest(self) -> None:
        for parameter in self.module.parameters():
            if not parameter.requires_grad:
                parameter.data = parameter.data.to(self.device)
        for module in self.module.modules():
            for name, buffer in module.named_buffers(recurse=False):
                setattr(module, name, buffer.to(self.device))

    def load(self, vector: Tensor) -> None:
        """Copies `vector` [P] into the weights; the views follow."""
        self.weights.copy_(vector)

    def frozen_digest(self) -> str:
        """SHA-256 over the names and bytes of the parameters that are not trained."""
        result = hashlib.sha256()
        for name, parameter in self.module.named_parameters():
            if not parameter.requires_grad:
                result.update(f"{name}:{digest(parameter)}\n".encode())
        return result.hexdigest()

    def leaf(self, part: slice) -> nn.Parameter:
        """A slice of the weights, with its gradient, as a leaf over the same memory."""
        leaf = nn.Parameter(self.weights[part])
        leaf.grad = self.gradient[part]
        return leaf
