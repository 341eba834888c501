"""The whole job, from the command to the printed test accuracy, with all cores.

`benchmarks/whole-job.yaml` in every framework as its documentation recommends: see the scripts in
`benchmarks/peers`. The peers are given raw texts, the harness's tokenizer and initial weights and
who holds which example, and draw their own cohorts. All score validation every ten rounds and test
at the end, and pad to the longest of a batch.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.report import machine, table
from benchmarks.simulation_rows.arms import (
    FEDML,
    FLWR,
    PFL,
    ROOT,
    Outcome,
    execute,
    on_all_cores,
    present,
    run,
)
from benchmarks.simulation_rows.jobs import write_text_job
from benchmarks.simulation_rows.section import Section
from benchmarks.timing import Sample, Stopwatch, alternate, ratio, seconds
from fednlp import config as configuration
from fednlp import places
from fednlp.experiment import Experiment

CONFIG = ROOT / "benchmarks" / "whole-job.yaml"
SYNTHETIC = "dataset={name: synthetic_topics, sizes: {train: %d, validation: %d, test: %d}}"
SMOKE = [SYNTHETIC % (160, 16, 16), "model=tiny", "partition.clients=8", "rounds=2"]
SMOKE += ["sampling.clients_per_round=2"]
COLD, GIVEN, WARM = "ours, from scratch", "ours, given what peers are", "ours, again"
TARGETS = {FLWR.name: 3.0, FEDML.name: 3.0, PFL.name: 1.5}
ACCURACY, LOSS = 0.05, 0.15  # by which ways may differ: their cohorts, orders and dropout do
STORES = "token_stores"  # what a cache holds besides corpora and tokenizers


def section(smoke: bool, repetitions: int) -> Section:
    repetitions = 1 if smoke else repetitions
    overrides = _overrides(smoke)
    experiment = Experiment(configuration.load(CONFIG, overrides))
    cores = os.cpu_count() or 1
    found = present([on_all_cores(arm, cores) for arm in (PFL, FLWR, FEDML)])
    outcomes: dict[str, Outcome] = {}
    with TemporaryDirectory() as place:
        work = Path(place)
        job, warm = work / "job", work / "warm"
        write_text_job(experiment, job)
        # Nobody pays for reading libraries from disk for the first time; and our cache is filled.
        ours(work / "runs", warm, [*overrides, "rounds=1"])
        write_text_job(Experiment(configuration.load(CONFIG, SMOKE)), work / "toy")
        for arm in found.arms:
            run(arm, work / "toy", work / f"{arm.name}-toy", None)

        def peer(arm: Any) -> Callable[[int], Sample]:
            def measure(repetition: int) -> Sample:
                watch = Stopwatch()
                outcomes[arm.name] = run(arm, job, work / f"{arm.name}-{repetition}", None)
                return watch.stop()

            return measure

        def own(name: str) -> Callable[[int], Sample]:
            def measure(repetition: int) -> Sample:
                cache, out = work / f"cache-{repetition}", work / f"ours-{repetition}"
                if name != COLD:
                    skipped = shutil.ignore_patterns(STORES if name == GIVEN else "")
                    shutil.copytree(warm, cache, ignore=skipped)
                watch = Stopwatch()
                ours(out, cache, overrides)
                sample = watch.stop()
                outcomes[name] = read_run(out)
                shutil.rmtree(cache)
                shutil.rmtree(out)
                return sample

            return measure

        arms = {name: own(name) for name in (COLD, GIVEN, WARM)}
        arms |= {arm.name: peer(arm) for arm in found.arms}
        samples = alternate(arms, repetitions, warm_up=0, title="whole job")
    allowed = max(ACCURACY, 2 / len(experiment.corpus.splits["test"]) ** 0.5)  # a toy has few
    check(outcomes, allowed)
    versions = {k: v for o in outcomes.values() for k, v in o.versions.items()}
    notes = _notes(experiment, outcomes, repetitions, cores, allowed)
    parts = [notes, _table(samples, outcomes)]
    return Section("The whole job", [*parts, *found.absent], versions, machine(experiment))


def ours(out: Path, cache: Path, overrides: list[str]) -> None:
    """The command line, in a fresh process."""
    command = [sys.executable, "run_bench.py", "run", str(CONFIG), "--out", str(out), *overrides]
    execute("ours", command, None, {"FEDNLP_CACHE": str(cache)})


def read_run(out: Path) -> Outcome:
    """What the run folder says."""
    (folder,) = (path.parent for path in out.glob("*/result.json"))
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    lines = (folder / "rounds.jsonl").read_text(encoding="utf-8").splitlines()
    rounds = [json.loads(line) for line in lines]
    costs = result["costs"]
    counts = {key: costs[key] for key in ("examples", "steps", "real_tokens", "padded_tokens")}
    loss = sum(r["train_loss"] * r["examples"] for r in rounds)
    test = result["last"]["test"]["accuracy"]
    return Outcome([], {**counts, "loss_sum": loss}, test, [], {})


def check(outcomes: dict[str, Outcome], accuracy: float) -> None:
    """A comparison of different work does not count; `accuracy`: by how much it may differ."""
    expected = outcomes[COLD]
    assert expected.test is not None
    for name, outcome in outcomes.items():
        assert outcome.test is not None
        steps, found = expected.work["steps"], outcome.work["steps"]
        examples = outcome.work["examples"] / expected.work["examples"]
        if steps != found or abs(examples - 1) > 0.02:
            raise SystemExit(f"simulation: '{name}' took {found} steps, not {steps}")
        tokens = outcome.work["real_tokens"] / expected.work["real_tokens"]
        if abs(tokens / examples - 1) > 0.1:
            raise SystemExit(f"simulation: '{name}' cuts texts otherwise: {tokens:.2f} the tokens")
        if not abs(outcome.loss - expected.loss) < LOSS:
            raise SystemExit(f"simulation: '{name}' had a loss of {outcome.loss:.3f}")
        if not abs(outcome.test - expected.test) < accuracy:
            raise SystemExit(f"simulation: '{name}' reached {outcome.test:.3f} on test")


def _overrides(smoke: bool) -> list[str]:
    if smoke:
        return SMOKE
    return [] if places.data_root() else [SYNTHETIC % (10_000, 1_000, 5_000)]


def _table(samples: dict[str, list[Sample]], outcomes: dict[str, Outcome]) -> str:
    rows = []
    for name, values in samples.items():
        outcome = outcomes[name]
        ratios = [str(ratio(values, samples[own])) for own in (COLD, GIVEN, WARM)]
        rows.append(
            [
                name,
                f"{seconds(values):.0f}",
                *ratios,
                f"{TARGETS[name]:.1f}" if name in TARGETS else "",
                f"{outcome.test:.3f}",
                f"{outcome.loss:.3f}",
                f"{outcome.padding:.2f}",
            ]
        )
    header = ["way", "s", *(f"this / {own}" for own in (COLD, GIVEN, WARM)), "at least"]
    return table([*header, "test accuracy", "training loss", "padded per real token"], rows)


def _notes(
    experiment: Experiment,
    outcomes: dict[str, Outcome],
    repetitions: int,
    cores: int,
    accuracy: float,
) -> str:
    config, work = experiment.config, outcomes[COLD].work
    splits = {name: len(examples) for name, examples in experiment.corpus.splits.items()}
    kind = "synthetic texts" if experiment.corpus.synthetic else "real texts"
    return (
        f"{experiment.corpus.name} ({kind}; {splits['train']:,} training, "
        f"{splits['validation']:,} validation, {splits['test']:,} test examples, cut at "
        f"{config.tokens.max_length} tokens), {experiment.model_card.name} "
        f"({experiment.model.weights.numel():,} weights); {config.partition.clients} clients, "
        f"{config.sampling.clients_per_round} per round, {config.rounds} rounds, AdamW, batch "
        f"{config.client.batch_size}. Seconds from the command to its end, {cores} cores for all, "
        f"medians of {repetitions} runs, ratios within a repetition (quartiles). Ours from scratch "
        "reads the archive, trains the tokenizer and tokenizes; given what peers are, it finds "
        "texts and tokenizer in its cache and tokenizes; again, it finds the tokens. Checked: "
        f"{work['steps']:,} steps in all; examples within 2 %, tokens per example within 10 %, "
        f"training loss within {LOSS}, test accuracy within {accuracy:.2g}."
    )
