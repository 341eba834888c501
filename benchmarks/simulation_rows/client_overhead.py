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
WAYS: dict[str, int | str] = {"one by one": 1, "as `engine.together: auto` has it": "auto"}


def section(smoke: bool, repetitions: int) -> Section:
    rounds = 1 if smoke else 2 * repetitions
    ways = {name: measured(smoke, rounds, together) for name, together in WAYS.items()}
    phases = [p for p in MEANINGS if any(p in lap for laps, _ in ways.values() for lap in laps)]
    beside = [phase for phase in phases if phase not in ARITHMETIC]

    def row(name: str, chosen: list[str], target: str = "") -> list[str]:
        cells = []
        for laps, experiment in ways.values():
            per_round = experiment.config.sampling.clients_per_round
            each = [1e3 * sum(lap.get(p, 0.0) for p in chosen) / per_round for lap in laps]
            cells.append(str(Spread.of(each)))
        return [name, *cells, target]

    rows = [row(phase, [phase]) for phase in phases]
    rows.append(row("all beside arithmetic", beside, f"{TARGET:.2f}"))
    rows.append(row("all", phases))
    _, experiment = next(iter(ways.values()))
    config = experiment.config
    notes = (
        f"{config.partition.clients:,} clients, {config.sampling.clients_per_round:,} per round, "
        f"{STEPS} steps each (batch 1, AdamW), model {experiment.model_card.name} "
        f"({experiment.model.weights.numel():,} weights), one process of one thread. "
        f"Milliseconds per client, medians of {rounds} rounds (quartiles). Arithmetic is "
        f"{' and '.join(ARITHMETIC)}."
    )
    header = ["phase", *ways, "at most"]
    title = "What a client costs beside its arithmetic"
    return Section(title, [notes, table(header, rows)], facts=machine(experiment))


def measured(
    smoke: bool, rounds: int, together: int | str
) -> tuple[list[dict[str, float]], Experiment]:
    """Seconds of every round by phase, after a first one that warms up."""
    clients, per_round = (400, 40) if smoke else (100_000, 1_000)
    data = {
        "dataset": {
            "name": "synthetic_topics",
            "sizes": {"train": STEPS * clients, "validation": 16, "test": 16},
        },
        "model": "tiny",
        "partition": {"name": "uniform", "clients": clients},
        "client": {"batch_size": 1},
        "sampling": {"clients_per_round": per_round},
        "rounds": rounds + 2,  # the one that warms up, and one that is not begun
        "tokens": {"max_length": 64},
        "centralized": {"budget": "none"},
        "evaluation": {"every": NEVER},
        "engine": {"workers": 1, "threads": 1, "together": together},
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
    return laps[1:], experiment
