"""The round loop: draw a cohort, train it, let the method update the global weights, score."""

from __future__ import annotations

import time

import torch

from fednlp.checkpoint import checkpoint, restored
from fednlp.client_states import StoredStates
from fednlp.cohorts import Cohorts
from fednlp.errors import NotFinite
from fednlp.experiment import Experiment
from fednlp.hooks import Hooks
from fednlp.journal import Journal
from fednlp.profile import AGGREGATION, PREPARATION, clock
from fednlp.progress import Progress
from fednlp.remarks import remarks
from fednlp.results.run_folder import RunFolder
from fednlp.trackers.feed import Feed


class Federation:
    """One federated run of one configuration and seed, continued from its folder."""

    def __init__(
        self,
        experiment: Experiment,
        folder: RunFolder,
        progress: Progress,
        feed: Feed | None = None,
    ) -> None:
        self.experiment, self.folder, self.progress, self.feed = experiment, folder, progress, feed
        self.method = Hooks(experiment.algorithm)
        self.cohorts = Cohorts(experiment)
        self.engine, self.states = experiment.engine, StoredStates(experiment, folder, self.method)
        for remark in remarks(experiment):
            progress.message(remark)

    def run(self, until: int | None = None) -> None:
        """Runs the rounds that the folder does not have yet, all or up to round `until`."""
        config = self.experiment.config
        journal = Journal(
            self.experiment,
            self.folder,
            config.rounds,
            config.evaluation.every,
            self.progress,
            self.feed,
        )
        weights, server = restored(self.experiment, self.folder, self.method)
        clock.lap(PREPARATION)
        for round in range(self.folder.manifest.completed, until or config.rounds):
            cohort = self.cohorts.draw(round)
            self.progress.round(round, len(cohort))
            outcome = self.engine.run_round(
                round, weights, server, cohort, self.states, self.progress.client_done
            )
            began = time.perf_counter()
            survivors = [a for a in cohort if a.client not in outcome.left_out]
            weights = self.method.server_update(
                weights,
                outcome.mean,
                server,
                self.cohorts.describe(round, survivors),
                f"server, round {round + 1}",
            )
            clock.lap(AGGREGATION)
            if not bool(torch.isfinite(weights).all()):
                raise NotFinite(
                    f"round {round + 1}",
                    "the server's weights are not finite",
                    fix="lower server.lr or client.lr",
                )
            journal.close_round(
                round + 1,
                weights,
                checkpoint(weights, server),
                outcome.work,
                lost=outcome.lost,
                clients=[a.client for a in cohort],
                **outcome.record,
                bytes_up=outcome.bytes_up,
                bytes_down=outcome.bytes_down,
                device_seconds=outcome.device_seconds + time.perf_counter() - began,
            )
        if until is None:
            self.engine.finish(self.states)
