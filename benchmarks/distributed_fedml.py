"""Rounds of the fedml engine beside FedML's own cross-silo, on the same work; bytes on the wire.

Two clients in two silo processes, both in every round, one thread each. FedML's own cross-silo
carries the objects of `as_fedml` over MPI: the same training, its messages and its waiting. A round
lasts from one mean of uploads to the next, without evaluation; the first two and the last do not
count. All ways take turns.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.byte_counter import CountingProxy, free_port
from benchmarks.report import Report, arguments, machine, table

ROOT = Path(__file__).resolve().parents[1]
OURS_MPI, OURS_GRPC, THEIRS = "fedml engine, MPI", "fedml engine, gRPC", "FedML's cross-silo, MPI"
WAYS = (OURS_MPI, OURS_GRPC, THEIRS)
TRAINED, UNTRAINED = "32 examples a client", "1 example a client"
EXCESS = 0.05  # target: beyond the bytes claimed
LIMIT = 900  # seconds


def configuration(smoke: bool, examples: int, rounds: int) -> dict[str, Any]:
    card = "tiny" if smoke else str(ROOT / "benchmarks/bert-2x128.yaml")
    sizes = {"train": 2 * examples, "validation": 30, "test": 30}
    return {
        "dataset": {"name": "synthetic_topics", "sizes": sizes},
        "model": {"name": card},
        "partition": {"name": "uniform", "clients": 2},
        "algorithm": "fedavg",
        "client": {"optimizer": "sgd", "lr": 0.05, "batch_size": 8},
        "sampling": {"clients_per_round": 2},
        "tokens": {"max_length": 48 if smoke else 64},
        "rounds": rounds,
        "centralized": {"budget": "none"},
        "evaluation": {"every": rounds},
        "checkpoint": {"every": rounds},
        "engine": {"name": "fedml", "threads": 1},
    }


def write(folder: Path, data: dict[str, Any]) -> Path:
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def finished(command: list[Any], others: list[list[Any]] | None = None) -> str:
    """What the first command prints; the others must end well, too."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [
        subprocess.Popen([str(word) for word in line], cwd=ROOT, **pipes)
        for line in [command, *(others or [])]
    ]
    try:
        told = [process.communicate(timeout=LIMIT) for process in started]
    finally:
        for process in started:
            process.kill()
    for process, (_, error) in zip(started, told, strict=True):
        if process.returncode:
            sys.exit(error)
    return told[0][0]


def mpirun(*command: Any) -> str:
    program = Path(sys.executable).parent / "mpirun"
    return finished([program, "-n", 3, sys.executable, *command])


def over_grpc(config: Path, out: Path, server: int, silos: int) -> None:
    """server, silos: the ports at which the server listens and the silos look for it."""
    program = [sys.executable, ROOT / "run_bench.py"]
    ends = ["engine.backend=GRPC", "engine.silos=2", "--out", out]
    clients = [
        [*program, "client", config, f"engine.server=127.0.0.1:{silos}", *ends, "--rank", rank]
        for rank in (1, 2)
    ]
    finished([*program, "run", config, f"engine.server=127.0.0.1:{server}", *ends], clients)


def records(out: Path) -> list[dict[str, Any]]:
    (log,) = out.glob("*/rounds.jsonl")
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def round_seconds(way: str, config: Path, out: Path) -> float:
    """The median round of one run."""
    if way == THEIRS:
        marks = json.loads(mpirun("-m", "benchmarks.distributed_fedml", "--peer", config))
        lengths = [after - before for before, after in pairwise(marks)]
        return statistics.median(lengths[1:])
    if way == OURS_MPI:
        mpirun(ROOT / "run_bench.py", "run", config, "--out", out)
    else:
        port = free_port()
        over_grpc(config, out, port, port)
    told = [record["wall_seconds"] - record["evaluation_seconds"] for record in records(out)]
    return statistics.median(told[2:-1])


def peer(config: Path) -> None:
    """A process of FedML's own cross-silo; the server prints when it had each mean, in seconds."""
    import time

    from fednlp import config as configuration
    from fednlp.engines.fedml import as_fedml

    parts = as_fedml(configuration.load(config))
    marks: list[float] = []
    if parts.aggregator is not None:
        aggregate = parts.aggregator.aggregate

        def marked(uploads: Any) -> Any:
            found = aggregate(uploads)
            marks.append(time.perf_counter())
            return found

        parts.aggregator.aggregate = marked
    parts.run()
    if marks:
        print(json.dumps(marks))


def speed(smoke: bool, repetitions: int, folder: Path) -> str:
    rounds, rows = 6 if smoke else 30, []
    for work, examples in ((TRAINED, 32), (UNTRAINED, 1)):
        config = write(folder, configuration(smoke, max(examples, 10 if smoke else 1), rounds))
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for repetition in range(repetitions):
            for way in WAYS[repetition % 3 :] + WAYS[: repetition % 3]:
                out = folder / f"{len(rows)}-{repetition}-{WAYS.index(way)}"
                found[way].append(round_seconds(way, config, out))
        for way in WAYS:
            ratios = [a / b for a, b in zip(found[way], found[THEIRS], strict=True)]
            middle = 1000 * statistics.median(found[way])
            spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
            rows.append([f"{way}, {work}", f"{middle:.1f} ms", spread])
    return table(["a round of two clients", "median", "ratio to FedML's own (range)"], rows)


def wire(smoke: bool, folder: Path) -> str:
    """What goes through a counting proxy between silos and server, with what the records claim."""
    config = write(folder, configuration(smoke, 32, 6))
    port = free_port()
    with CountingProxy(port) as proxy:
        over_grpc(config, folder / "wire", port, proxy.port)
    told = records(folder / "wire")
    rows = []
    for name, key, counted in (("up", "bytes_up", proxy.up), ("down", "bytes_down", proxy.down)):
        claimed = sum(record[key] for record in told)
        rows.append(
            [name, f"{claimed:,}", f"{counted:,}", f"{100 * (counted / claimed - 1):.2f} %"]
        )
    return table([f"bytes over gRPC, {len(told)} rounds", "claimed", "on the wire", "more"], rows)


def main() -> None:
    parser = arguments(str(__doc__).splitlines()[0], repetitions=5)
    parser.add_argument("--peer", type=Path, help="be a process of FedML's own cross-silo")
    options = parser.parse_args()
    if options.peer:
        peer(options.peer)
        return
    from fednlp import config as configuration_of
    from fednlp.engines.fedml.library import missing
    from fednlp.experiment import Experiment

    if missing():
        sys.exit(f"distributed_fedml: {', '.join(missing())} not installed: run `make fedml`")
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)  # what the facts tell
    repetitions = 1 if options.smoke else options.repetitions
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = [
            f"One epoch of SGD, batches of 8, {'tiny' if options.smoke else 'BERT 2 x 128'}; "
            f"{repetitions} runs each.",
            speed(options.smoke, repetitions, folder),
            wire(options.smoke, folder),
            f"Targets: ratios of at most 1; at most {100 * EXCESS:g} % more on the wire. Over MPI "
            "the same frames travel. FedML's own gRPC carrier is not run: with the protobuf that "
            "is installed here it imports in protobuf's slow, pure Python alone.",
        ]
        local = configuration(options.smoke, 32, 6) | {"engine": {"threads": 1}}
        facts = machine(Experiment(configuration_of.build(local, "the benchmark")))
    title = "Federations: the fedml engine and FedML's own"
    Report("distributed_fedml", title, facts, parts).publish(options.write)


if __name__ == "__main__":
    main()
