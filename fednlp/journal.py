"""What federated and centralized runs do at the end of every round: score, log, commit."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from torch import Tensor

from fednlp.evaluation import Evaluator
from fednlp.experiment import Experiment
from fednlp.flat_model import digest
from fednlp.local_training import Work
from fednlp.profile import CHECKPOINT, REST, clock
from fednlp.progress import Progress
from fednlp.results.run_folder import RunFolder
from fednlp.trackers.feed import Feed


class Journal:
    """Keeps a run's folder up to date, round by round, and then its trackers."""

    def __init__(
        self,
        experiment: Experiment,
        folder: RunFolder,
        rounds: int,
        every: int,
        progress: Progress,
        feed: Feed | None = None,
    ) -> None:
        self.experiment, self.folder, self.progress = experiment, folder, progress
        self.feed = feed or Feed()
        self._uncommitted: list[dict[str, Any]] = []  # a kill would make the folder forget them
        self.evaluator = Evaluator(experiment)
        self.rounds, self.every = rounds, every
        self._aside = ThreadPoolExecutor(1)  # the digest takes as long as writing the state
        self._clock = time.perf_counter()

    def close_round(
        self,
        completed: int,
        weights: Tensor,
        state: dict[str, Tensor],
        work: Work,
        lost: Work | None = None,
        **costs: Any,
    ) -> None:
        """Validates if it is due, writes the round's record, commits what must survive.

        Args:
            completed: number of completed rounds, this one included.
            weights: [P], the global model after the round.
            state: all tensors from which the run can continue.
            work: whose losses and corrections are averaged.
            lost: further work, of clients that were left out: a cost, but in no mean.
            costs: further entries of the record.
        """
        clock.lap(REST)
        lost = lost or Work()
        config, last = self.experiment.config, completed == self.rounds
        record: dict[str, Any] = {
            "round": completed,
            "examples": work.examples + lost.examples,
            "steps": work.steps + lost.steps,
            "real_tokens": work.real_tokens + lost.real_tokens,
            "padded_tokens": work.padded_tokens + lost.padded_tokens,
            "train_loss": _finite(work.loss_sum / max(work.examples, 1)),
            "correction_ratio": _finite(work.correction_sum / max(work.steps, 1)),
            **costs,
        }
        digested = self._aside.submit(digest, weights)
        best = None
        before = self.evaluator.seconds
        if completed % self.every == 0 or last:
            self.progress.note("validating")
            metrics = self.evaluator.validate(weights)
            record["validation"] = metrics
            metric = metrics[self.experiment.task.primary_metric]
            highest = self.folder.manifest.best_metric
            best = metric if highest is None or metric > highest else None
            self.progress.metric(metric)
        record["evaluation_seconds"] = self.evaluator.seconds - before
        record["wall_seconds"] = time.perf_counter() - self._clock
        self._clock = time.perf_counter()
        keep_every = config.checkpoint.keep_every
        keep = bool(keep_every) and completed % keep_every == 0
        due = best is not None or keep or last or completed % config.checkpoint.every == 0
        if due:
            self.folder.put_state(completed, state)
        record["weights_sha256"] = digested.result()
        self.folder.log(record)
        self._uncommitted.append(record)
        if due:
            self.folder.commit(completed, best=best, keep=keep)
            self.feed.rounds(self._uncommitted)
            self._uncommitted = []
        clock.lap(CHECKPOINT)


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
