"""Who trains in a round, and how the method's server is told of them."""

from __future__ import annotations

from collections.abc import Sequence

from algorithms.algorithm import Cohort
from fednlp.engines.client import Assignment
from fednlp.experiment import Experiment
from fednlp.hooks import Hooks
from fednlp.random_streams import torch_generator


class Cohorts:
    """Of the federated run of an experiment; the same in every process."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.sampler = experiment, experiment.sampler
        self.method = Hooks(experiment.algorithm)
        self.population_weight = sum(self.method.weight(int(n)) for n in self.sampler.sizes)

    def draw(self, round: int) -> list[Assignment]:
        """The clients of a round (from 0), drawn from its stream."""
        assignments = []
        for position in self.sampler.cohort(round):
            client = int(self.sampler.clients[position])
            examples = self.experiment.partition.splits["train"].client(client)
            weight = self.method.weight(len(examples)) / self._draws(int(position))
            assignments.append(Assignment(client, examples, weight))
        return assignments

    def describe(self, round: int, cohort: Sequence[Assignment]) -> Cohort:
        """What `server_update` is told of the clients that count."""
        weight = sum(self.method.weight(len(a.examples)) for a in cohort)
        return Cohort(
            round=round,
            clients=len(cohort),
            population=len(self.sampler.clients),
            fraction=weight / self.population_weight,
            generator=torch_generator(self.experiment.config.seed, "server", round),
        )

    def _draws(self, position: int) -> float:
        """Inclusion probability relative to uniform sampling: 1 for uniform sampling, exactly."""
        uniform = self.sampler.per_round / len(self.sampler.clients)
        probability = float(self.sampler.probability[position])
        return 1.0 if probability == uniform else probability / uniform
