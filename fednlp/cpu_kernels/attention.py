"""Attention with dropout on a CPU: the plain formula, each product written once.

torch has a fused kernel for the CPU, but not with dropout; what it falls back to spends as much on
masks and on rows that are masked entirely as on the products. Without dropout the fused kernel
stays in use.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fednlp.attention_names import replace_sdpa
from fednlp.cpu_kernels.dropout import survivors

NAME = "cpu_attention"


def use_attention(module: nn.Module) -> int:
    """Switches a float32 CPU module from torch's attention; returns how many configurations."""
    from transformers.masking_utils import sdpa_mask

    return replace_sdpa(module, NAME, attention, sdpa_mask)


def attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """softmax(scaling Q K' + mask) V with dropout on the weights; the interface of `transformers`.

    Args:
        query: [B, heads, L, D]; key, value: [B, heads, S, D].
        attention_mask: True where a key is seen, or what is added, broadcast to [B, heads, L, S].

    Returns:
        [B, L, heads, D], and None: weights are not given out.
    """
    causal = is_causal if is_causal is not None else getattr(module, "is_causal", False)
    plain = query.shape[1] == key.shape[1] and others.get("position_bias") is None
    if dropout == 0.0 or not plain:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(
            module, query, key, value, attention_mask,
            dropout=dropout, scaling=scaling, is_causal=is_causal, **others,
        )  # fmt: skip
    length, seen = query.shape[2], key.shape[2]
    if attention_mask is None and causal and length > 1:
        attention_mask = torch.ones(length, seen, dtype=torch.bool).tril()
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    keep = survivors((query.shape[0] * query.shape[1], length, seen), dropout)
    return _Attention.apply(query, key, value, attention_mask, scaling, keep), None


class _Attention(torch.autograd.Function):
    """keep: [B * heads, L, S], what dropout multiplies the weights with."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        scaling: float,
        keep: Tensor,
    ) -> Tensor:
        batch, heads, length, width = query.shape
        q = (query * scaling).reshape(batch * heads, length, width)
        k, v = (part.reshape(batch * heads, -1, width) for part in (key, value))
        scores = torch.bmm(q, k.transpose(1, 2))
        if mask is not None:
            by_head = scores.view(batch, heads, length, -1)
            if mask.dtype is torch.bool:
                by_head.masked_fill_(~mask, torch.finfo(scores.dtype).min)
            else:
                by_head.add_(mask)
        weights = torch.softmax(scores, -1)
        ctx.save_for_backward(q, k, v, weights, keep)
        ctx.scaling = scaling
        output = torch.bmm(weights * keep, v).view(batch, heads, length, width)
        return output.transpose(1, 2).contiguous()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, weights, keep = ctx.saved_tensors
        batch, length, heads, width = gradients[0].shape
        gradient = gradients[0].transpose(1, 2).reshape(batch * heads, length, width)
        of_v = torch.bmm((weights * keep).transpose(1, 2), gradient)
        of_weights = torch.bmm(gradient, v.transpose(1, 2)).mul_(keep)
        of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        of_q = torch.bmm(of_scores, k).mul_(ctx.scaling)
        of_k = torch.bmm(of_scores.transpose(1, 2), q)
        by_head = (part.view(batch, heads, -1, width) for part in (of_q, of_k, of_v))
        return *by_head, None, None, None
