"""What a configuration would cost, before anything runs."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor, nn

from algorithms.algorithm import Client, Correction, State, Trained
from fednlp.components import client_optimizer
from fednlp.config_schema import central_client
from fednlp.course import Course
from fednlp.engines.client import payload_bytes
from fednlp.experiment import Experiment
from fednlp.hooks import Hooks
from fednlp.identity import centralized_identity, centralized_plan, federated_identity
from fednlp.random_streams import torch_generator
from tasks.frozen_trunk import FrozenTrunk

PROBE_STEPS = 3
PROBE_EXAMPLES = 1000
PLACE = "the plan"  # which hooks are called for


@dataclass(frozen=True)
class Plan:
    """Predicted costs; examples and bytes are exact for uniform sampling of equal clients.

    tokens: without padding. scored_tokens: of the validations and tests of one of the two runs.
    seconds: of both, from probe steps; 0 where none were taken. multiplied: weights of the whole
    model that a token is multiplied by, which is those outside of tables that are only looked up.
    """

    federated_id: str
    centralized_id: str | None
    rounds: int
    clients_per_round: int
    population: int
    examples: int
    tokens: int
    steps: int
    centralized_examples: int
    centralized_tokens: int
    centralized_steps: int
    scored_tokens: int
    bytes_down: int
    bytes_up: int
    bytes_base: int
    disk_bytes: int
    seconds: float
    trainable: int
    frozen: int
    multiplied: int


def plan(experiment: Experiment) -> Plan:
    """Predicts steps, bytes, disk and time; time from a few probe steps, which leave no trace."""
    costs = counts(experiment)
    steps = costs.steps + costs.centralized_steps
    return replace(costs, seconds=_step_seconds(experiment) * steps)


def counts(experiment: Experiment, ask_method: bool = True) -> Plan:
    """All of a plan that needs no training.

    ask_method: whether hooks are called, for what a method sends, keeps and trains; without, it
    counts as sending and keeping nothing and as training once.
    """
    config, sampler = experiment.config, experiment.sampler
    client, vector = config.client, experiment.initial_weights
    server: State = {}
    down, upload, state, passes = 0, 0, 0, 1
    if ask_method:
        method = Hooks(experiment.algorithm)
        server = method.init_server(vector, experiment.model.layout)
        down = payload_bytes(method.download(vector, server, PLACE))
        upload, passes = upload_size(experiment, method, server)
        state = payload_bytes(method.init_client(vector, PLACE))
    participations = config.rounds * config.sampling.clients_per_round
    size = _batch_size(experiment)
    steps_each = np.ceil(sampler.sizes / size) * client.epochs
    steps = config.rounds * float(sampler.probability @ steps_each)
    examples = config.rounds * experiment.examples_per_round
    none = config.centralized.budget == "none"
    reference = None if none else centralized_plan(experiment)
    central = reference.per_point * reference.points if reference else 0.0
    full, rest = divmod(round(central), len(experiment.union))
    central_steps = full * math.ceil(len(experiment.union) / size) + math.ceil(rest / size)
    steps, examples = passes * steps, passes * examples
    expected = _expected_participants(sampler.probability, config.rounds)
    checkpoint = vector.numel() * 4 + payload_bytes(server)
    kept = config.rounds // config.checkpoint.keep_every if config.checkpoint.keep_every else 0
    copies = 3 if central_client(config).optimizer == "adamw" else 2
    central_checkpoint = vector.numel() * 4 * copies
    disk = (2 + kept) * (checkpoint + (0 if none else central_checkpoint)) + 2 * expected * state
    return Plan(
        federated_id=federated_identity(experiment).folder,
        centralized_id=None if none else centralized_identity(experiment).folder,
        rounds=config.rounds,
        clients_per_round=config.sampling.clients_per_round,
        population=len(sampler.clients),
        examples=round(examples),
        tokens=round(examples * _tokens(experiment, "train")),
        steps=round(steps),
        centralized_examples=round(central),
        centralized_tokens=round(central * _tokens(experiment, "train")),
        centralized_steps=central_steps,
        scored_tokens=round(_scored_tokens(experiment)),
        bytes_down=participations * down,
        bytes_up=participations * upload,
        bytes_base=4 * experiment.model.frozen * round(expected),
        disk_bytes=round(disk),
        seconds=0.0,
        trainable=vector.numel(),
        frozen=experiment.model.frozen,
        multiplied=_multiplied(experiment.model.module, experiment.frozen_layers.trunk),
    )


def upload_size(experiment: Experiment, method: Hooks, server: State) -> tuple[int, int]:
    """Bytes of one upload and passes over the data, from a participation that trains nothing."""
    passes = 0

    def train(start: Tensor, correct: Correction | None) -> Trained:
        nonlocal passes
        passes += 1
        return Trained(start.clone(), 1, rate, (rate,))

    weights = experiment.initial_weights
    rate = experiment.config.client.lr
    client = Client(
        index=0,
        examples=1,
        round=0,
        received=method.download(weights, server, PLACE),
        state=method.init_client(weights, PLACE),
        layout=experiment.model.layout,
        optimizer=client_optimizer(experiment.config.client),
        generator=torch_generator(0, "plan"),
        train=train,
    )
    return payload_bytes(method.local_update(client, PLACE)), passes


def _multiplied(module: nn.Module, trunk: FrozenTrunk | None = None) -> int:
    """Elements of all parameters but tables of embeddings; a table tied to an output counts.

    trunk: frozen layers that read a text once; they are left out.
    """
    layers = (part for part in module.modules() if not isinstance(part, nn.Embedding))
    found = {id(p): p.numel() for part in layers for p in part.parameters(recurse=False)}
    for parameter in trunk.parameters() if trunk else ():
        found.pop(id(parameter), None)
    return sum(found.values())


def _tokens(experiment: Experiment, split: str) -> float:
    """Mean tokens of an example, those of all its rows and of its targets."""
    store = experiment.token_stores[split]
    total = float(store.row_lengths.sum())
    if store.target_lengths is not None:
        total += float(store.target_lengths.sum())
    return total / max(1, store.examples)


def _scored_tokens(experiment: Experiment) -> float:
    """Of every validation, and of test twice: the selected and the last round."""
    config = experiment.config
    validations = math.ceil(config.rounds / config.evaluation.every)
    each = len(experiment.validation_indices) * _tokens(experiment, "validation")
    return validations * each + 2 * experiment.token_stores["test"].examples * _tokens(
        experiment, "test"
    )


def _batch_size(experiment: Experiment) -> float:
    """Examples of a batch; where it is filled with tokens, their mean over a part of the data."""
    client, sample = experiment.config.client, experiment.union[:PROBE_EXAMPLES]
    if client.batch_tokens is None:
        return client.batch_size
    store, seed = experiment.token_stores["train"], experiment.config.seed
    course = Course(store, client, seed, sample, len(sample), (0, 0))
    return len(sample) / len(course.epoch(0))


def _expected_participants(probability: np.ndarray, rounds: int) -> float:
    """Expected number of distinct clients that take part at least once."""
    return float((1 - (1 - probability) ** rounds).sum())


def _step_seconds(experiment: Experiment) -> float:
    trainer = experiment.trainer()
    size = math.ceil(_batch_size(experiment))
    wanted = size * (PROBE_STEPS + 1)
    participation = trainer.participate(
        experiment.union[:wanted], experiment.initial_weights, round=0, client=0, budget=wanted
    )
    participation.advance(size)  # warm-up
    began = time.perf_counter()
    work = participation.advance()
    experiment.model.load(experiment.initial_weights)
    return (time.perf_counter() - began) / max(work.steps, 1)
