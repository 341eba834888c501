"""Methods for measuring: every round starts from the same weights, in every process.

`Untrained` does everything but train: what is left of its round is what the engine costs.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from algorithms import FedAvg
from algorithms.algorithm import Client, Cohort, State


@dataclass(frozen=True)
class Standing(FedAvg):
    def server_update(self, weights: Tensor, mean: State, server: State, cohort: Cohort) -> Tensor:
        return weights.clone()


@dataclass(frozen=True)
class Untrained(Standing):
    def local_update(self, client: Client) -> State:
        return {"delta": client.received["weights"] * 1e-3}
