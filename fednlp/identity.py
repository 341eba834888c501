"""A run's id is the hash of everything that can change its result, and of nothing else.

The *trajectory* is the identity without the number of rounds: a longer run of one trajectory
passes through the states of a shorter one and can continue from it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any

from fednlp.components import describe, source_hash
from fednlp.config_schema import ClientConfig, SamplingConfig, central_client
from fednlp.experiment import Experiment
from fednlp.flat_model import digest

_PROSE = {"name", "description", "licence", "tasks"}  # what a model card only says about itself
# What a client setting does in a federated run only: the examples of a centralized point count the
# epochs, and its one participation is the span of any schedule.
_FEDERATED_ONLY = {"epochs", "schedule_span"}
SEMANTICS = 2  # raise by hand when the meaning of a configuration changes


@dataclass(frozen=True)
class Identity:
    """content: plain data. rounds: planned length. extendable: longer runs may continue it."""

    content: dict[str, Any]
    rounds: int
    extendable: bool
    label: str
    every: int = 1  # rounds between validations
    conclusion: dict[str, Any] = field(default_factory=dict)  # changes what follows the rounds only

    @property
    def id(self) -> str:
        return _hash({**self.content, **self.conclusion, "rounds": self.rounds})

    @property
    def trajectory(self) -> str:
        return _hash(self.content if self.extendable else {**self.content, "rounds": self.rounds})

    @property
    def folder(self) -> str:
        name = re.sub(r"[^A-Za-z0-9.]+", "-", self.label.replace("+", "")).strip("-")
        return f"{name[:80]}-{self.id[:12]}"

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "trajectory": self.trajectory,
            "rounds": self.rounds,
            "content": {**self.content, **self.conclusion},
        }


def federated_identity(experiment: Experiment) -> Identity:
    config, algorithm = experiment.config, experiment.algorithm
    content = {
        **_common(experiment, _effective_client(config.client), config.evaluation.every),
        "kind": "federated",
        "partition": experiment.partition.checksum,
        "held_out": [int(k) for k in experiment.partition.held_out],
        "algorithm": describe(algorithm),
        "algorithm_source": source_hash(algorithm),
        "sampling": _effective_sampling(config.sampling),
    }
    conclusion = config.evaluation.model_dump(include={"local_only", "min_client_examples"})
    label = "-".join(
        [
            experiment.corpus.name,
            experiment.model_card.name,
            _partition_label(experiment),
            type(algorithm).__name__,
            f"s{config.seed}",
        ]
    )
    client = config.client
    extendable = client.schedule == "constant" or client.schedule_span == "participation"
    return Identity(content, config.rounds, extendable, label, config.evaluation.every, conclusion)


def _partition_label(experiment: Experiment) -> str:
    partition = experiment.config.partition
    if partition.name is None:
        return "file"
    alpha = partition.parameters.get("alpha")
    return partition.name if alpha is None else f"{partition.name}{alpha}"


@dataclass(frozen=True)
class CentralizedPlan:
    """Budget and evaluation points of the reference.

    points: number of "rounds" (they only mark where to evaluate). per_point: examples each.
    every: points between validations.
    """

    budget: str
    points: int
    per_point: float
    every: int

    def until(self, point: int) -> int:
        """Examples processed when point `point` (from 0) is reached."""
        return round(self.per_point * (point + 1))


def centralized_plan(experiment: Experiment) -> CentralizedPlan:
    """`matched`: as many examples as the federated run is planned to process."""
    config = experiment.config
    if config.centralized.budget == "converged":
        return CentralizedPlan("converged", config.centralized.epochs, len(experiment.union), 1)
    return CentralizedPlan(
        "matched", config.rounds, experiment.examples_per_round, config.evaluation.every
    )


def centralized_identity(experiment: Experiment) -> Identity:
    config, plan = experiment.config, centralized_plan(experiment)
    client = central_client(config)
    union = hashlib.sha256(experiment.union.tobytes()).hexdigest()
    content = {
        **_common(experiment, _effective_client(client, _FEDERATED_ONLY), plan.every),
        "kind": "centralized",
        "union": union,
        "budget": plan.budget,
        "examples_per_point": plan.per_point,
    }
    data, model = experiment.corpus.name, experiment.model_card.name
    label = f"{data}-{model}-centralized-{plan.budget}-s{config.seed}"
    # one participation lasts the whole run, so any schedule but the constant depends on its end
    return Identity(content, plan.points, client.schedule == "constant", label, plan.every)


def _common(experiment: Experiment, client: dict[str, Any], every: int) -> dict[str, Any]:
    config, card = experiment.config, experiment.model_card
    return {
        "semantics": SEMANTICS,
        "data": experiment.corpus.fingerprint,
        "task": experiment.corpus.task,
        "tokens": experiment.token_settings,
        "tokenizer": experiment.tokenizer[1],
        "model": {
            **config.model.model_dump(exclude={"name"}),
            "card": card.model_dump(mode="json", exclude=_PROSE),
        },
        "initial_weights": digest(experiment.initial_weights),
        "frozen_weights": experiment.model.frozen_digest(),
        **_left_out(experiment),
        "client": client,
        "seed": config.seed,
        "precision": config.precision,
        "evaluation": {
            "every": every,
            "validation_examples": config.evaluation.validation_examples,
        },
    }


def _left_out(experiment: Experiment) -> dict[str, Any]:
    """Records that the corpus lacks, if any: equal examples of two files are not one result.

    The files of a finished run may since have got bad records, which its result must then count.
    """
    corpus = experiment.corpus
    counts = {"skipped": len(corpus.skipped), "left_out": dict(corpus.left_out)}
    return {key: count for key, count in counts.items() if count}


def _effective_sampling(sampling: SamplingConfig) -> dict[str, Any]:
    return sampling.model_dump(exclude=set() if sampling.name == "activity" else {"gamma"})


def _effective_client(client: ClientConfig, unused: Set[str] = frozenset()) -> dict[str, Any]:
    """Without the keys that have no effect, in this kind of run or beside the others.

    Nor does `on_nonfinite` count: until an upload is not finite both ways are one run, and a folder
    that left some out says so and is not used where they must stop (`fednlp.nonfinite`).
    """
    unused = {*unused, "on_nonfinite", "batch_size" if client.batch_tokens else "batch_tokens"}
    inert = {"schedule_span", "warmup"} if client.schedule == "constant" else set()
    if client.order == "shuffled":  # as in ids that are older than the key
        inert |= {"order"}
    return client.model_dump(
        exclude=inert | unused | ({"momentum"} if client.optimizer == "adamw" else set())
    )


def _hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
