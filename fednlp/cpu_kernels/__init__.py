"""Where torch is slow in float32 on a CPU: wide products, dropout, attention with dropout."""

from __future__ import annotations

from torch import nn

from fednlp.cpu_kernels.attention import use_attention
from fednlp.cpu_kernels.dropout import use_dropout
from fednlp.cpu_kernels.linear import use_onednn


def use_cpu_kernels(module: nn.Module) -> None:
    """Switches a float32 module on a CPU, in place; its weights and their names stay."""
    use_onednn(module)
    use_dropout(module)
    use_attention(module)
