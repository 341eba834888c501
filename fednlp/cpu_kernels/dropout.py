"""Dropout whose masks cost little.

torch draws one number per element; here 16 bits of a 64-bit draw decide about each, so a
probability is met to 2^-17 (0.1 becomes 0.10001) and survivors are scaled by what it became.
Draws come from torch's default generator, as those of `nn.Dropout`, but are others.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_LEVELS = 1 << 16


def use_dropout(module: nn.Module) -> int:
    """Switches the dropout layers of a float32 CPU module; returns how many."""
    layers = [layer for layer in module.modules() if type(layer) is nn.Dropout]
    for layer in layers:
        layer.__class__ = CheapDropout
    return len(layers)


class CheapDropout(nn.Dropout):
    """`nn.Dropout` with `survivors`."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.p == 0.0:
            return input
        return input * survivors(input.shape, self.p)


def survivors(shape: Sequence[int], p: float) -> Tensor:
    """[shape] float32: 0 with probability p in (0, 1), else what keeps the mean."""
    size = torch.Size(shape).numel()
    draws = torch.empty(-(-size // 4), dtype=torch.int64).random_(-(2**63), None)
    dropped = min(round(p * _LEVELS), _LEVELS - 1)
    kept = torch.empty(size)  # written as float at once: a conversion would cost more than all else
    torch.ge(draws.view(torch.int16)[:size], dropped - _LEVELS // 2, out=kept)
    return kept.mul_(_LEVELS / (_LEVELS - dropped)).view(shape)
