"""Linear layers through oneDNN on a CPU.

torch sends float32 matrix products to MKL, which need not be the fastest on processors of other
makers; `benchmarks/overhead.py` compares local training with a loop that stays on torch's kernels.
Narrow layers keep those too. Results differ from torch's by rounding and repeat bit for bit.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

NARROW = 128  # layers below this width keep torch's kernel


def use_onednn(module: nn.Module) -> int:
    """Switches the wide linear layers of a float32 CPU module; returns how many.

    Does nothing where this build of torch has no oneDNN.
    """
    if not (
        torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    ):
        return 0
    wide = [
        layer
        for layer in module.modules()
        if type(layer) is nn.Linear and min(layer.in_features, layer.out_features) >= NARROW
    ]
    for layer in wide:
        layer.__class__ = OneDnnLinear
    return len(wide)


class OneDnnLinear(nn.Linear):
    """`nn.Linear` with oneDNN's products."""

    def forward(self, input: Tensor) -> Tensor:
        return _Linear.apply(input, self.weight, self.bias)


class _Linear(torch.autograd.Function):
    """y = x W' + b for x [..., in], W [out, in], b [out] or None."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        # For rows that lie apart (one token of each text) oneDNN falls back to plain loops.
        flat = x.reshape(-1, x.shape[-1]).contiguous()
        ctx.save_for_backward(flat, weight)
        return _product(flat, weight, bias).view(*x.shape[:-1], weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        flat, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        shape = gradients[0].shape
        gradient = gradients[0].reshape(-1, shape[-1]).contiguous()
        return (
            _product(gradient, weight.t()).view(*shape[:-1], weight.shape[1]) if of_x else None,
            _of_weight(gradient, flat) if of_weight else None,
            gradient.sum(0) if of_bias else None,
        )


def _of_weight(gradient: Tensor, x: Tensor) -> Tensor:
    """gradient [n, out] transposed times x [n, in]: [out, in], or a view of its transpose.

    oneDNN copies a first operand that is not contiguous, so the narrower one comes first.
    """
    if x.shape[1] < gradient.shape[1]:
        return _product(x.t(), gradient.t()).t()
    return _product(gradient.t(), x.t())


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [n, in] times weight [out, in] transposed: [n, out]."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
