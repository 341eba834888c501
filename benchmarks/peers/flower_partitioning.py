"""Dirichlet partitions of 120,000 rows for 10 to 10,000 clients, beside flwr-datasets.

All arms take turns in one process of Flower's environment (`make flower`), on one `Dataset` in
memory whose only column is the label: 120,000 rows, 4 classes of equal size, as in AG News. Each
starts from the dataset and ends with an array or list of row numbers for every client; no rows are
copied. Most of flwr's time is reading the labels one by one, so its draw alone, from labels in
hand, is an arm of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import Report, arguments, table
from benchmarks.timing import Sample, Stopwatch, alternate, ratio, seconds
from partitioners import dirichlet, dirichlet_per_class

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / os.environ.get("FEDNLP_PEERS", ".venv-peers") / "flwr-datasets" / "bin" / "python"
ROWS, CLASSES, ALPHA, MIN_SIZE = 120_000, 4, 0.5, 10
CLIENTS = (10, 100, 1_000, 10_000)
SMOKE = 100  # times fewer rows
TARGET = 20
DRAW, ONE_DRAW, RETRIED = "flwr's draw alone", "flwr, minimum 0", f"flwr, minimum {MIN_SIZE}"
OURS = {"dirichlet_per_class": dirichlet_per_class, "dirichlet": dirichlet}
Sizes = list[np.ndarray | None]  # of every repetition: [clients], None where flwr raised


class LabelsInHand:
    """What flwr's partitioner asks of a dataset, answered at once: what is left is its draw."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels, self.classes, self.num_rows = labels, np.unique(labels).tolist(), len(labels)

    def unique(self, column: str) -> list[int]:
        return self.classes

    def __getitem__(self, column: str) -> np.ndarray:
        return self.labels


def flowers(dataset: Any, clients: int, minimum: int, sizes: Sizes) -> Callable[[int], Sample]:
    from flwr_datasets.partitioner import DirichletPartitioner

    def arm(repetition: int) -> Sample:
        partitioner = DirichletPartitioner(
            num_partitions=clients, partition_by="label", alpha=ALPHA,
            min_partition_size=minimum, seed=repetition,
        )  # fmt: skip
        partitioner._dataset = dataset  # past the check that it is a `Dataset`
        watch = Stopwatch()
        try:
            _ = partitioner.num_partitions  # draws them all
        except ValueError:
            sizes.append(None)
            return watch.stop()
        sample = watch.stop()
        held = partitioner._partition_id_to_indices  # it has no public way to them
        sizes.append(np.array([len(held[k]) for k in range(clients)]))
        return sample

    return arm


def ours(name: str, dataset: Any, clients: int, sizes: Sizes) -> Callable[[int], Sample]:
    def arm(repetition: int) -> Sample:
        generator = np.random.default_rng(repetition)
        watch = Stopwatch()
        labels = dataset.data.column("label").to_numpy()
        split = OURS[name](labels, clients, generator, alpha=ALPHA, min_size=MIN_SIZE)
        rows = [split.client(k) for k in range(clients)]
        sample = watch.stop()
        sizes.append(np.array([len(part) for part in rows]))
        return sample

    return arm


def measure(rows: int, clients: int, repetitions: int) -> dict[str, Any]:
    """In Flower's environment: seconds of every repetition of every arm, and what came out."""
    from datasets import Dataset

    warnings.simplefilter("ignore")  # flwr warns at every attempt
    labels = np.random.default_rng(0).permutation(np.arange(rows) % CLASSES)
    dataset = Dataset.from_dict({"label": labels})
    sizes: dict[str, Sizes] = {name: [] for name in (DRAW, ONE_DRAW, RETRIED, *OURS)}
    arms = {
        DRAW: flowers(LabelsInHand(labels), clients, 0, sizes[DRAW]),
        ONE_DRAW: flowers(dataset, clients, 0, sizes[ONE_DRAW]),
        RETRIED: flowers(dataset, clients, MIN_SIZE, sizes[RETRIED]),
        **{name: ours(name, dataset, clients, sizes[name]) for name in OURS},
    }
    samples = alternate(arms, repetitions, 1, f"{clients} clients")
    return {
        name: {
            "wall": [sample.wall for sample in samples[name]],
            "sizes": [None if held is None else held.tolist() for held in sizes[name][1:]],
        }
        for name in arms
    }


