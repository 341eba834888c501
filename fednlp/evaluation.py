"""Scoring a weight vector on the server-held splits and on the clients' test shares."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from fednlp.experiment import Experiment
from fednlp.profile import EVALUATION, REST, clock
from fednlp.random_streams import generator
from fednlp.step import autocast
from tasks.task import Scored, Task

BOOTSTRAP_SAMPLES = 200


def predict(parts: Experiment, split: str, weights: Tensor, indices: np.ndarray) -> list:
    """Predictions of `weights` [P] on examples `indices` [n] of a split, in that order."""
    parts.model.load(weights)
    with autocast(parts.config.precision, parts.device):
        return parts.task.predict(
            parts.model.module,
            parts.stores[split],
            parts.corpus.splits[split],
            indices,
            parts.config.evaluation.tokens_per_batch,
        )


def bootstrap_stderr(task: Task, scored: Scored) -> float:
    """Standard error of the primary metric: bootstrap over examples, seeded."""
    rng = generator(0, "bootstrap")
    count = len(next(iter(scored.per_example.values())))
    values = [
        task.aggregate(scored, rng.integers(count, size=count))[task.primary_metric]
        for _ in range(BOOTSTRAP_SAMPLES)
    ]
    return float(np.std(values, ddof=1))


@dataclass(frozen=True)
class TestOutcome:
    """predictions: one per test example; stderr: of the primary metric over examples."""

    predictions: list
    scored: Scored
    stderr: float


class Evaluator:
    """Evaluates weights with the task's own prediction and metrics; counts its seconds."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.seconds = 0.0

    def validate(self, weights: Tensor) -> dict[str, float]:
        """Metrics of `weights` [P] on the (sub)set of validation examples."""
        return self.score("validation", weights, self.experiment.validation_indices)[1].metrics

    def test(self, weights: Tensor) -> TestOutcome:
        """Metrics of `weights` [P] on the whole official test split."""
        indices = np.arange(len(self.experiment.corpus.splits["test"]))
        predictions, scored = self.score("test", weights, indices)
        return TestOutcome(predictions, scored, bootstrap_stderr(self.experiment.task, scored))

    def score(self, split: str, weights: Tensor, indices: np.ndarray) -> tuple[list, Scored]:
        """Predictions and scores of `weights` [P] on examples `indices` [n] of a split."""
        began = time.perf_counter()
        clock.lap(REST)
        parts = self.experiment
        examples = parts.corpus.splits[split]
        predictions = parts.engine.predict(split, weights, indices)
        chosen = examples if len(indices) == len(examples) else examples.select(indices)
        scored = parts.task.evaluate(predictions, chosen)
        clock.lap(EVALUATION)
        self.seconds += time.perf_counter() - began
        return predictions, scored

    def primary(self, scored: Scored, subset: np.ndarray) -> float:
        """The primary metric over a subset (positions) of scored examples."""
        task = self.experiment.task
        return task.aggregate(scored, subset)[task.primary_metric]

    @cached_property
    def floor(self) -> dict[str, dict[str, float]]:
        """Metrics of the majority or copy baseline on validation and test."""
        parts = self.experiment
        splits = parts.corpus.splits
        validation = splits["validation"].select(parts.validation_indices)
        return {
            "validation": parts.task.floor(splits["train"], validation),
            "test": parts.task.floor(splits["train"], splits["test"]),
        }
