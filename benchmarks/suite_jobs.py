"""A suite of small runs one after another and two at once, from the command to its table.

Each way is the command as a user types it, with a folder of its own; all have the whole machine, or
the threads that `OMP_NUM_THREADS` leaves. Two jobs have half of them each. One job has what its
engine takes by itself, or two worker processes, or none and all threads in its one process: the
best of these is what two jobs have to beat. All must have trained on as many examples.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.memory import ROOT
from benchmarks.report import Report, arguments, machine, table
from benchmarks.timing import Sample, Stopwatch, alternate, ratio, seconds
from fednlp.experiment import Experiment
from fednlp.processes import all_threads, client_threads, worker_count
from fednlp.results.reading import load_runs
from fednlp.suite import load_suite

BASE: dict[str, Any] = {
    "dataset": {
        "name": "synthetic_topics",
        "sizes": {"train": 2000, "validation": 300, "test": 600},
    },
    "model": "tiny",
    "tokens": {"max_length": 64},
    "partition": {"name": "dirichlet", "alpha": 1.0, "clients": 10},
    "client": {"optimizer": "adamw", "lr": 2e-3, "batch_size": 16},
    "sampling": {"clients_per_round": 5},
    "rounds": 10,
}
SMALLER: dict[str, Any] = {
    "dataset": {"name": "synthetic_topics", "sizes": {"train": 100, "validation": 30, "test": 30}},
    "partition": {"name": "uniform", "clients": 4},
    "sampling": {"clients_per_round": 2},
    "rounds": 1,
}
METHODS = ("FedAvg", "FedAvgM", "FedProx", "FedAdam")
TWO = "two jobs"


@dataclass(frozen=True)
class Way:
    """options: of `suite`; overrides of `engine` among them."""

    name: str
    options: tuple[str, ...]


WAYS = (
    Way(TWO, ("--jobs", "2")),
    Way("one job, automatic engine", ("--jobs", "1")),
    Way("one job, two workers", ("engine.workers=2", "engine.threads=1", "--jobs", "1")),
    Way("one job, one worker", ("engine.workers=1", "--jobs", "1")),
)


def suite_file(folder: Path, smoke: bool) -> Path:
    """The suite: so many methods and the reference that they share."""
    path = folder / "suite.yaml"
    methods = METHODS[:2] if smoke else METHODS
    content = {"base": BASE | (SMALLER if smoke else {}), "matrix": {"algorithm": list(methods)}}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def runner(path: Path, way: Way, made: dict[str, set[int]]) -> Callable[[int], Sample]:
    """Times the command; made: way -> examples that its runs trained on."""

    def run(repetition: int) -> Sample:
        with tempfile.TemporaryDirectory(prefix="suite-jobs-") as out:
            command = [sys.executable, "run_bench.py", "suite", str(path), *way.options]
            watch = Stopwatch()
            done = subprocess.run(
                [*command, "--out", out], cwd=ROOT, capture_output=True, text=True, check=False
            )
            sample = watch.stop()
            if done.returncode:
                raise SystemExit(f"suite_jobs: {way.name} failed: {done.stderr[-500:]}")
            examples = sum(run.result.costs.examples for run in load_runs(Path(out)))
        made.setdefault(way.name, set()).add(examples)
        return sample

    return run


def engine(path: Path, way: Way) -> str:
    """What trains clients at once, and with how many threads each; then the reference's threads."""
    overrides = [option for option in way.options if "=" in option]
    config = load_suite(path, overrides)[0].config
    if way.name == TWO:
        threads = max(1, all_threads(config.engine) // 2)
        return f"2 x 1 process x {client_threads(config.engine)}; {threads}"
    workers = worker_count(Experiment(config))
    word = "process" if workers == 1 else "processes"
    return f"{workers} {word} x {client_threads(config.engine)}; {all_threads(config.engine)}"


def main() -> None:
    options = arguments(__doc__.partition("\n")[0], repetitions=5).parse_args()
    with tempfile.TemporaryDirectory(prefix="suite-jobs-") as folder:
        path = suite_file(Path(folder), options.smoke)
        runs = load_suite(path, [])
        facts = machine(Experiment(runs[0].config))
        made: dict[str, set[int]] = {}
        arms = {way.name: runner(path, way, made) for way in WAYS}
        repetitions = 1 if options.smoke else options.repetitions
        samples = alternate(arms, repetitions, 0 if options.smoke else 1, "suite_jobs")
        engines = {way.name: engine(path, way) for way in WAYS}
    if len(set.union(*made.values())) != 1:
        raise SystemExit(f"suite_jobs: the ways did other work: {made}")
    rows = [
        [
            name,
            engines[name],
            f"{seconds(samples[name]):.1f}",
            str(ratio(samples[name], samples[TWO])),
        ]
        for name in arms
    ]
    report = Report("suite_jobs", "Runs of a suite at once", facts)
    report.parts = [
        f"{len(runs)} federated runs and their reference, {made[TWO].pop():,} examples; seconds "
        "from the command to its table, the start of Python included.",
        table(["way", "clients at once x threads; reference", "s", f"time / {TWO}"], rows),
        f"Medians of {repetitions}, with quartiles for ratios; above 1: {TWO} are faster.",
    ]
    if facts["threads"] < 2:
        report.parts.append("Only one thread was allowed, so nothing here shows what jobs gain.")
    report.publish(options.write)


if __name__ == "__main__":
    main()