def in_flowers_environment(rows: int, clients: int, repetitions: int) -> dict[str, Any]:
    if not PYTHON.exists():
        raise SystemExit("flower_partitioning: no environment of Flower; run `make flower`")
    module = "benchmarks.peers.flower_partitioning"
    command = [str(PYTHON), "-m", module, "--arm", str(rows), str(clients), str(repetitions)]
    environment = {**os.environ, "FLWR_TELEMETRY_ENABLED": "0", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def packages() -> dict[str, str]:
    """Versions in Flower's environment."""
    names = ("flwr-datasets", "datasets", "numpy")
    code = f"from importlib.metadata import version; print(*map(version, {names}))"
    done = subprocess.run([str(PYTHON), "-c", code], capture_output=True, text=True, check=True)
    return dict(zip(names, done.stdout.split(), strict=True))


def outcome(sizes: list[list[int] | None]) -> str:
    """The smallest client over all repetitions that gave any, and what was wrong."""
    given = [np.array(held) for held in sizes if held is not None]
    raised = len(sizes) - len(given)
    if not given:
        return "raises"
    notes = []
    if raised:
        notes.append(f"raises {raised} of {len(sizes)} times")
    if empty := max(int((held == 0).sum()) for held in given):
        notes.append(f"{empty:,} empty")
    smallest = min(int(held.min()) for held in given)
    return f"{smallest:,}" + (f" ({', '.join(notes)})" if notes else "")


def times(found: dict[str, Any]) -> dict[str, list[Sample]]:
    return {name: [Sample(wall, wall) for wall in arm["wall"]] for name, arm in found.items()}


def main() -> None:
    parser = arguments(str(__doc__).splitlines()[0], repetitions=5)
    parser.add_argument("--arm", nargs=3, type=int, metavar=("ROWS", "CLIENTS", "REPETITIONS"))
    options = parser.parse_args()
    if options.arm:
        print(json.dumps(measure(*options.arm)))
        return
    rows = ROWS // (SMOKE if options.smoke else 1)
    repetitions = 1 if options.smoke else options.repetitions
    counts = [clients for clients in CLIENTS if clients * MIN_SIZE <= rows]
    found = {clients: in_flowers_environment(rows, clients, repetitions) for clients in counts}

    speed, smallest, whole, draws = [], [], [], []
    for clients, arms in found.items():
        walls = times(arms)
        same_family = walls["dirichlet_per_class"]
        whole.append(ratio(walls[ONE_DRAW], same_family))
        draws.append(ratio(walls[DRAW], same_family))
        speed.append([
            f"{clients:,}",
            *(f"{seconds(walls[name]):.3f}" for name in (DRAW, ONE_DRAW, RETRIED, *OURS)),
            f"{whole[-1].median:.0f} ({whole[-1].low:.0f}-{whole[-1].high:.0f})",
            f"{draws[-1].median:.1f} ({draws[-1].low:.1f}-{draws[-1].high:.1f})",
        ])  # fmt: skip
        smallest.append(
            [f"{clients:,}", *(outcome(arms[name]["sizes"]) for name in (ONE_DRAW, RETRIED, *OURS))]
        )

    from fednlp.environment import processor

    facts = {
        "processor": processor(), "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"), **packages(),
    }  # fmt: skip
    title = "Dirichlet partitions, beside flwr-datasets"
    report = Report("flower_partitioning", title, facts, package="benchmarks.peers")
    names = (ONE_DRAW, RETRIED, *OURS)
    slowest = min(spread.median for spread in whole)
    medians = [spread.median for spread in draws]
    report.parts += [
        f"Target: `dirichlet_per_class` at least {TARGET} times as fast, "
        f"{'reached' if slowest >= TARGET else 'NOT reached'}: at least {slowest:.0f} times; "
        f"with labels in hand, {min(medians):.1f} to {max(medians):.1f} times. "
        f"{rows:,} rows, {CLASSES} classes, alpha {ALPHA}, ours with a minimum of {MIN_SIZE}, "
        f"{repetitions} repetitions.",
        "Seconds until the rows of all clients are known; the ratios are to `dirichlet_per_class`, "
        "which is of flwr's family:",
        table(
            [
                "clients",
                *(f"{name}, s" for name in (DRAW, *names)),
                f"{ONE_DRAW} / ours",
                f"{DRAW} / ours",
            ],
            speed,
        ),
        "The smallest client of all repetitions:",
        table(["clients", *names], smallest),
    ]
    report.publish(options.write)


if __name__ == "__main__":
    main()
