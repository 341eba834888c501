"""The ranks but 0: they build the same experiment and do what rank 0 tells, printing nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from algorithms.algorithm import State
from fednlp.cohorts import Cohorts
from fednlp.config_schema import RunConfig
from fednlp.engines.client import Assignment, Broadcast
from fednlp.engines.messages import Failure
from fednlp.engines.torchrun.agreement import facts
from fednlp.engines.torchrun.devices import use_own_device
from fednlp.engines.torchrun.group import Group, decoded, encoded
from fednlp.engines.torchrun.packing import Layout, fingerprint
from fednlp.engines.torchrun.part import Part, Trainer, as_json
from fednlp.engines.torchrun.post import Message
from fednlp.engines.torchrun.reduction import SumLayout, reduced
from fednlp.engines.torchrun.shares import shares_of_examples
from fednlp.environment import peak_memory
from fednlp.errors import ProcessLost, UserError
from fednlp.evaluation import predict
from fednlp.experiment import Experiment, prepare_process
from fednlp.processes import client_threads


def follow(group: Group, configs: Sequence[RunConfig], problem: Exception | None) -> bool:
    """Serves rank 0 until it ends; whether it ended well.

    problem: why this process has no configurations; told to rank 0 when it begins a run.

    Raises:
        ProcessLost: another process is.
    """
    post = group.post
    follower: Follower | None = None

    def begin() -> dict[str, str]:
        nonlocal follower
        follower, fills = None, post.first_here == group.me.rank
        if not fills:
            post.await_cache()
        try:
            if problem is not None:
                raise problem
            follower = Follower(_experiment(group, configs, message["seed"]), group)
            return facts(follower.experiment)
        finally:
            if fills:
                post.cache_filled()

    message = post.hear()
    while message["kind"] != "end":
        kind = message["kind"]
        if kind == "begin":
            _answer(group, begin)
        elif kind == "done":
            follower = None
        else:
            assert follower is not None
            if kind == "predict":
                _answer(group, lambda: follower.predict(message))  # noqa: B023
            elif (then := follower.round(message)) is not None:
                message = then
                continue
        message = post.hear()
    post.answer(None)
    return not message["failed"]


class Follower:
    """One experiment in a process that follows.

    weights, server: what the last round ended with, or what rank 0 gave since.
    """

    def __init__(self, experiment: Experiment, group: Group) -> None:
        self.experiment, self.group, self.post = experiment, group, group.post
        self.trainer, self.cohorts = Trainer(experiment), Cohorts(experiment)
        self.weights, self.server = torch.empty(0), State()

    def predict(self, message: Message) -> list:
        split, data = message["split"], base64.b64decode(message["indices"])
        self.post.doing = f"scoring {split}"
        self._take(message)
        indices = np.frombuffer(data, "<i8").astype(np.int64)
        shares = shares_of_examples(self.experiment, split, indices, self.group.me.size)
        share = shares[self.group.me.rank]
        return predict(self.experiment, split, self.weights, indices[share])

    def round(self, message: Message) -> Message | None:
        """Trains a share and joins in the sum; the next message, where rank 0 gave the round up."""
        self.post.doing = f"round {message['round'] + 1}"
        self._take(message)
        train = self.experiment.partition.splits["train"]
        cohort = [Assignment(k, train.client(k), weight) for k, weight in message["cohort"]]
        part: Part | None = None
        data: dict[int, bytes] = {}

        def work() -> dict[str, Any]:
            nonlocal part
            part = self._train(message, cohort)
            data.update({position: encoded(state) for position, state in part.states.items()})
            return {
                "uploads": as_json(part.uploads),
                "sum": SumLayout.of(part.total).as_json(),
                "states": [[position, len(each)] for position, each in data.items()],
            }

        _answer(self.group, work)
        then = self.post.hear()
        if then["kind"] != "go":
            return then
        assert part is not None
        layout = SumLayout.of_json(then["sum"])
        mean = reduced(self.group, part.total, layout, then["total_weight"], self.experiment.device)
        if data:
            self.post.handed()  # rank 0 takes from one after another
        for each in data.values():
            self.group.send(each, 0)

        def update() -> dict[str, Any]:
            number, survivors = message["round"], [a for a in cohort if a.client not in skipped]
            method, described = self.cohorts.method, self.cohorts.describe(number, survivors)
            place = f"server, round {number + 1}"
            self.weights = method.server_update(self.weights, mean, self.server, described, place)
            return {
                "weights": fingerprint({"weights": self.weights}),
                "server": fingerprint(self.server),
            }

        skipped = set(then["skipped"])
        _answer(self.group, update)
        return None

    def _train(self, message: Message, cohort: list[Assignment]) -> Part:
        jobs = message["shares"][self.group.me.rank]
        number = message["round"]
        sizes = self.post.handed()
        if sizes is None:
            raise UserError(f"round {number + 1}", "was given up by rank 0")
        order = [position for job in jobs for position in job]
        states = {
            position: decoded(self.group.receive(size, 0), self.experiment.device)
            for position, size in zip(order, sizes, strict=True)
        }
        method = self.cohorts.method
        received = method.download(self.weights, self.server, f"server, round {number + 1}")
        sent = Broadcast(number, self.weights, received)
        return self.trainer.train(sent, cohort, jobs, states.pop)

    def _take(self, message: Message) -> None:
        """What rank 0 gives with it."""
        for kind, layout in message["gives"].items():
            state = self.group.take(Layout.of_json(layout), self.experiment.device)
            if kind == "weights":
                self.weights = state["weights"]
            else:
                self.server = state


def _experiment(group: Group, configs: Sequence[RunConfig], seed: int) -> Experiment:
    config = next((c for c in configs if c.seed == seed), None)
    if config is None:
        raise UserError("--seeds", f"has no run of seed {seed}, which rank 0 began")
    use_own_device(config.engine, group.me)
    prepare_process(config)
    torch.set_num_threads(client_threads(config.engine))
    return Experiment(config)


def _answer(group: Group, work: Callable[[], Any]) -> None:
    """What work gives, or why it failed."""
    answer: dict[str, Any]
    try:
        answer = {"value": work()}
    except ProcessLost:
        raise
    except Exception as error:
        failure = Failure.of(error)
        answer = {"failure": failure.fields, "trace": failure.trace}
    group.post.answer({**answer, "peak": peak_memory()})
