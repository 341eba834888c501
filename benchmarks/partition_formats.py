"""1.6 million indices written and read in every format, over 1,000 and 100,000 clients.

Every row is a process of its own, repeated; the fastest counts, since others can only slow it down.
Libraries are imported before the clock starts. `peak` is what writing and reading add to the
process. `h5` and `client_files` keep one data set or file for each client and split: their cost
grows with the clients, has no target and is measured once.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.memory import peak_bytes
from benchmarks.report import Report, arguments, table
from benchmarks.timing import Stopwatch, show_progress
from partitioners import Partition, Split, make_partition
from partitioners.formats import FORMATS, export_partition, import_partition

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES, CLIENTS, CLASSES = 1_600_000, (1_000, 100_000), 20
SMOKE = 400  # times smaller
LIMIT = 3.0  # seconds
PER_CLIENT = ("h5", "client_files")
SIZES = ("bytes", "peak")
LIBRARIES = ("pyarrow.parquet", "pyarrow.csv", "pyarrow.compute", "datasets", "h5py", "scipy")


def sample(examples: int, clients: int) -> Partition:
    """By Dirichlet 1.0 over 20 classes, with hashes, a histogram and held-out clients."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, examples)
    made = make_partition(
        "dirichlet",
        {"alpha": 1.0},
        clients=clients,
        seed=0,
        train_labels=labels,
        test_labels=labels[: examples // 100],
        held_out=0.1,
    )
    splits = {}
    for name, split in made.splits.items():
        hashes = rng.integers(0, 2**64, len(split.indices), dtype=np.uint64)
        splits[name] = Split(split.indices, split.offsets, hashes)
    provenance = {**made.provenance, "rows_of": {name: name for name in splits}}
    return Partition(splits, provenance, made.held_out, made.histogram)


def measure(form: str, examples: int, clients: int) -> dict[str, Any]:
    """Writes and reads once; the shares must be the same."""
    for name in LIBRARIES:
        importlib.import_module(name)
    import pyarrow

    made = sample(examples, clients)
    tables = None
    if FORMATS[form].examples == "must":  # no content: what is measured is the partition
        tables = {
            name: pyarrow.table({"text": pyarrow.nulls(len(split.indices), pyarrow.string())})
            for name, split in made.splits.items()
        }
    before = peak_bytes()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "split"
        watch = Stopwatch()
        export_partition(made, path, form, examples=tables)
        written = watch.stop()
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files)
        watch = Stopwatch()
        read = import_partition(path, form)
        taken = watch.stop()
    for name, split in made.splits.items():
        other = read.splits[name]
        if not (
            np.array_equal(split.indices, other.indices)
            and np.array_equal(split.offsets, other.offsets)
        ):
            raise SystemExit(f"partition_formats: {form} did not give back the shares of {name}")
    return {
        "write": [written.wall, written.cpu],
        "read": [taken.wall, taken.cpu],
        "bytes": size,
        "peak": peak_bytes() - before,
    }


def in_own_process(form: str, examples: int, clients: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.partition_formats", "--arm", form]
    command += [str(examples), str(clients)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = arguments(str(__doc__).splitlines()[0], repetitions=3)
    parser.add_argument("--arm", nargs=3, metavar=("FORMAT", "EXAMPLES", "CLIENTS"))
    options = parser.parse_args()
    if options.arm:
        form, examples, clients = options.arm
        print(json.dumps(measure(form, int(examples), int(clients))))
        return
    smaller = SMOKE if options.smoke else 1
    examples, repetitions = EXAMPLES // smaller, 1 if options.smoke else options.repetitions
    cells = [(form, max(clients // smaller, 2)) for clients in CLIENTS for form in FORMATS]
    rows, slow = [], []
    for number, (form, clients) in enumerate(cells, 1):
        name = f"{form}, {clients:,} clients"
        count = 1 if form in PER_CLIENT else repetitions
        runs = [in_own_process(form, examples, clients) for _ in range(count)]
        show_progress("partition_formats", number, len(cells))
        row = [name]
        for way in ("write", "read"):
            wall, cpu = (min(run[way][clock] for run in runs) for clock in (0, 1))
            row += [f"{wall:.2f}", f"{cpu:.2f}"]
            if wall > LIMIT and form not in PER_CLIENT:
                slow.append(f"{way} {name}")
        rows.append([*row, *(f"{max(run[key] for run in runs) / 1e6:.1f}" for key in SIZES)])
    report = Report("partition_formats", "Partitions in files", facts())
    without = " and ".join(PER_CLIENT)
    report.parts += [
        f"Target: under {LIMIT:.0f} s each way, without {without}: "
        + (f"NOT reached: {', '.join(slow)}. " if slow else "reached. ")
        + f"{examples:,} training indices by Dirichlet 1.0 over {CLASSES} classes with hashes, "
        "a hundredth as many of test.",
        table(["format", "write, s", "CPU, s", "read, s", "CPU, s", "file, MB", "peak, MB"], rows),
    ]
    report.publish(options.write)


def facts() -> dict[str, Any]:
    from importlib.metadata import version

    names = ("numpy", "pyarrow", "h5py", "datasets")
    return {"cores": os.cpu_count(), **{name: version(name) for name in names}}


if __name__ == "__main__":
    main()
