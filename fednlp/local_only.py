"""Clients trained alone: what federating gains a client, judged on the same test shares.

Each of at most 50 seeded clients trains from the run's initial weights for as many local epochs
as it is expected to spend in the federated run (at least one).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fednlp.errors import UserError
from fednlp.evaluation import Evaluator
from fednlp.experiment import Experiment
from fednlp.nonfinite import is_finite
from fednlp.random_streams import generator


def train_alone(experiment: Experiment, evaluator: Evaluator, table: pd.DataFrame) -> None:
    """Adds the column `local_only` to the per-client table, if the configuration asks for it."""
    wanted = experiment.config.evaluation.local_only
    if not wanted:
        return
    config, sampler = experiment.config, experiment.sampler
    scored = table["score"].notna() & (table["train_examples"] > 0) & ~table["held_out"]
    eligible = table.loc[scored, "client"].to_numpy()
    order = generator(config.seed, "local only").permutation(len(eligible))
    chosen = np.sort(eligible[order[:wanted]])
    probability = dict(zip(sampler.clients.tolist(), sampler.probability, strict=True))
    trainer, partition = experiment.trainer(), experiment.partition
    table["local_only"] = np.nan
    for client in chosen.tolist():
        examples = partition.splits["train"].client(client)
        rounds = max(1, round(config.rounds * probability[client]))
        budget = rounds * config.client.epochs * len(examples)
        participation = trainer.participate(
            examples,
            experiment.initial_weights,
            round=0,
            client=client,
            budget=budget,
            stream=" local only",
        )
        participation.advance()
        share = partition.splits["test"].client(client)
        weights = experiment.model.weights.clone()
        if not is_finite(weights):
            raise UserError(
                f"client {client}, trained alone",
                "its weights are not finite",
                fix="lower client.lr, or evaluation.local_only: 0",
            )
        metrics = evaluator.score("test", weights, share)[1].metrics
        table.loc[table["client"] == client, "local_only"] = metrics[experiment.task.primary_metric]
