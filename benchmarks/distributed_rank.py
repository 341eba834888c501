"""The processes of `benchmarks.distributed`: what each of them builds, and what rank 1 does."""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.workload import Workload, workload
from fednlp.cohorts import Cohorts
from fednlp.config_schema import AlgorithmConfig
from fednlp.engines.client import Assignment, Broadcast
from fednlp.engines.torchrun.agreement import facts
from fednlp.engines.torchrun.follower import Follower
from fednlp.engines.torchrun.group import Group
from fednlp.engines.torchrun.membership import membership
from fednlp.engines.torchrun.part import Trainer
from fednlp.engines.torchrun.shares import shares_of_clients
from fednlp.experiment import Experiment

TRAINED, UNTRAINED = 0, 1  # their seeds tell them apart
_METHODS = Path(__file__).resolve().parent / "standing_methods.py"
_SENT = struct.Struct("<Q"), 200  # tcpi_bytes_sent in Linux's struct tcp_info


def experiments(smoke: bool) -> list[Workload]:
    """One that trains and one that does not, of one model; equal in all processes."""
    trained = workload(smoke=smoke, lr=1e-3, optimizer="adamw", dropout=0.0)
    engine = trained.config.engine.model_copy(update={"threads": 1, "name": "torchrun"})
    update = {"engine": engine, "seed": TRAINED, "algorithm": _method("Standing")}
    trained.config = trained.config.model_copy(update=update)
    update = {"seed": UNTRAINED, "algorithm": _method("Untrained")}
    untrained = Workload(trained.config.model_copy(update=update))
    for name in ("corpus", "task", "tokenizer", "stores", "model", "initial_weights"):
        untrained.__dict__[name] = getattr(trained, name)
    torch.set_num_threads(1)
    return [trained, untrained]


def _method(name: str) -> AlgorithmConfig:
    return AlgorithmConfig(name=f"{_METHODS}:{name}")


def cohort_of(experiment: Experiment, round: int) -> list[Assignment]:
    return Cohorts(experiment).draw(round)


def train_share(experiment: Experiment, trainer: Trainer, round: int, rank: int) -> None:
    """A half of the round's clients, as the engine shares them out; nothing is exchanged."""
    cohort, weights = cohort_of(experiment, round), experiment.initial_weights
    jobs = shares_of_clients(experiment, cohort, 2)[rank]
    trainer.train(Broadcast(round, weights, {"weights": weights}), cohort, jobs, lambda k: {})


def bytes_sent() -> int:
    """By all TCP connections that this process has open, as the system counts them (Linux)."""
    total = 0
    for entry in os.listdir("/proc/self/fd"):
        try:
            connection = socket.socket(fileno=os.dup(int(entry)))
        except OSError:  # no socket
            continue
        with connection:
            try:
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            except OSError:  # no TCP
                continue
            kind, place = _SENT
            total += kind.unpack_from(info, place)[0]
    return total


def main() -> None:
    """Rank 1: serves rank 0 until it ends."""
    me = membership()
    assert me is not None
    known, group = experiments("--smoke" in sys.argv), Group(me)

    def answer(value: Any) -> None:
        group.post.answer({"value": value, "peak": 0})

    follower: Follower | None = None
    while (message := group.post.hear())["kind"] != "end":
        if message["kind"] == "begin":
            follower = Follower(known[message["seed"]], group)
            answer(facts(follower.experiment))
        elif message["kind"] == "round":
            assert follower is not None
            follower.round(message)
        elif message["kind"] == "share":
            assert follower is not None
            train_share(follower.experiment, follower.trainer, message["round"], me.rank)
            answer(None)
        elif message["kind"] == "bytes":
            answer([bytes_sent(), group.sent])
        elif message["kind"] == "echo":
            answer(time.perf_counter())
    group.post.answer(None)
    group.close()


if __name__ == "__main__":
    main()
