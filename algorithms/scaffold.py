"""SCAFFOLD: control variates cancel the drift between a client's gradient and the mean one.

Karimireddy et al. 2020 (arXiv 1910.06378), Algorithm 1, option II, for rates that may vary:

    local step:  y <- y - rate_t (g_i(y) - c_i + c)
    client:      c_i' = c_i - c + (x - y) / sum_t rate_t;   sends y - x and c_i' - c_i
    server:      x <- server optimizer(x, mean(y - x));   c <- c + fraction mean(c_i' - c_i)

`fraction` is the cohort's share of all aggregation weight (|S| / N in the paper, whose clients
weigh the same), so that c stays the weighted mean of all c_i. Option II reads the mean gradient
off the distance travelled, which is right for plain SGD only: other client optimizers are
refused, and clipped steps enter the control as they were clipped (weight decay too, as a
part of the gradient). `ScaffoldGradient` averages the gradients themselves instead; the two
are equal for plain SGD at a constant rate without clipping and decay.

>>> from algorithms import SGD, Scaffold
>>> Scaffold(server=SGD(lr=0.5))
Scaffold(server=SGD(lr=0.5))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from algorithms.algorithm import Client, ClientOptimizer, Cohort, Layout, State, Trained
from algorithms.errors import AlgorithmError
from algorithms.fedavg import FedAvg


@dataclass(frozen=True)
class Scaffold(FedAvg):
    """Control variates from the distance travelled (option II). Down 2 [P], up 2 [P]."""

    uniform_sampling_only: ClassVar[bool] = True  # c is a mean over all clients, not a cohort's

    def check(self, optimizer: ClientOptimizer) -> None:
        if optimizer.name != "sgd" or optimizer.momentum != 0:
            raise AlgorithmError(
                "client.optimizer",
                f"{optimizer.name} with momentum {optimizer.momentum:g} under scaffold",
                "sgd with momentum 0",
                "use scaffold_gradient for other client optimizers",
            )

    def init_server(self, weights: Tensor, layout: Layout) -> State:
        return {**super().init_server(weights, layout), "control": torch.zeros_like(weights)}

    def init_client(self, weights: Tensor) -> State:
        return {"control": torch.zeros_like(weights)}

    def download(self, weights: Tensor, server: State) -> State:
        return {"weights": weights, "control": server["control"]}

    def correct(self, gradient: Tensor, weights: Tensor, client: Client) -> Tensor:
        return gradient - client.state["control"] + client.received["control"]

    def local_update(self, client: Client) -> State:
        start, old = client.received["weights"], client.state["control"]
        trained = client.train(start, self.correction(client))
        delta = trained.weights.sub_(start)
        if trained.lr_sum > 0:  # a client whose rates were all 0 learned nothing
            client.state["control"] = self.new_control(client, delta, trained)
        return {"delta": delta, "control": client.state["control"] - old}

    def new_control(self, client: Client, delta: Tensor, trained: Trained) -> Tensor:
        """c_i' [P], from the distance travelled."""
        return client.state["control"] - client.received["control"] - delta / trained.lr_sum

    def server_update(self, weights: Tensor, mean: State, server: State, cohort: Cohort) -> Tensor:
        server["control"] = server["control"] + cohort.fraction * mean["control"]
        return super().server_update(weights, mean, server, cohort)


@dataclass(frozen=True)
class ScaffoldGradient(Scaffold):
    """c_i' = mean over the local steps of the *uncorrected* gradient: any client optimizer."""

    def check(self, optimizer: ClientOptimizer) -> None:
        """Any client optimizer."""

    def correct(self, gradient: Tensor, weights: Tensor, client: Client) -> Tensor:
        client.state["gradients"] = client.state["gradients"] + gradient
        return super().correct(gradient, weights, client)

    def local_update(self, client: Client) -> State:
        client.state["gradients"] = torch.zeros_like(client.received["weights"])
        payload = super().local_update(client)
        del client.state["gradients"]
        return payload

    def new_control(self, client: Client, delta: Tensor, trained: Trained) -> Tensor:
        return client.state["gradients"] / trained.steps
