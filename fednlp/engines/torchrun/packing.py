"""A state as one vector per kind of number, in the order of its names, and back."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from algorithms.algorithm import State
from fednlp.errors import UserError


@dataclass(frozen=True)
class Layout:
    """tensors: name -> shape and dtype, sorted by name."""

    tensors: Mapping[str, tuple[tuple[int, ...], torch.dtype]]

    def sizes(self) -> dict[torch.dtype, int]:
        """Elements of the vector of each dtype."""
        found: dict[torch.dtype, int] = {}
        for shape, dtype in self.tensors.values():
            found[dtype] = found.get(dtype, 0) + math.prod(shape)
        return found

    def zeros(self, name: str, device: torch.device) -> Tensor:
        shape, dtype = self.tensors[name]
        return torch.zeros(shape, dtype=dtype, device=device)

    def as_json(self) -> dict[str, Any]:
        return {
            name: [list(shape), str(dtype).removeprefix("torch.")]
            for name, (shape, dtype) in self.tensors.items()
        }

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Layout:
        return cls(
            {name: (tuple(shape), getattr(torch, dtype)) for name, (shape, dtype) in data.items()}
        )

    def joined(self, other: Layout, where: str) -> Layout:
        """Of both; `where` is to blame if one name has two shapes."""
        for name in self.tensors.keys() & other.tensors.keys():
            if self.tensors[name] != other.tensors[name]:
                one, two = (
                    f"{list(s)} {str(d)[6:]}" for s, d in (self.tensors[name], other.tensors[name])
                )
                raise UserError(where, f"clients upload '{name}' as {one} and as {two}")
        both = {**self.tensors, **other.tensors}
        return Layout({name: both[name] for name in sorted(both)})


def layout_of(state: State) -> Layout:
    return Layout({name: (tuple(state[name].shape), state[name].dtype) for name in sorted(state)})


def pack(state: State) -> dict[torch.dtype, Tensor]:
    """One vector per dtype, of its tensors in the order of their names; a copy."""
    parts: dict[torch.dtype, list[Tensor]] = {}
    for name in sorted(state):
        parts.setdefault(state[name].dtype, []).append(state[name].detach().reshape(-1))
    return {dtype: torch.cat(tensors) for dtype, tensors in parts.items()}


def unpack(vectors: Mapping[torch.dtype, Tensor], layout: Layout) -> State:
    """Views into the vectors."""
    place = dict.fromkeys(vectors, 0)
    state: State = {}
    for name, (shape, dtype) in layout.tensors.items():
        end = place[dtype] + math.prod(shape)
        state[name] = vectors[dtype][place[dtype] : end].view(shape)
        place[dtype] = end
    return state


def fingerprint(state: State) -> list[list[Any]]:
    """Name, layout and CRC-32 of every tensor: finds a drift, of one bit too, in little time."""
    found = []
    for name in sorted(state):
        tensor = state[name].detach().to("cpu").contiguous()
        data = tensor.reshape(-1).view(torch.uint8).numpy()
        kind = f"{list(tensor.shape)} {tensor.dtype}"
        found.append([name, kind, zlib.crc32(data.data)])
    return found
