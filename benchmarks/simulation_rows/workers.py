"""Worker processes of one thread against one process, of one thread and of all.

All train the same cohorts from the same weights. Two processes must give the bits of one with as
many threads; other threads may round otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from rich.console import Console
from torch import Tensor

from benchmarks.report import machine, table
from benchmarks.simulation_rows.section import Section
from benchmarks.timing import Sample, Stopwatch, alternate, ratio, seconds
from benchmarks.workload import Workload, workload
from fednlp.federation import Federation
from fednlp.processes import client_threads
from fednlp.progress import Progress
from fednlp.results.run_folder import RunFolder

ONE, TWO, WIDE = "1 worker, 1 thread", "2 workers, 1 thread each", "1 worker, 2 threads"
ARMS = {ONE: (1, 1), TWO: (2, 1), WIDE: (1, 2)}
TARGET = 1.6
TOLERANCE = 1e-2  # of the change of the weights in a round; AdamW makes steps of rounding errors


def section(smoke: bool, repetitions: int) -> Section:
    repetitions = 1 if smoke else 3 * repetitions
    means: dict[str, Tensor] = {}
    with ExitStack() as stack:
        arms: dict[str, Callable[[int], Sample]] = {}
        for name, (workers, threads) in ARMS.items():
            experiment = workload(smoke=smoke, lr=1e-3, optimizer="adamw")
            engine = {"workers": workers, "threads": threads}
            experiment.config = experiment.config.model_copy(
                update={"engine": experiment.config.engine.model_copy(update=engine)}
            )
            arms[name] = _arm(name, experiment, stack, means)
        samples = alternate(arms, repetitions, warm_up=1, title="workers")
    if not torch.equal(means[ONE], means[TWO]):
        raise SystemExit("workers: two processes gave other bits than one")
    distance = float((means[WIDE] - means[ONE]).norm() / means[ONE].norm())
    if not distance < TOLERANCE:
        raise SystemExit(f"workers: the arms differ by {distance:.2g} of their change")
    rows = [
        [
            name,
            f"{seconds(values):.2f}",
            str(ratio(samples[ONE], values)),
            f"{TARGET}" if name == TWO else "",
        ]
        for name, values in samples.items()
    ]
    notes = (
        f"{experiment.description}; {experiment.config.sampling.clients_per_round} clients per "
        f"round, one local epoch with AdamW. Medians of {repetitions} rounds (quartiles), from "
        "sending the weights to the weighted mean. Checked: two workers give the bits of one."
    )
    header = ["way", "s per round", f"{ONE} / this", "at least"]
    return Section("Worker processes", [notes, table(header, rows)], facts=machine(experiment))


def _arm(
    name: str, experiment: Workload, stack: ExitStack, means: dict[str, Tensor]
) -> Callable[[int], Sample]:
    folder = stack.enter_context(RunFolder(Path(stack.enter_context(TemporaryDirectory())) / "run"))
    quiet = Progress(Console(quiet=True), "benchmark", 1)
    federation = Federation(experiment, folder, quiet)
    weights = experiment.initial_weights

    def measure(repetition: int) -> Sample:
        torch.set_num_threads(client_threads(experiment.config.engine))
        cohort = federation.cohorts.draw(repetition)
        watch = Stopwatch()
        outcome = federation.engine.run_round(repetition, weights, {}, cohort, federation.states)
        sample = watch.stop()
        means[name] = outcome.mean["delta"]
        return sample

    return measure
