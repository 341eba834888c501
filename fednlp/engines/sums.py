"""Weighted sums of decoded uploads, term by term: `fast` in float32, `exact` in any order.

`exact` adds whole numbers, so that neither the order of the clients nor how they are shared out
over processes changes a bit. A client's tensor x, times its weight w, is rounded to multiples of a
step 2^(16 b - 48), where the band b is the least with |w x| <= 2^(16 b) for all entries. The step
depends on this client alone. Within a band whole multiples are added in int64; the bands, one or
two as a rule, are put together at the end, the smallest first, in float64.

Error: half a step per client, and a band's largest entry exceeds 2^(16 b - 16), so at most 2^-33 of
the client's largest |w x|: of entries up to 2^9 times smaller this is below the rounding, 2^-24,
of a single float32 addition. Overflow: an entry is at most 2^48 steps, so 2^14 clients stay below
2^62; more are refused.
"""

from __future__ import annotations

import math
from typing import Literal, Protocol

import torch
from torch import Tensor

from algorithms.algorithm import State
from fednlp.errors import UserError

Aggregation = Literal["fast", "exact"]
BAND, BITS = 16, 48  # exponents of a band; bits of its largest entry in steps
MOST_CLIENTS = 2**14
Kind = tuple[tuple[int, ...], torch.dtype]
LOWEST = -48  # band; what is smaller is far below float32


class WeightedSum(Protocol):
    def add(self, decoded: State, weight: float) -> None:
        """Adds weight * tensor to the sum of every name."""

    def mean(self, total_weight: float) -> State:
        """The sums divided by the weights' total; the sums are gone then."""

    def kinds(self) -> dict[str, Kind]:
        """Shape and dtype of every sum, by name."""

    def parts(self) -> State:
        """Tensors that add up, name by name, to those of the sum over several processes."""

    def replace(self, parts: State, kinds: dict[str, Kind]) -> None:
        """Becomes the sum over several processes; kinds: of all of them."""


def weighted_sum(aggregation: Aggregation, device: torch.device) -> FastSum | ExactSum:
    """device: of the weights that are trained."""
    return ExactSum(device) if aggregation == "exact" else FastSum()


class FastSum:
    """In the tensors' own precision, in the order of the calls."""

    def __init__(self) -> None:
        self.total: State = {}

    def add(self, decoded: State, weight: float) -> None:
        for name, tensor in decoded.items():
            if name in self.total:
                self.total[name].add_(tensor, alpha=weight)
            else:
                self.total[name] = tensor * weight

    def mean(self, total_weight: float) -> State:
        return {
            name: tensor.div_(total_weight) if tensor.is_floating_point() else tensor / total_weight
            for name, tensor in self.total.items()
        }

    def kinds(self) -> dict[str, Kind]:
        return {name: (tuple(t.shape), t.dtype) for name, t in self.total.items()}

    def parts(self) -> State:
        return self.total

    def replace(self, parts: State, kinds: dict[str, Kind]) -> None:
        self.total = parts


class ExactSum:
    """Of real tensors.

    device: of means that are all zeros, which no tensor here tells.

    Attributes:
        bands: name -> band -> the sum in steps of that band, int64; none for zeros.
        clients: how many were added.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._kinds: dict[str, Kind] = {}  # of the means
        self.bands: dict[str, dict[int, Tensor]] = {}
        self.clients = 0

    def add(self, decoded: State, weight: float) -> None:
        self.clients += 1
        check_clients(self.clients)
        for name, tensor in decoded.items():
            kind = tuple(tensor.shape), torch.result_type(tensor, 1.0)
            if kind != (known := self._kinds.setdefault(name, kind)):
                raise ValueError(f"'{name}' is {kind}, of another client {known}")
            held = self.bands.setdefault(name, {})
            term = tensor.to(torch.float64) * weight
            largest = float(term.abs().max()) if term.numel() else 0.0
            if largest == 0.0:
                continue
            band = band_of(largest)
            steps = term.mul_(2.0 ** (BITS - BAND * band)).round_().to(torch.int64)
            if band in held:
                held[band] += steps
            else:
                held[band] = steps

    def mean(self, total_weight: float) -> State:
        found: State = {}
        for name, held in self.bands.items():
            device = next(iter(held.values())).device if held else self._device
            shape, dtype = self._kinds[name]
            total = torch.zeros(shape, dtype=torch.float64, device=device)
            for band in sorted(held):
                total += held[band].to(torch.float64) * 2.0 ** (BAND * band - BITS)
            found[name] = (total / total_weight).to(dtype)
        return found

    def kinds(self) -> dict[str, Kind]:
        return self._kinds

    def parts(self) -> State:
        return {
            f"{band} {name}": steps
            for name, held in self.bands.items()
            for band, steps in held.items()
        }

    def replace(self, parts: State, kinds: dict[str, Kind]) -> None:
        self._kinds, self.bands = kinds, {name: {} for name in kinds}
        for key, steps in parts.items():
            band, _, name = key.partition(" ")
            self.bands[name][int(band)] = steps


def band_of(largest: float) -> int:
    """The least b with `largest` <= 2^(16 b)."""
    fraction, exponent = math.frexp(largest)  # fraction in [0.5, 1)
    return max(LOWEST, -((1 - exponent if fraction == 0.5 else -exponent) // BAND))


def check_clients(count: int) -> None:
    """Raises UserError: a sum of so many clients could overflow."""
    if count > MOST_CLIENTS:
        found = f"a round of more than {MOST_CLIENTS:,} clients"
        raise UserError("engine.aggregation", found, fix="fast, or fewer clients_per_round")
