"""A copy of a model whose trained layers have weights of their own for every client."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from fednlp.cpu_kernels.linear import OneDnnLinear
from fednlp.flat_model import FlatModel
from fednlp.together.layers import ClientsEmbedding, ClientsLayerNorm, ClientsLinear, Parameter
from fednlp.together.rows import ModelRows

_KINDS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: ClientsLinear,
    OneDnnLinear: ClientsLinear,
    nn.LayerNorm: ClientsLayerNorm,
    nn.Embedding: ClientsEmbedding,
}


# Embeddings of `transformers` that change ids or vectors around `nn.Embedding.forward`.
_AROUND_AN_EMBEDDING = ("BartScaledWordEmbedding", "BartLearnedPositionalEmbedding")


class NotTogether(Exception):
    """Why clients cannot be trained at once; one line."""


def clients_module(model: FlatModel, rows: ModelRows) -> Any:
    """A copy of the model's module that reads the weights of `rows`, in training mode.

    What is frozen is shared with the original.

    Raises:
        NotTogether: a trained parameter belongs to a layer of another kind.
    """
    original = model.module
    shared = [p for p in original.parameters() if not p.requires_grad] + list(original.buffers())
    placeholders = {}
    for parameter in original.parameters():
        if parameter.requires_grad:  # a layer that reads it directly shows itself by NaN
            empty = torch.full_like(parameter, torch.nan)
            placeholders[id(parameter)] = nn.Parameter(empty, requires_grad=False)
    memo = {**{id(tensor): tensor for tensor in shared}, **placeholders}
    module: nn.Module = copy.deepcopy(original, memo)
    parts = {
        id(parameter): model.layout[name]
        for name, parameter in original.named_parameters()
        if parameter.requires_grad
    }
    reached: set[int] = set()
    for before, after in zip(original.modules(), module.modules(), strict=True):
        parameters = dict(before.named_parameters(recurse=False))
        kind = _kind(before)
        if kind is None or not any(p.requires_grad for p in parameters.values()):
            continue
        reached.update(map(id, parameters.values()))
        layer: Any = after
        layer.__class__ = kind
        layer.rows = rows
        if isinstance(layer, ClientsEmbedding):
            layer.part = parts[id(before.weight)]
        else:
            layer.own = {n: Parameter(p, rows, parts.get(id(p))) for n, p in parameters.items()}
    for name, owner in original.named_modules():  # some hold what a layer of theirs holds too
        if any(id(p) in parts and id(p) not in reached for p in owner.parameters(recurse=False)):
            raise NotTogether(f"{name} is a {type(owner).__name__}")
    return module.train()


def _kind(layer: nn.Module) -> type[nn.Module] | None:
    """The class of such a layer with weights per client, None where there is none."""
    cls = type(layer)
    if isinstance(layer, nn.Embedding):
        if layer.scale_grad_by_freq or layer.sparse or layer.max_norm is not None:
            return None
        if cls.__name__ in _AROUND_AN_EMBEDDING:
            return type(cls.__name__, (cls, ClientsEmbedding), {})
    if isinstance(layer, nn.LayerNorm) and getattr(layer, "bias", None) is None:
        return None
    return _KINDS.get(cls)
