"""Clients of a round trained together against one by one.

One sample is a cohort of clients with 20 examples each, through `ClientRunner.run` one after
the other, or through `TogetherRunner.run_many` with K clients at once: planning, gathering,
training and encoding, all as in a round. Both sides use the harness as it is, with its own kernels
and, one by one, the embedding cut to the rows that occur. Dropout is on; without it both must end
at the same weights, which is checked before the clock starts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from algorithms import ClientOptimizer, FedAvg
from benchmarks.overhead import without_dropout
from benchmarks.report import machine, table
from benchmarks.simulation_rows.section import Section
from benchmarks.timing import Sample, Stopwatch, alternate, ratio, seconds
from benchmarks.workload import BERT, Workload
from fednlp import config as configuration
from fednlp import places
from fednlp.engines.client import Assignment, Broadcast, ClientRunner, Upload
from fednlp.experiment import prepare_process
from fednlp.hooks import Hooks
from fednlp.together.choice import automatic
from fednlp.together.runner import TogetherRunner
from fednlp.together.trainer import TogetherTrainer

EXAMPLES, BATCH, CLIENTS = 20, 8, 128
LARGE = 1_000  # clients of a cohort that `auto` is asked about
TARGET = 1.5
TOLERANCE = 1e-3  # of the change of the weights
AT_ONCE = (1, 2, 4, 8, 16, 32)
OFTEN = (4, 8, 16)  # where only the end is asked for
CASES = [
    ("tiny", 32, AT_ONCE),
    ("tiny", 128, OFTEN),
    ("mini", 32, OFTEN),
    ("mini", 128, OFTEN),
    (BERT, 32, OFTEN),
    (BERT, 128, OFTEN),
]


class Cohorts:
    """Cohorts of one workload, one by one or together."""

    def __init__(self, model: str, length: int, cohort: int, smoke: bool) -> None:
        self.experiment = Workload(
            configuration.build(_configuration(model, length, smoke), "benchmark")
        )
        prepare_process(self.experiment.config)
        self.cohort = cohort
        self.trainer = self.experiment.trainer()
        client = self.experiment.config.client
        self.runner = ClientRunner(
            self.trainer, Hooks(FedAvg()), ClientOptimizer(client.optimizer, client.lr), rounds=1
        )

    def alone(self) -> Callable[[int], list[Upload]]:
        def run(repetition: int) -> list[Upload]:
            sent, assignments = self._round(repetition)
            return [self.runner.run(sent, assignment, {}) for assignment in assignments]

        return run

    def together(self, clients: int) -> tuple[Callable[[int], list[Upload]], TogetherTrainer]:
        trainer = TogetherTrainer(self.trainer, clients)
        runner = TogetherRunner(self.runner, trainer)

        def run(repetition: int) -> list[Upload]:
            sent, assignments = self._round(repetition)
            return list(runner.uploads(sent, assignments, lambda client, round: {}))

        return run, trainer

    def _round(self, repetition: int) -> tuple[Broadcast, list[Assignment]]:
        weights = self.experiment.initial_weights
        shares = self.experiment.partition.splits["train"]
        first = repetition * self.cohort
        clients = [(first + k) % self.experiment.partition.clients for k in range(self.cohort)]
        assignments = [Assignment(k, shares.client(k), 1.0) for k in clients]
        return Broadcast(0, weights, {"weights": weights}), assignments

    def check(self, run: Callable[[int], list[Upload]], trainer: TogetherTrainer) -> None:
        """A comparison of different work does not count."""
        with without_dropout(self.trainer.model.module), without_dropout(trainer.module):
            expected, found = _deltas(self.alone()(0)), _deltas(run(0))
        change = float((found - expected).norm() / expected.norm())
        if not change < TOLERANCE:
            raise SystemExit(f"together: the arms differ by {change:.2g} of their change")


def _configuration(model: str, length: int, smoke: bool) -> dict[str, Any]:
    dataset: dict[str, Any] = {"name": "20newsgroups", "limit": {"train": CLIENTS * EXAMPLES}}
    if smoke or places.data_root() is None:
        dataset = {"name": "synthetic_topics"}
        dataset["sizes"] = {"train": CLIENTS * EXAMPLES, "validation": 16, "test": 16}
    return {
        "dataset": dataset,
        "model": model,
        "partition": {"name": "uniform", "clients": CLIENTS},
        "client": {"batch_size": BATCH},
        "tokens": {"max_length": length},
        "centralized": {"budget": "none"},
        "engine": {"workers": 1, "threads": 1},
    }


def _deltas(uploads: list[Upload]) -> Tensor:
    return torch.stack([upload.decoded["delta"] for upload in uploads])


def _timed(run: Callable[[int], list[Upload]], repetition: int) -> Sample:
    watch = Stopwatch()
    run(repetition)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return watch.stop()


def section(smoke: bool, repetitions: int) -> Section:
    repetitions, rows, facts = 2 if smoke else 3 * repetitions, [], {}
    shown = AT_ONCE[:3] if smoke else AT_ONCE
    for model, length, wanted in CASES[:1] if smoke else CASES:
        at_once = [k for k in wanted if k in shown]
        cohorts = Cohorts(model, length, max(at_once), smoke)
        experiment = cohorts.experiment
        arms = {"alone": partial(_timed, cohorts.alone())}
        for clients in at_once:
            run, trainer = cohorts.together(clients)
            cohorts.check(run, trainer)
            arms[str(clients)] = partial(_timed, run)
        title = f"{experiment.model_card.name}, length {length}"
        samples = alternate(arms, repetitions, warm_up=1, title=title)
        ratios = [
            str(ratio(samples["alone"], samples[str(k)])) if k in at_once else "" for k in shown
        ]
        each = f"{seconds(samples['alone']) / cohorts.cohort * 1e3:.1f}"
        size = f"{experiment.model.weights.numel():,}"
        chosen = str(automatic(cohorts.trainer, LARGE))
        rows.append([title, size, each, *ratios, chosen])
        facts = facts or machine(experiment)
    columns = [f"K = {k}" for k in shown]
    notes = (
        f"Times as fast as one by one, with K clients at once. Target: {TARGET} for tiny at "
        f"length 32. Cohorts of as many clients as the largest K, {EXAMPLES} examples each, batch "
        f"{BATCH}, AdamW, clipping, {cohorts.experiment.config.dataset.name}, one thread; median "
        f"of {repetitions} ratios within a repetition (quartiles). The last column is what "
        f"`engine.together: auto` takes of {LARGE:,} clients; 1 is one by one. Without dropout "
        "both end at the same weights (checked beforehand)."
    )
    header = ["model", "weights", "one by one, ms per client", *columns, "auto"]
    return Section("Clients trained together", [notes, table(header, rows)], facts=facts)
