"""Rank 0's engine: it tells the other processes what to do, and does its own part."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from algorithms.algorithm import State
from fednlp.engines.client import Assignment, Broadcast, payload_bytes
from fednlp.engines.engine import ClientStates, RoundOutcome
from fednlp.engines.messages import Failure
from fednlp.engines.sums import check_clients
from fednlp.engines.tally import Tally
from fednlp.engines.torchrun.agreement import compare, facts
from fednlp.engines.torchrun.group import Group, decoded, encoded
from fednlp.engines.torchrun.packing import fingerprint, layout_of
from fednlp.engines.torchrun.part import Trainer, of_json
from fednlp.engines.torchrun.reduction import SumLayout, reduced
from fednlp.engines.torchrun.shares import shares_of_clients, shares_of_examples
from fednlp.errors import ProcessLost, is_user_error, relocated
from fednlp.evaluation import predict
from fednlp.profile import AGGREGATION, ALGORITHM, EVALUATION, REST, STARTING, WAITING, clock

if TYPE_CHECKING:
    from fednlp.experiment import Experiment

WORTH_SHARING = 64  # examples, from which several processes score them


class TorchrunEngine:
    """An `engines.engine.Engine`.

    The others hold the weights and the server's state that the last round ended with, which they
    compute as rank 0 does; what they hold of other bits is given to them again.
    """

    def __init__(self, experiment: Experiment, group: Group) -> None:
        """Raises UserError: other processes have other data, settings, programs or libraries."""
        self.experiment, self.group, self.post = experiment, group, group.post
        self.size = group.me.size
        self._peaks: list[int] = []
        self._held: list[dict[str, Any]] = [{} for _ in self.post.others]
        self._owed = False
        self._printed: tuple[Tensor, list[Any]] | None = None
        own = facts(experiment)
        self.post.tell({"kind": "begin", "seed": experiment.config.seed})
        self.post.cache_filled()
        found = self._answers()
        compare(own, dict(zip(self.post.others, found, strict=True)), self.post.names)
        self.trainer = Trainer(experiment)
        clock.lap(STARTING)

    @property
    def peak_memory(self) -> int:
        return sum(self._peaks)

    def run_round(
        self,
        round: int,
        weights: Tensor,
        server: State,
        cohort: list[Assignment],
        states: ClientStates,
        on_client: Callable[[], None] = lambda: None,
    ) -> RoundOutcome:
        config, runner = self.experiment.config, self.trainer.runner
        if config.engine.aggregation == "exact":
            check_clients(len(cohort))
        clock.lap(REST)
        shares = shares_of_clients(self.experiment, cohort, self.size)
        pairs = [[a.client, a.weight] for a in cohort]
        message = {"kind": "round", "round": round, "cohort": pairs, "shares": shares}
        self._tell(f"round {round + 1}", message, weights, server)
        self._send_states(round, cohort, shares, states)
        received = runner.method.download(weights, server, f"server, round {round + 1}")
        clock.lap(ALGORITHM)
        part = self.trainer.train(
            Broadcast(round, weights, received),
            cohort,
            shares[0],
            lambda position: states.load(cohort[position].client, round),
            on_client,
        )
        clock.lap(REST)
        answers = self._answers()
        clock.lap(WAITING)
        uploads, layout = dict(part.uploads), SumLayout.of(part.total)
        for answer in answers:
            uploads |= of_json(answer["uploads"])
            layout = layout.joined(SumLayout.of_json(answer["sum"]), f"round {round + 1}")
        for _ in range(len(cohort) - len(part.uploads)):
            on_client()
        tally = Tally(round, len(cohort), config.client.on_nonfinite == "skip")
        tally.outcome.bytes_down = payload_bytes(received) * len(cohort)
        for position, assignment in enumerate(cohort):
            tally.take(assignment, uploads[position])
        self.post.tell(
            {
                "kind": "go",
                "sum": layout.as_json(),
                "skipped": tally.outcome.skipped,
                "total_weight": tally.total_weight,
            }
        )
        self._owed = True
        tally.outcome.mean = reduced(
            self.group, part.total, layout, tally.total_weight, self.experiment.device
        )
        sizes = [answer["states"] for answer in answers]
        self._keep(round, cohort, part.states, sizes, states)
        clock.lap(AGGREGATION)
        return tally.outcome

    def predict(self, split: str, weights: Tensor, indices: np.ndarray) -> list:
        if self.size == 1 or len(indices) < WORTH_SHARING:
            return predict(self.experiment, split, weights, indices)
        clock.lap(REST)
        shares = shares_of_examples(self.experiment, split, indices, self.size)
        chosen = base64.b64encode(np.ascontiguousarray(indices, "<i8").tobytes()).decode()
        message = {"kind": "predict", "split": split, "indices": chosen}
        self._tell(f"scoring {split}", message, weights, None)
        clock.lap(AGGREGATION)
        found = [predict(self.experiment, split, weights, indices[shares[0]])]
        clock.lap(EVALUATION)
        found += self._answers()
        clock.lap(WAITING)
        predictions: list = [None] * len(indices)
        for share, values in zip(shares, found, strict=True):
            for position, value in zip(share.tolist(), values, strict=True):
                predictions[position] = value
        return predictions

    def finish(self, states: ClientStates) -> None:
        """They are there."""

    def notes(self) -> list[str]:
        return []

    def facts(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "engine": "torchrun",
            "processes": self.size,
            "nodes": len(set(self.post.names)),
            "backend": self.group.backend(self.experiment.device),
        }
        if self.experiment.config.engine.aggregation == "exact":
            told["aggregation"] = "exact"
        elif self.size > 1:  # the processes' sums are rounded before they are added
            told["aggregation"] = f"fast of {self.size} processes"
        return told

    def close(self) -> None:
        with suppress(ProcessLost):  # what is lost was told already, or will be
            self.post.tell({"kind": "done"})
        self._owed = False

    def settle(self) -> None:
        """Reads what the others still owe: what they hold since the last round."""
        if self._owed:
            self._owed, self._held = False, self._answers()

    def _tell(
        self, doing: str, message: dict[str, Any], weights: Tensor, server: State | None
    ) -> None:
        """Tells it to all others, with the tensors that one of them does not hold.

        server: None where they need it not.
        """
        self.settle()
        self.post.doing = doing
        wanted = {"weights": ({"weights": weights}, self._weights_print(weights))}
        if server is not None:
            wanted["server"] = server, fingerprint(server)
        gives = {
            kind: state
            for kind, (state, prints) in wanted.items()
            if any(held.get(kind) != prints for held in self._held)
        }
        for held in self._held:
            held |= {kind: prints for kind, (_, prints) in wanted.items()}
        layouts = {kind: layout_of(state).as_json() for kind, state in gives.items()}
        self.post.tell({**message, "gives": layouts})
        for state in gives.values():
            self.group.give(state)

    def _weights_print(self, weights: Tensor) -> list[Any]:
        """Computed once for a vector, which no one edits."""
        if self._printed is None or self._printed[0] is not weights:
            self._printed = weights, fingerprint({"weights": weights})
        return self._printed[1]

    def _send_states(
        self,
        round: int,
        cohort: Sequence[Assignment],
        shares: list[list[list[int]]],
        states: ClientStates,
    ) -> None:
        """To each process those of its clients, in the order of its share."""
        waiting = list(self.post.others)
        try:
            while waiting:
                positions = [position for job in shares[waiting[0]] for position in job]
                data = [encoded(states.load(cohort[k].client, round)) for k in positions]
                rank = waiting.pop(0)
                self.post.hand(rank, [len(each) for each in data])
                for each in data:
                    self.group.send(each, rank)
        finally:
            for rank in waiting:
                self.post.hand(rank, None)  # the round is given up

    def _keep(
        self,
        round: int,
        cohort: Sequence[Assignment],
        own: dict[int, State],
        sizes: list[list[list[int]]],
        states: ClientStates,
    ) -> None:
        """Stores what clients keep; of the others, who send it, all that comes, even on an error.

        sizes: per other process the positions and bytes of what it sends.
        """
        problem: Exception | None = None

        def keep(position: int, state: State) -> None:
            nonlocal problem
            if problem is None:
                try:
                    states.store(cohort[position].client, round, state)
                except Exception as error:
                    problem = error

        for position, state in own.items():
            keep(position, state)
        for rank, of_rank in zip(self.post.others, sizes, strict=True):
            if of_rank:
                self.post.hand(rank, "its turn to send")
            for position, size in of_rank:
                data = self.group.receive(size, rank)
                keep(position, decoded(data, self.experiment.device))
        if problem is not None:
            raise problem

    def _answers(self) -> list[Any]:
        """What the others say; the first that failed is raised."""
        answers = self.post.answers()
        self._peaks = [answer["peak"] for answer in answers]
        for rank, answer in zip(self.post.others, answers, strict=True):
            if "failure" in answer:
                error = Failure(tuple(answer["failure"]), answer["trace"]).error()
                place = f"rank {rank} on {self.post.names[rank]}: "
                raise relocated(error, place) if is_user_error(error) else error
        return [answer["value"] for answer in answers]
