"""1.6 million examples to 100,000 and 1,000,000 clients, by every label or quantity partitioner.

Each line is a process of its own: labels at random, the split alone, then `make_partition`, which
splits again, matches 16,000 test examples and measures what came out. Memory is the peak of the
process, numpy, SciPy and the labels included. How time grows is fitted over a thousand to a million
examples, 16 to a client.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks.memory import ROOT, peak_bytes
from benchmarks.report import Report, arguments, machine, table
from benchmarks.timing import Sample, Stopwatch, show_progress

EXAMPLES, CLIENTS, MANY = 1_600_000, 100_000, 1_000_000
CLASSES = (2, 20, 200, 1000)
USUAL = 20  # classes, where a target is set
SMOKE = 100  # times smaller
LIMITS = ((3.0, 500), (15.0, 500))  # seconds and MB of the split, for CLIENTS and for MANY
GROWTH = tuple(round(10 ** (power / 2)) for power in range(6, 13))  # examples
SETTINGS: dict[str, dict[str, Any]] = {
    "uniform": {},
    "quantity": {"alpha": 1.0},
    "dirichlet": {"alpha": 1.0},
    "dirichlet_per_class": {"alpha": 1.0},
    "label_shards": {"labels_per_client": 2},
}


def settings(name: str, examples: int, clients: int) -> dict[str, Any]:
    """One label each where there are not two examples for everybody."""
    few = name == "label_shards" and examples < 2 * clients
    return {"labels_per_client": 1} if few else SETTINGS[name]


def time_split(name: str, examples: int, clients: int, labels: np.ndarray) -> Sample:
    from partitioners import find_partitioner

    spec = find_partitioner(name)
    data = labels if spec.needs else examples
    watch = Stopwatch()
    spec.split(data, clients, np.random.default_rng(1), **settings(name, examples, clients))
    return watch.stop()


def measure(name: str, classes: int, clients: int, examples: int) -> dict[str, float]:
    """One line of the table, in this process: seconds and peak bytes."""
    import scipy.optimize  # what measures need, imported outside the clock
    import scipy.sparse
    import scipy.special  # noqa: F401

    from partitioners import make_partition

    rng = np.random.default_rng(0)
    labels, tests = rng.integers(0, classes, examples), rng.integers(0, classes, examples // 100)
    split, split_peak = time_split(name, examples, clients, labels), peak_bytes()
    asked, watch = settings(name, examples, clients), Stopwatch()
    make_partition(name, asked, clients=clients, seed=0, train_labels=labels, test_labels=tests)
    whole = watch.stop()
    return {
        "split": split.wall,
        "split_cpu": split.cpu,
        "split_peak": split_peak,
        "whole": whole.wall,
        "whole_cpu": whole.cpu,
        "whole_peak": peak_bytes(),
    }


def grow(name: str, sizes: tuple[int, ...], repetitions: int) -> list[float]:
    """CPU seconds of a split of so many examples: the best of some, after one to warm up."""
    best = []
    for examples in sizes:
        labels = np.random.default_rng(0).integers(0, USUAL, examples)
        again = repetitions + 1
        times = [time_split(name, examples, examples // 16, labels) for _ in range(again)]
        best.append(min(sample.cpu for sample in times[1:]))
    return best


def exponent(sizes: tuple[int, ...], seconds: list[float]) -> float:
    """Slope of log seconds over log examples, by least squares: 1 is linear."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def in_own_process(*options: object) -> Any:
    command = [sys.executable, "-m", "benchmarks.partition_speed", *map(str, options)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def facts() -> dict[str, Any]:
    from fednlp import config as configuration
    from fednlp.experiment import Experiment

    data = {
        "dataset": "synthetic_topics",
        "model": "tiny",
        "partition": {"name": "uniform", "clients": 2},
    }
    known = machine(Experiment(configuration.build(data, "benchmark")))
    return {**{key: known[key] for key in ("processor", "cores")}, "numpy": np.__version__}


def line(name: str, classes: int, clients: int, measured: list[dict[str, float]]) -> list[str]:
    def median(key: str, unit: float = 1.0) -> float:
        return float(np.median([one[key] for one in measured])) / unit

    return [
        f"{name}, {classes:,} classes, {clients:,} clients",
        *(f"{median(key):.2f}" for key in ("split", "split_cpu")),
        f"{median('split_peak', 1e6):.0f}",
        *(f"{median(key):.2f}" for key in ("whole", "whole_cpu")),
        f"{median('whole_peak', 1e6):.0f}",
    ]


def main() -> None:
    parser = arguments(str(__doc__).splitlines()[0], repetitions=3)
    parser.add_argument("--arm", nargs=4, help="NAME CLASSES CLIENTS EXAMPLES: print JSON")
    parser.add_argument("--grow", help="NAME: print JSON")
    options = parser.parse_args()
    repetitions = 1 if options.smoke else options.repetitions
    sizes = GROWTH[:3] if options.smoke else GROWTH
    if options.arm:
        print(json.dumps(measure(options.arm[0], *map(int, options.arm[1:]))))
        return
    if options.grow:
        print(json.dumps(grow(options.grow, sizes, repetitions)))
        return
    smaller = SMOKE if options.smoke else 1
    examples, clients, many = (number // smaller for number in (EXAMPLES, CLIENTS, MANY))
    classes = CLASSES[1::2] if options.smoke else CLASSES
    cases = [(name, number, clients) for name in SETTINGS for number in classes]
    cases += [(name, USUAL, many) for name in SETTINGS]
    measured: dict[tuple[str, int, int], list[dict[str, float]]] = {case: [] for case in cases}
    for repetition in range(repetitions):
        for case in cases:
            measured[case].append(in_own_process("--arm", *case, examples))
        show_progress("partition_speed", repetition + 1, repetitions)
    same = ["--smoke"] if options.smoke else ["--repetitions", repetitions]
    grown = {name: in_own_process("--grow", name, *same) for name in SETTINGS}

    report = Report("partition_speed", "Partitions of 1.6 million examples", facts())
    for count, (limit, megabytes) in zip((clients, many), LIMITS, strict=True):
        runs = [one for case in cases if case[1:] == (USUAL, count) for one in measured[case]]
        slowest, peak = max(r["split"] for r in runs), max(r["split_peak"] for r in runs) / 1e6
        kept = slowest < limit and peak < megabytes
        report.parts.append(
            f"Target for {USUAL} classes and {count:,} clients: under {limit:.0f} s and "
            f"{megabytes} MB, {'reached' if kept else 'NOT reached'}: at most {slowest:.1f} s and "
            f"{peak:.0f} MB in any run."
        )
    report.parts.append(
        f"{examples:,} examples; alpha 1, two labels per client or one where examples are too few. "
        f"Medians of {repetitions}, each in a process of its own. Other programs slow down the "
        "seconds, hardly those of CPU time."
    )
    header = [
        "partition",
        "split, s",
        "CPU, s",
        "peak, MB",
        "with measures, s",
        "CPU, s",
        "peak, MB",
    ]
    report.parts.append(table(header, [line(*case, measured[case]) for case in cases]))
    report.parts.append(
        f"How the time of a split grows: milliseconds of CPU time for {USUAL} classes and 16 "
        "examples to a client, and the exponent of growth, by least squares on the logarithms."
    )
    last = 2  # half decades
    report.parts.append(
        table(
            ["examples", *(f"{size:,}" for size in sizes), "exponent", "of the last decade"],
            [
                [
                    name,
                    *(f"{1000 * one:.1f}" for one in seconds),
                    f"{exponent(sizes, seconds):.2f}",
                    f"{exponent(sizes[-last - 1 :], seconds[-last - 1 :]):.2f}",
                ]
                for name, seconds in grown.items()
            ],
        )
    )
    report.publish(options.write)


if __name__ == "__main__":
    main()
