"""What uploads and client states must look like: the method's own, of one that learns nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from algorithms.algorithm import Client, Correction, State, Trained
from fednlp.components import client_optimizer
from fednlp.experiment import Experiment
from fednlp.hooks import Hooks

Shapes = dict[str, tuple[torch.dtype, tuple[int, ...]]]


@dataclass(frozen=True)
class Expected:
    """upload: of a decoded upload. states: of what a client keeps, at first and once trained."""

    upload: Shapes
    states: list[Shapes]


def expected(experiment: Experiment, weights: Tensor, received: State) -> Expected:
    """Type and shape of each tensor that a client sends. weights: [P]. received: of `download`.

    Raises:
        UserError: a hook of a third party's method raises.
    """
    method, place = Hooks(experiment.algorithm), "what an upload looks like"
    optimizer = client_optimizer(experiment.config.client)

    def train(start: Tensor, correct: Correction | None) -> Trained:
        if correct is not None:  # methods may sum up what they see
            correct(torch.zeros_like(start), start)
        return Trained(start.clone(), 1, optimizer.lr, (optimizer.lr,))

    client = Client(
        index=0,
        examples=1,
        round=0,
        received=received,
        state=method.init_client(experiment.initial_weights, place),
        layout=experiment.model.layout,
        optimizer=optimizer,
        generator=torch.Generator().manual_seed(0),
        train=train,
    )
    first = shapes(client.state)
    decoded = method.decode(method.local_update(client, place), weights, place)
    return Expected(shapes(decoded), [first, shapes(client.state)])


def shapes(tensors: State) -> Shapes:
    return {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}
