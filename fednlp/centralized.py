"""The reference: one uninterrupted local training on the union of the clients' train shares.

Same model, tokenizer, loss, batch size, optimizer and code path as a client (design 4). A "round"
only marks an evaluation point; the optimizer and the schedule run through.
"""

from __future__ import annotations

import dataclasses
import time

import torch

from fednlp.config_schema import central_client
from fednlp.errors import NotFinite
from fednlp.experiment import Experiment
from fednlp.identity import centralized_plan
from fednlp.journal import Journal
from fednlp.profile import PREPARATION, clock
from fednlp.progress import Progress
from fednlp.results.run_folder import RunFolder
from fednlp.trackers.feed import Feed


def run_centralized(
    experiment: Experiment,
    folder: RunFolder,
    progress: Progress,
    until: int | None = None,
    feed: Feed | None = None,
) -> None:
    """Trains to the plan's evaluation points that the folder does not have yet.

    until: the last of them; None: all.
    """
    plan = centralized_plan(experiment)
    journal = Journal(experiment, folder, plan.points, plan.every, progress, feed)
    client = central_client(experiment.config)
    trainer = dataclasses.replace(experiment.trainer(), settings=client)
    clock.lap(PREPARATION)
    participation = trainer.participate(
        experiment.union,
        experiment.initial_weights,
        round=0,
        client=0,
        budget=plan.until(plan.points - 1),
        whole_vocabulary=True,  # its state is checkpointed, and it sees all rows anyway
    )
    completed = folder.manifest.completed
    if folder.manifest.state is not None:
        participation.restore(folder.committed(folder.manifest.state))
    for point in range(completed, until or plan.points):
        began = time.perf_counter()
        progress.round(point, 1)
        # whoever changes the model's weights meanwhile (evaluation does) loads the same bits
        work = participation.advance(plan.until(point))
        progress.client_done()
        if not bool(torch.isfinite(trainer.model.weights).all()):
            raise NotFinite(
                f"centralized run, point {point + 1}",
                "its weights are not finite",
                fix="lower client.lr or centralized.client.lr",
            )
        journal.close_round(
            point + 1,
            trainer.model.weights.clone(),
            participation.tensors(),
            work,
            bytes_up=0,
            bytes_down=0,
            device_seconds=time.perf_counter() - began,
        )
