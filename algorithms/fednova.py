"""FedNova: clients that take more steps do not pull harder.

Wang et al. 2020, "Tackling the Objective Inconsistency Problem in Heterogeneous Federated
Optimization" (arXiv 2007.07481), equations 5-8. A client's delta is -sum_s a_s g_s; FedNova
averages the deltas per unit of |a|_1 and multiplies the mean by the mean |a|_1:

    client:  sends d_i = delta_i / |a_i|_1  and  |a_i|_1
    server:  x <- server optimizer(x, tau_eff mean(d_i)),   tau_eff = mean(|a_i|_1)

|a|_1 for SGD with momentum rho and applied rates r_1..r_T: the buffer is
b_t = sum_{s<=t} rho^(t-s) g_s and the step w <- w - r_t b_t, hence a_s = sum_{t>=s} r_t rho^(t-s)
and, with the sums exchanged,

    |a|_1 = sum_t r_t (1 + rho + ... + rho^(t-1)) = sum_t r_t (1 - rho^t) / (1 - rho).

At a constant rate r this is r times the paper's [T - rho (1 - rho^T) / (1 - rho)] / (1 - rho),
and r T without momentum: the rate that the paper keeps outside a_i is inside here, which
changes nothing when it is the same for all, and is right when a schedule makes it differ.
Weight decay of SGD counts as a part of g; clipped gradients as they were clipped.

>>> from algorithms.fednova import applied_gradient_norm
>>> applied_gradient_norm((0.5, 0.25), momentum=0.0)
0.75
>>> applied_gradient_norm((1.0, 1.0), momentum=0.5)
2.5
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from algorithms.algorithm import Client, ClientOptimizer, Cohort, State
from algorithms.errors import AlgorithmError
from algorithms.fedavg import FedAvg


def applied_gradient_norm(rates: Sequence[float], momentum: float) -> float:
    """|a|_1 of one local training: the total weight of its gradients, in units of the rate."""
    terms, buffer = [], 0.0
    for rate in rates:
        buffer = momentum * buffer + 1.0  # 1 + rho + ... + rho^(t-1)
        terms.append(rate * buffer)
    return math.fsum(terms)


@dataclass(frozen=True)
class FedNova(FedAvg):
    """Normalized averaging; client optimizer SGD, with or without momentum."""

    def check(self, optimizer: ClientOptimizer) -> None:
        if optimizer.name != "sgd":
            raise AlgorithmError(
                "client.optimizer",
                f"{optimizer.name} under fednova",
                "sgd",
                "fednova needs an update that is linear in the gradients",
            )

    def local_update(self, client: Client) -> State:
        start = client.received["weights"]
        trained = client.train(start, self.correction(client))
        norm = applied_gradient_norm(trained.rates, client.optimizer.momentum)
        delta = trained.weights.sub_(start)
        return {
            "direction": delta / norm if norm > 0 else delta,  # rates all 0: delta is 0
            "norm": delta.new_full((), norm),
        }

    def server_update(self, weights: Tensor, mean: State, server: State, cohort: Cohort) -> Tensor:
        return self.server.step(weights, mean["norm"] * mean["direction"], server)
