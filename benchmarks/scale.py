"""1.6 million short texts: read, tokenized, split among 100,000 clients, one round trained.

The size of Sentiment140, which is not here in full: a CSV of that many texts of about 14 words with
its users, made from a seed. A first process starts from nothing; a second one does the same again
and finds the parsed tables, the tokenizer and the tokens in the cache. Memory is the peak of the
process when a stage ends.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.memory import peak_bytes
from benchmarks.report import Report, arguments, table
from benchmarks.timing import show_progress

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES, CLIENTS, USERS, WORDS = 1_600_000, 100_000, 660_000, 50_000
SMOKE = 400  # times smaller
LIMIT = 4.0  # GB
STAGES = ("imports", "read and check", "tokenize", "partition", "build the model", "one round")


def write_texts(folder: Path, examples: int, users: int) -> None:
    """train.csv and test.csv with the columns text, label, user; word frequencies follow Zipf."""
    rng = np.random.default_rng(0)
    words = np.array([f"w{number:x}" for number in range(WORDS)])
    for name, count in (("train", examples), ("test", max(examples // 320, 20))):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label", "user"])
            for begin in range(0, count, 10_000):
                rows = min(10_000, count - begin)
                lengths = rng.integers(3, 26, rows)
                drawn = words[np.minimum(rng.zipf(1.3, lengths.sum()), WORDS) - 1]
                texts = np.split(drawn, np.cumsum(lengths)[:-1])
                who, label = rng.integers(0, users, rows), rng.integers(0, 2, rows)
                for text, mood, user in zip(texts, label, who, strict=True):
                    writer.writerow([" ".join(text), ("bad", "good")[mood], f"user{user}"])


def card(folder: Path) -> dict[str, Any]:
    return {
        "name": "scale", "task": "text_classification", "version": 1, "licence": "none",
        "language": "none", "description": "Words without meaning.", "skew": "label",
        "client": "client",
        "local": {
            "reader": "table",
            "files": {split: str(folder / f"{split}.csv") for split in ("train", "test")},
            "options": {"columns": {"text": "text", "label": "label", "client": "user"}},
        },
    }  # fmt: skip


def measure(folder: Path, clients: int) -> dict[str, Any]:
    """All stages in this process: seconds and peak bytes of each."""
    stages: list[tuple[float, int]] = []
    began = time.perf_counter()

    def done() -> None:
        nonlocal began
        stages.append((time.perf_counter() - began, peak_bytes()))
        began = time.perf_counter()

    import torch  # noqa: F401

    from benchmarks.report import machine
    from benchmarks.workload import NEVER, run_rounds
    from fednlp import config as configuration
    from fednlp.experiment import Experiment, prepare_process

    data = {
        "dataset": str(folder / "card.yaml"),
        "model": "tiny",
        "partition": {"name": "dirichlet", "alpha": 1.0, "clients": clients},
        "client": {"batch_size": 8},
        "sampling": {"clients_per_round": 10},
        "rounds": 2,
        "tokens": {"max_length": 32},
        "centralized": {"budget": "none"},
        "evaluation": {"every": NEVER},
    }
    parts = Experiment(configuration.build(data, "benchmark"))
    prepare_process(parts.config)
    done()
    for part in ("corpus", "stores", "partition", "model"):
        getattr(parts, part)
        done()
    run_rounds(parts, lambda round: None)
    done()
    return {"stages": stages, "facts": machine(parts)}


def in_own_process(folder: Path, clients: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.scale", "--arm", str(folder), str(clients)]
    environment = {**os.environ, "FEDNLP_CACHE": str(folder / "cache")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = arguments(str(__doc__).splitlines()[0], repetitions=1)
    parser.add_argument("--arm", nargs=2, metavar=("FOLDER", "CLIENTS"), help="print JSON")
    options = parser.parse_args()
    if options.arm:
        print(json.dumps(measure(Path(options.arm[0]), int(options.arm[1]))))
        return
    smaller = SMOKE if options.smoke else 1
    examples, clients = EXAMPLES // smaller, CLIENTS // smaller
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_texts(folder, examples, max(USERS // smaller, 20))
        (folder / "card.yaml").write_text(json.dumps(card(folder)), encoding="utf-8")
        show_progress("scale", 1, 3)
        runs, cached = [], []
        for number in (2, 3):
            runs.append(in_own_process(folder, clients))
            cached.append({path: path.stat().st_mtime_ns for path in folder.glob("cache/*/*")})
            show_progress("scale", number, 3)
    if not cached[0] or cached[1] != cached[0]:
        raise SystemExit("scale: the second process did not find everything in the cache")
    peak = max(peak for run in runs for _, peak in run["stages"]) / 1e9
    rows = [
        [stage, *(f"{run['stages'][i][0]:.1f}" for run in runs),
         *(f"{run['stages'][i][1] / 1e9:.2f}" for run in runs)]
        for i, stage in enumerate(STAGES)
    ]  # fmt: skip
    report = Report("scale", "1.6 million texts, 100,000 clients", runs[0]["facts"])
    header = ["stage", "first, s", "again, s", "peak first, GB", "peak again, GB"]
    report.parts += [
        f"Target: under {LIMIT:.0f} GB, {'reached' if peak < LIMIT else 'NOT reached'}: "
        f"{peak:.1f} GB. {examples:,} texts of 3 to 25 words in a CSV, "
        f"{clients:,} clients by Dirichlet 1.0, model tiny, cohorts of 10.",
        table(header, rows),
    ]
    report.publish(options.write)


if __name__ == "__main__":
    main()
