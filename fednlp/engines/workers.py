"""Several processes on one machine: clients of a cohort, and batches to score, side by side.

Results do not depend on the number of workers: a client is trained by the same code with the same
number of threads, draws from its own streams, and uploads are handed on in cohort order. Token
stores are mapped files that all processes share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from algorithms.algorithm import State
from fednlp.engines.client import Assignment, Broadcast, Upload, in_turn
from fednlp.engines.crew import Crew, Process, crew
from fednlp.engines.messages import DECODED, Answer, Failure, Predict, Train
from fednlp.profile import AGGREGATION, REST, STARTING, WAITING, clock
from fednlp.together.runner import groups
from tasks.batches import evaluation_plan

if TYPE_CHECKING:
    from fednlp.experiment import Experiment

AHEAD = 4  # clients per worker that may be done before an earlier one of their cohort
PARTS = 4  # per worker, that an evaluation is cut into


class Workers:
    """The worker processes as one run uses them; they start when they are first needed."""

    def __init__(self, experiment: Experiment, count: int, threads: int) -> None:
        self.experiment, self.count, self.threads = experiment, count, threads
        self.peak_memory = 0  # bytes, of all of them together

    def uploads(
        self, sent: Broadcast, cohort: Sequence[Assignment], load_state: Callable[[int, int], State]
    ) -> Iterator[Upload]:
        """Trains a cohort, the longest client first, and gives the uploads in cohort order.

        A client whose predecessors are not done waits, so only AHEAD clients per worker are begun
        out of turn: no more uploads than that are held.

        Raises:
            UserError: of a client's training, in cohort order; a worker that has ended.
        """
        ready = self._begin(sent)
        experiment, sizes = self.experiment, [len(a.examples) for a in cohort]
        jobs = groups(sizes, experiment.together.clients)
        store = experiment.stores["train"]
        costs = [sum(int(store.example_lengths[cohort[k].examples].sum()) for k in j) for j in jobs]

        def send(process: Process, number: int) -> None:
            chosen = [cohort[k] for k in jobs[number]]
            states: State = {}
            for position, one in enumerate(chosen):
                own = load_state(one.client, sent.round)
                states |= {f"{position}/{name}": tensor for name, tensor in own.items()}
            process.send(Train(chosen, process.inbox.put(states)))

        done: dict[int, Upload] = {}
        given = 0
        results = self._in_order(ready, costs, AHEAD * self.count, send, self._received)
        for job, uploads in zip(jobs, results, strict=True):
            done.update(zip(job, uploads, strict=True))
            for upload in in_turn(done, given):
                yield upload
                given += 1

    def _received(self, process: Process, answer: Answer) -> list[Upload]:
        """The uploads of one or several clients, with copies of their tensors."""
        uploads: list[Upload] = answer.value
        device = self.experiment.device
        for key, tensor in process.outbox.get(answer.places).items():
            own = tensor.to(device) if device.type != "cpu" else tensor.clone()
            position, kind, name = key.split("/", 2)
            upload = uploads[int(position)]
            held = upload.decoded if kind == DECODED else upload.state
            assert held is not None
            held[name] = own
        return uploads

    def predict(self, split: str, weights: Tensor, indices: np.ndarray) -> list:
        """One prediction of `weights` [P] per index [n], from the batches of one process.

        Raises:
            UserError: a worker that has ended.
        """
        ready = self._begin(Broadcast(0, weights, {}))
        store, settings = self.experiment.stores[split], self.experiment.config.evaluation
        plan = evaluation_plan(store, indices, settings.tokens_per_batch)
        ends = np.concatenate([[0], np.cumsum(plan.examples)])
        places = cuts(plan.padded_tokens, PARTS * self.count)
        parts = [plan.order[ends[a] : ends[b]] for a, b in pairwise(places)]
        costs = [int(plan.padded_tokens[a:b].sum()) for a, b in pairwise(places)]

        def send(process: Process, position: int) -> None:
            process.send(Predict(split, indices[parts[position]]))

        predictions: list = [None] * len(indices)
        answers = self._in_order(ready, costs, len(parts), send, lambda _, answer: answer.value)
        for part, values in zip(parts, answers, strict=True):
            for position, value in zip(part.tolist(), values, strict=True):
                predictions[position] = value
        return predictions

    def _begin(self, sent: Broadcast) -> Crew:
        """The processes, made ready for this run and for these weights."""
        clock.lap(REST)
        ready = crew(self.count)
        ready.set_up(self.experiment, self.threads)
        clock.lap(STARTING)
        ready.begin(sent)
        clock.lap(AGGREGATION)
        return ready

    def _in_order(
        self,
        ready: Crew,
        costs: Sequence[int],
        ahead: int,
        send: Callable[[Process, int], None],
        receive: Callable[[Process, Answer], Any],
    ) -> Iterator[Any]:
        """Has all jobs done, the dearest of the next `ahead` first, and gives results in order."""
        waiting, idle = set(range(len(costs))), list(ready.processes)
        busy: dict[Any, tuple[Process, int]] = {}
        done: dict[int, Any] = {}
        whole = False

        def dispatch(first: int) -> None:
            while idle:
                within = [p for p in range(first, min(first + ahead, len(costs))) if p in waiting]
                if not within:
                    return
                position = max(within, key=lambda p: (costs[p], -p))
                waiting.remove(position)
                process = idle.pop()
                send(process, position)
                busy[process.connection] = (process, position)

        try:
            for position in range(len(costs)):
                dispatch(position)
                while position not in done:
                    clock.lap(REST)
                    ended = wait(list(busy))
                    clock.lap(WAITING)
                    for connection in ended:
                        process, finished = busy.pop(connection)
                        answer = process.receive()
                        if isinstance(answer, Answer):
                            process.peak_memory = answer.peak_memory
                            clock.add(answer.seconds)
                            done[finished] = receive(process, answer)
                        else:
                            done[finished] = answer
                        idle.append(process)
                        clock.lap(AGGREGATION)
                    dispatch(position)
                result = done.pop(position)
                if isinstance(result, Failure):
                    raise result.error()
                yield result
            whole = True
        finally:
            self.peak_memory = max(self.peak_memory, sum(p.peak_memory for p in ready.processes))
            if not whole:  # what is under way would answer to the next question
                ready.close()


def cuts(costs: np.ndarray, parts: int) -> np.ndarray:
    """Where to cut a row of costs [n] into `parts`, or fewer, of about one sum: [parts + 1]."""
    total = np.cumsum(costs)
    wanted = total[-1] * np.arange(1, parts) / parts if len(costs) else np.zeros(0)
    return np.unique(np.concatenate([[0], np.searchsorted(total, wanted) + 1, [len(costs)]]))
