"""The harness's rounds against the usual loop: copies, a `DataLoader`, maximum padding.

The comparison of `benchmarks/usual_way.py`, with its first and its last line only, and with as many
worker processes of the harness as it takes by default.
"""

from __future__ import annotations

from benchmarks.report import machine, table
from benchmarks.simulation_rows.section import Section
from benchmarks.timing import ratio, seconds
from benchmarks.usual_way import HARNESS, LADDER, compare

USUAL, PLAIN = "the usual way", "no copies: a plain loop"
TARGET = 4


def section(smoke: bool, repetitions: int) -> Section:
    repetitions = 1 if smoke else repetitions
    ladder = {name: LADDER[name] for name in (USUAL, PLAIN)}
    outcome = compare("adamw", ladder, repetitions, smoke, workers="auto")
    experiment = outcome.experiment
    rows = [
        [
            name,
            f"{seconds(samples):.2f}",
            str(ratio(samples, outcome.samples[HARNESS])),
            str(TARGET) if name == USUAL else "",
            f"{outcome.losses[name]:.3f}",
        ]
        for name, samples in outcome.samples.items()
    ]
    workers = experiment.workers
    processes = f"{workers.count} processes of one thread" if workers else "one process"
    padding = experiment.config.tokens.max_length / experiment.stores["train"].row_lengths.mean()
    notes = (
        f"{experiment.description}; {experiment.partition.clients} clients, "
        f"{experiment.config.sampling.clients_per_round} per round, one local epoch with AdamW, no "
        f"clipping. The loops use all cores with threads, the harness as it does by default, with "
        f"{processes}. Padded per real token: {padding:.2f} the usual way, "
        f"{outcome.padding:.2f} in the harness. Medians of {repetitions} rounds, ratios within a "
        "round (quartiles). Checked: the same steps, and losses of the last two rounds."
    )
    header = ["way", "s per round", "this / ours", "at least", "training loss"]
    return Section("The usual loop", [notes, table(header, rows)], facts=machine(experiment))
