"""From each process's sum to the mean over all of them: one all-reduce."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from algorithms.algorithm import State
from fednlp.engines.sums import ExactSum, FastSum
from fednlp.engines.torchrun.group import Group
from fednlp.engines.torchrun.packing import Layout, layout_of


@dataclass(frozen=True)
class SumLayout:
    """parts: of the tensors that are added up. kinds: of the sums that they make."""

    parts: Layout
    kinds: Layout

    @classmethod
    def of(cls, total: FastSum | ExactSum) -> SumLayout:
        return cls(layout_of(total.parts()), Layout(dict(sorted(total.kinds().items()))))

    @classmethod
    def of_json(cls, data: dict[str, Any]) -> SumLayout:
        return cls(Layout.of_json(data["parts"]), Layout.of_json(data["kinds"]))

    def as_json(self) -> dict[str, Any]:
        return {"parts": self.parts.as_json(), "kinds": self.kinds.as_json()}

    def joined(self, other: SumLayout, where: str) -> SumLayout:
        """Of both; `where` is to blame if one name has two shapes."""
        parts, kinds = self.parts.joined(other.parts, where), self.kinds.joined(other.kinds, where)
        return SumLayout(parts, kinds)


def reduced(
    group: Group,
    total: FastSum | ExactSum,
    layout: SumLayout,
    total_weight: float,
    device: torch.device,
) -> State:
    """The mean over all processes, the same bits in each.

    layout: of all processes, for a process may lack what only others had uploads of.
    """
    own = total.parts()
    parts = {
        name: own[name] if name in own else layout.parts.zeros(name, device)
        for name in layout.parts.tensors
    }
    total.replace(group.all_reduce(parts), dict(layout.kinds.tensors))
    return total.mean(total_weight)
