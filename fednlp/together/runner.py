"""A `ClientRunner` for many clients, trained together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from algorithms.algorithm import State
from fednlp.engines.client import Asked, Assignment, Broadcast, ClientRunner, Learned, Upload
from fednlp.together.meeting import meet
from fednlp.together.trainer import TogetherTrainer

_GROUPS = 4


@dataclass
class TogetherRunner:
    """What `runner.run` gives one by one, up to rounding and other draws of dropout."""

    runner: ClientRunner
    trainer: TogetherTrainer

    @property
    def window(self) -> int:
        """Clients of a cohort that are best given at once: groups of similar sizes are among them.

        Their uploads are in memory at the same time.
        """
        return _GROUPS * self.trainer.rows.clients

    def run_many(
        self, sent: Broadcast, assignments: Sequence[Assignment], states: Sequence[State]
    ) -> list[Upload]:
        """One upload per assignment, in order. states: each client's own, as for `run`."""
        began = time.perf_counter()
        works = [
            partial(self.runner.run_by, sent=sent, assignment=assignment, state=state)
            for assignment, state in zip(assignments, states, strict=True)
        ]
        uploads = meet(works, self._train)
        for upload in uploads:  # a client waits for the others, so its own time says nothing
            upload.seconds = (time.perf_counter() - began) / len(uploads)
        return uploads

    def _train(self, asked: Sequence[Asked]) -> list[Learned]:
        """In groups of similar numbers of steps, as few and as equal as can be."""
        order = np.argsort([one.course.steps for one in asked], kind="stable")
        found: dict[int, Learned] = {}
        for group in np.array_split(order, -(-len(asked) // self.trainer.rows.clients)):
            learned = self.trainer.train([asked[k] for k in group])
            found.update(zip(group.tolist(), learned, strict=True))
        return [found[k] for k in range(len(asked))]
