"""The same padded batches in every framework: seconds per round once it runs.

Every arm is one process with one thread (Flower: a server, and one actor with one thread). All
train the same clients on the same batches, made beforehand, from the same weights, with torch's
fused AdamW. First, with SGD and without dropout, all must end at the harness's weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from benchmarks.report import machine, table
from benchmarks.simulation_rows.arms import BARE, FEDML, FLWR, OURS, PFL, Arm, Outcome, present, run
from benchmarks.simulation_rows.jobs import write_padded_job
from benchmarks.simulation_rows.section import Section, rounded
from benchmarks.timing import Sample, alternate, ratio, seconds
from benchmarks.workload import Workload, workload

TOLERANCE = 1e-5  # of the norm of the weights
OF_THE_CHANGE = 1e-3  # of the norm of what training changed
ARMS = [OURS, BARE, PFL, FLWR, FEDML]
TARGETS = {BARE.name: 1.05, PFL.name: 1.0, FLWR.name: 0.8}
WARM_UP = 1  # rounds
COUNTS = ("examples", "steps", "real_tokens", "padded_tokens")


def section(smoke: bool, repetitions: int) -> Section:
    rounds = 1 if smoke else 2  # counted ones
    repetitions = 1 if smoke else repetitions
    found = present(ARMS)
    with TemporaryDirectory() as place:
        work = Path(place)
        sgd = padded_job(work / "sgd", WARM_UP + 1, smoke, optimizer="sgd", lr=0.1, dropout=0.0)[0]
        checked = {arm.name: run(arm, sgd, work / f"sgd-{arm.name}", "1") for arm in found.arms}
        distances = check_weights(checked, sgd)
        adamw, experiment = padded_job(
            work / "adamw", WARM_UP + rounds, smoke, optimizer="adamw", lr=1e-3
        )
        outcomes: dict[str, Outcome] = {}

        def arm_of(arm: Arm) -> Any:
            def measure(repetition: int) -> Sample:
                outcome = run(arm, adamw, work / f"{arm.name}-{repetition}", "1")
                outcomes[arm.name] = outcome
                return Sample(float(np.median(outcome.round_seconds[WARM_UP:])), 0.0)

            return measure

        arms = {arm.name: arm_of(arm) for arm in found.arms}
        samples = alternate(arms, repetitions, warm_up=0, title="same padded batches")
    check_counts(outcomes)
    rows = []
    for name in samples:
        target = f"{TARGETS[name]:.2f}" if name in TARGETS else ""
        rows.append(
            [
                name,
                f"{seconds(samples[name]):.2f}",
                str(ratio(samples[OURS.name], samples[name])),
                target,
                f"{outcomes[name].loss:.4f}",
                rounded(distances[name]),
            ]
        )
    work_done = outcomes[OURS.name].work
    header = [
        "way",
        "s per round",
        "ours / this",
        "at most",
        "training loss",
        "distance of weights",
    ]
    notes = (
        f"{experiment.description}; {len(experiment.partition.splits['train'].sizes())} clients, "
        f"{experiment.config.sampling.clients_per_round} per round, one local epoch, no clipping. "
        f"Every arm is one process with one thread; medians of {repetitions} runs of {rounds} "
        f"rounds after {WARM_UP}, ratios within a repetition (quartiles). Checked: the same "
        f"{work_done['steps']:,} steps, {work_done['examples']:,} examples and "
        f"{work_done['real_tokens']:,} tokens ({work_done['padded_tokens']:,} with padding); with "
        f"SGD and without dropout the same weights after {WARM_UP + 1} rounds, as distance "
        f"relative to their norm (at most {TOLERANCE:g}) and to what training changed (at most "
        f"{OF_THE_CHANGE:g}). Ours includes its log, digest and checkpoint."
    )
    versions = {k: v for o in outcomes.values() for k, v in o.versions.items()}
    return Section(
        "The same padded batches",
        [notes, table(header, rows), *found.absent],
        versions,
        machine(experiment),
    )


def padded_job(folder: Path, rounds: int, smoke: bool, **settings: Any) -> tuple[Path, Workload]:
    """A job of `rounds` rounds, and what the harness needs to do it too."""
    made = {"smoke": smoke, "rounds": rounds + 1, "clip_norm": None, **settings}
    experiment = workload(**made)
    write_padded_job(experiment, folder, rounds)
    (folder / "workload.json").write_text(json.dumps(made), encoding="utf-8")
    return folder, experiment


def check_weights(outcomes: dict[str, Outcome], job: Path) -> dict[str, tuple[float, float]]:
    """Distances to the harness's weights: relative to their norm, and to the change."""
    start = load_file(job / "model" / "model.safetensors")
    ours = _vector(outcomes[OURS.name], start)
    change = np.linalg.norm(ours - np.concatenate([w.reshape(-1) for w in start.values()]))
    distances = {}
    for name, outcome in outcomes.items():
        distance = np.linalg.norm(_vector(outcome, start) - ours)
        found = float(distance / np.linalg.norm(ours)), float(distance / change)
        if not (found[0] < TOLERANCE and found[1] < OF_THE_CHANGE):
            raise SystemExit(f"simulation: '{name}' ends at other weights: {found}")
        distances[name] = found
    return distances


def _vector(outcome: Outcome, names: Any) -> np.ndarray:
    assert outcome.weights is not None
    tensors = load_file(outcome.weights)
    return np.concatenate([tensors[name].astype(np.float64).reshape(-1) for name in names])


def check_counts(outcomes: dict[str, Outcome]) -> None:
    """A comparison of different work does not count."""
    expected = {key: outcomes[OURS.name].work[key] for key in COUNTS}
    for name, outcome in outcomes.items():
        found = {key: outcome.work[key] for key in COUNTS}
        if found != expected:
            raise SystemExit(f"simulation: '{name}' did {found}, not {expected}")
