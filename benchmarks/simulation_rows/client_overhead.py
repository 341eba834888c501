"""What a client costs beside its arithmetic: 1,000 of 100,000 clients per round, 2 steps each.

The profile's own clock tells forward, backward and optimizer from all else: drawing the cohort,
planning and gathering batches, weights in and out, the method's hooks, checks, summing up.
"""

from __future__ import annotations

from benchmarks.report import machine, table
from benchmarks.simulation_rows.section import Section
from benchmarks.timing import Spread, show_progress
from benchmarks.workload import NEVER, run_rounds
from fednlp import config as configuration
from fednlp.experiment import Experiment, prepare_process
from fednlp.profile import ARITHMETIC, MEANINGS, clock

TARGET = 1.0  # milliseconds
STEPS = 2


def section(smoke: bool, repetitions: int) -> Section:
    clients, per_round = (200, 20) if smoke else (100_000, 1_000)
    rounds = 1 if smoke else 2 * repetitions
    data = {
        "dataset": {
            "name": "synthetic_topics",
            "sizes": {"train": STEPS * clients, "validation": 16, "test": 16},
        },
        "model": "tiny",
        "partition": {"name": "uniform", "clients": clients},
        "client": {"batch_size": 1},
        "sampling": {"clients_per_round": per_round},
        "rounds": rounds + 2,  # a first one that warms up, and one that is not begun
        "tokens": {"max_length": 64},
        "centralized": {"budget": "none"},
        "evaluation": {"every": NEVER},
        "engine": {"workers": 1, "threads": 1},
    }
    experiment = Experiment(configuration.build(data, "benchmark"))
    prepare_process(experiment.config)
    laps: list[dict[str, float]] = []

    def before(round: int) -> None:
        if round:
            laps.append(clock.take()[0])
            show_progress("client overhead", round, rounds + 1)
        clock.start()

    records = run_rounds(experiment, before)
    clock.running = False
    if any(record["steps"] != STEPS * per_round for record in records):
        raise SystemExit("client_overhead: clients took other numbers of steps")
    laps = laps[1:]
    phases = [phase for phase in MEANINGS if any(phase in lap for lap in laps)]
    beside = [phase for phase in phases if phase not in ARITHMETIC]

    def row(name: str, chosen: list[str], target: str = "") -> list[str]:
        spent = [1e3 * sum(lap.get(p, 0.0) for p in chosen) / per_round for lap in laps]
        return [name, str(Spread.of(spent)), target]

    rows = [row(phase, [phase]) for phase in phases]
    rows.append(row("all beside arithmetic", beside, f"{TARGET:.2f}"))
    notes = (
        f"{clients:,} clients, {per_round:,} per round, {STEPS} steps each (batch 1, AdamW), model "
        f"tiny ({experiment.model.weights.numel():,} weights), one process of one thread. Medians "
        f"of {rounds} rounds (quartiles)."
    )
    header = ["phase", "ms per client", "at most"]
    title = "What a client costs beside its arithmetic"
    return Section(title, [notes, table(header, rows)], facts=machine(experiment))
