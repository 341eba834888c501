"""Layers with weights of their own for every client.

The rows of a batch lie client by client: [K * B, ...], and all that has no weights (attention,
dropout, activations, masks) needs no knowledge of clients. A layer's backward adds to the clients'
gradients where they lie, so that autograd neither allocates nor passes them on.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fednlp.together.rows import ModelRows


class Parameter:
    """One parameter of K clients. gradient is None where it is frozen, and so the same for all.

    values, gradient: [K, *shape].
    """

    def __init__(self, own: nn.Parameter, rows: ModelRows, part: slice | None) -> None:
        self.gradient: Tensor | None = None
        if part is None:
            self.values = own.detach().expand(rows.clients, *own.shape)
        else:
            self.values, self.gradient = rows.parameter(part, own.shape)

    def add(self, gradient: Tensor) -> None:
        """gradient: [active, *shape]."""
        if self.gradient is not None:
            self.gradient[: len(gradient)] += gradient


class ClientsLinear(nn.Linear):
    """y = x W' + b for x [K * B, ..., in]."""

    rows: ModelRows
    own: dict[str, Parameter]

    def forward(self, input: Tensor) -> Tensor:
        return _Linear.apply(input, self.rows.anchor, self)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, layer: ClientsLinear) -> Tensor:
        k, own = layer.rows.active, layer.own
        weight = own["weight"].values[:k]
        flat = x.reshape(k, -1, x.shape[-1])
        if torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
            flat, weight = flat.to(dtype), weight.to(dtype)
        ctx.save_for_backward(flat, weight)
        ctx.layer, ctx.shape, ctx.dtype = layer, x.shape, x.dtype
        if "bias" in own:
            bias = own["bias"].values[:k].unsqueeze(1).to(flat.dtype)
            y = torch.baddbmm(bias, flat, weight.transpose(1, 2))
        else:
            y = torch.bmm(flat, weight.transpose(1, 2))
        return y.view(*x.shape[:-1], y.shape[-1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        (flat, weight), own = ctx.saved_tensors, ctx.layer.own
        gradient = gradients[0].reshape(len(flat), -1, gradients[0].shape[-1])
        if own["weight"].gradient is not None:
            own["weight"].add(torch.bmm(gradient.transpose(1, 2), flat))
        if "bias" in own and own["bias"].gradient is not None:
            own["bias"].add(gradient.sum(1))
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = torch.bmm(gradient, weight).view(ctx.shape).to(ctx.dtype)
        return of_x, None, None


class ClientsLayerNorm(nn.LayerNorm):
    """Normalisation of x [K * B, ..., H] with each client's gain and offset."""

    rows: ModelRows
    own: dict[str, Parameter]

    def forward(self, input: Tensor) -> Tensor:
        return _LayerNorm.apply(input.float(), self.rows.anchor, self)


class _LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, layer: ClientsLayerNorm) -> Tensor:
        k, own = layer.rows.active, layer.own
        normal, mean, scale = torch.native_layer_norm(
            x, list(layer.normalized_shape), None, None, layer.eps
        )
        ctx.save_for_backward(x, normal, mean, scale)
        ctx.layer, ctx.clients = layer, k
        gain, offset = (own[name].values[:k].unsqueeze(1) for name in ("weight", "bias"))
        y = torch.addcmul(offset, normal.reshape(k, -1, x.shape[-1]), gain)
        return y.view(x.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        x, normal, mean, scale = ctx.saved_tensors
        layer, k = ctx.layer, ctx.clients
        shape = list(layer.normalized_shape)
        gradient = gradients[0].reshape(k, -1, x.shape[-1])
        layer.own["weight"].add((gradient * normal.view(gradient.shape)).sum(1))
        layer.own["bias"].add(gradient.sum(1))
        if not ctx.needs_input_grad[0]:
            return None, None, None
        of_normal = (gradient * layer.own["weight"].values[:k].unsqueeze(1)).view(x.shape)
        of_x, _, _ = torch.ops.aten.native_layer_norm_backward(
            of_normal, x, shape, mean, scale, None, None, [True, False, False]
        )
        return of_x, None, None


class ClientsEmbedding(nn.Embedding):
    """Rows of each client's own table for ids [K * B, ...], or [1, ...]: the same ids for all."""

    rows: ModelRows
    part: slice

    def forward(self, input: Tensor) -> Tensor:
        k, batch = self.rows.active, self.rows.batch
        if input.shape[0] == k * batch:
            return _Embedding.apply(self.rows.anchor, input, self)
        if input.shape[0] != 1:
            raise ValueError(f"ids {list(input.shape)} that do not belong to clients")
        shared = _Embedding.apply(self.rows.anchor, input.expand(k, *input.shape[1:]), self)
        return shared.unsqueeze(1).expand(k, batch, *shared.shape[1:]).flatten(0, 1)


class _Embedding(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, anchor: Tensor, ids: Tensor, layer: ClientsEmbedding) -> Tensor:
        k = layer.rows.active
        table, _, step = layer.rows.table(layer.part, layer.embedding_dim)
        first = torch.arange(k, device=ids.device).mul_(step).unsqueeze(1)
        places = (ids.reshape(k, -1) + first).flatten()
        ctx.save_for_backward(ids, places)
        ctx.layer = layer
        return table.index_select(0, places).view(*ids.shape, layer.embedding_dim)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, None]:
        ids, places = ctx.saved_tensors
        layer, gradient = ctx.layer, gradients[0].flatten(0, -2)
        if layer.padding_idx is not None:
            gradient = gradient.masked_fill((ids == layer.padding_idx).view(-1, 1), 0.0)
        _, total, _ = layer.rows.table(layer.part, layer.embedding_dim)
        total.index_add_(0, places, gradient.to(total.dtype))
        return None, None, None
