"""FedAvg: average what the clients learned.

McMahan et al. 2017, "Communication-Efficient Learning of Deep Networks from Decentralized
Data" (arXiv 1602.05629), Algorithm 1, written with deltas so that any server optimizer fits:

    client i:  y_i = local epochs from x;  delta_i = y_i - x
    server:    x <- server optimizer(x, sum_i n_i delta_i / sum_i n_i)

With the default server optimizer, SGD of rate 1, x becomes the mean of the y_i, weighted by
their numbers of examples n_i.

>>> from algorithms import Adam, FedAvg
>>> FedAvg()
FedAvg(server=SGD(lr=1.0))
>>> fedadam = FedAvg(server=Adam(lr=0.03))
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from algorithms.algorithm import Algorithm, Client, Cohort, Layout, State
from algorithms.server_optimizers import SGD, ServerOptimizer


@dataclass(frozen=True)
class FedAvg(Algorithm):
    """Local epochs, weighted mean of the deltas, server optimizer."""

    server: ServerOptimizer = field(default_factory=SGD)

    def init_server(self, weights: Tensor, layout: Layout) -> State:
        return self.server.init(weights)

    def local_update(self, client: Client) -> State:
        start = client.received["weights"]
        return {"delta": client.train(start, self.correction(client)).weights.sub_(start)}

    def server_update(self, weights: Tensor, mean: State, server: State, cohort: Cohort) -> Tensor:
        return self.server.step(weights, mean["delta"], server)
