"""A `ClientRunner` for many clients, trained together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from algorithms.algorithm import State
from fednlp.engines.client import Assignment, Broadcast, ClientRunner, Upload, in_turn
from fednlp.together.meeting import meet
from fednlp.together.trainer import TogetherTrainer

_GROUPS = 4


def groups(sizes: Sequence[int], clients: int) -> list[list[int]]:
    """Positions of a cohort that are trained together, at most `clients` of similar size.

    Taken from one window of a few groups after another, so that the uploads that wait for an
    earlier one are few. sizes: training examples of the cohort's clients.
    """
    found, window = [], _GROUPS * clients
    for begin in range(0, len(sizes), window):
        order = begin + np.argsort(sizes[begin : begin + window], kind="stable")
        found += [group.tolist() for group in np.array_split(order, -(-len(order) // clients))]
    return found


@dataclass
class TogetherRunner:
    """What `runner.run` gives one by one, up to rounding and other draws of dropout."""

    runner: ClientRunner
    trainer: TogetherTrainer

    @property
    def clients(self) -> int:
        """How many, at most."""
        return self.trainer.rows.clients

    def uploads(
        self, sent: Broadcast, cohort: Sequence[Assignment], load_state: Callable[[int, int], State]
    ) -> Iterator[Upload]:
        """Trains a cohort group by group, and gives the uploads in cohort order.

        load_state: client, round -> its state before this round.
        """
        done: dict[int, Upload] = {}
        given = 0
        for group in groups([len(a.examples) for a in cohort], self.clients):
            chosen = [cohort[k] for k in group]
            states = [load_state(one.client, sent.round) for one in chosen]
            done.update(zip(group, self.run_many(sent, chosen, states), strict=True))
            for upload in in_turn(done, given):
                yield upload
                given += 1

    def run_many(
        self, sent: Broadcast, assignments: Sequence[Assignment], states: Sequence[State]
    ) -> list[Upload]:
        """One upload per assignment, of at most `clients`, in order.

        states: each client's own, as for `run`.
        """
        began = time.perf_counter()
        works = [
            partial(self.runner.run_by, sent=sent, assignment=assignment, state=state)
            for assignment, state in zip(assignments, states, strict=True)
        ]
        uploads = meet(works, self.trainer.train)
        for upload in uploads:  # a client waits for the others, so its own time says nothing
            upload.seconds = (time.perf_counter() - began) / len(uploads)
        return uploads
