"""A round of FedAvg against the usual way to write one, and where the difference comes from.

The usual way: a deep copy of the model per client, a `DataLoader` over examples that were
tokenized beforehand and padded to the maximum length, a fresh torch optimizer with its default
settings per client, and an average of the `state_dict`s. From there one thing at a time is
changed until little but the arithmetic is left (a plain loop); the harness comes last. All train
the same clients on the same examples with the same number of steps, each from its own global
model, and must reach the same loss.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset, TensorDataset

from benchmarks.report import Report, arguments, machine, table
from benchmarks.timing import Sample, Stopwatch, ratio, seconds, show_progress
from benchmarks.workload import Workload, cohort, plain_module, run_rounds, workload
from fednlp.experiment import prepare_process
from fednlp.random_streams import generator
from tasks.batches import epoch_plan

RATES = {"adamw": 1e-3, "sgd": 0.1}
WEIGHT_DECAY = {"adamw": 0.01, "sgd": 0.0}  # torch's defaults
LOSS_TOLERANCE = 0.15
WARM_UP = 1


@dataclass(frozen=True)
class Way:
    """How a round is written.

    padding: to the maximum, to the longest of a random batch, or the batches of the harness.
    fused: the optimizer as one kernel instead of torch's default.
    copies: a deep copy per client and an average of kept `state_dict`s, instead of one resident
        model and a running sum.
    """

    padding: Literal["maximum", "longest", "grouped"] = "maximum"
    fused: bool = False
    copies: bool = True


LADDER = {
    "the usual way": Way(),
    "padding to the longest of the batch": Way(padding="longest"),
    "batches grouped by length": Way(padding="grouped"),
    "fused optimizer": Way(padding="grouped", fused=True),
    "no copies: a plain loop": Way(padding="grouped", fused=True, copies=False),
}
HARNESS = "the harness, with log and checkpoint"


class Trainer:
    """One way, with its own global model."""

    def __init__(self, experiment: Workload, way: Way) -> None:
        self.experiment, self.way = experiment, way
        self.settings = experiment.config.client
        self.model: Any = plain_module(experiment)
        self.losses: list[float] = []
        self.steps: list[int] = []
        store = experiment.stores["train"]
        length = experiment.config.tokens.max_length
        rows = torch.arange(store.rows)
        grid = store.grid(rows, length)
        ids = grid.take(store.tokens, store.pad_id)
        self.data = TensorDataset(ids, grid.mask.long(), store.columns["label"])

    def run(self, round: int) -> Sample:
        clients = cohort(self.experiment, round)
        torch.use_deterministic_algorithms(False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(round)
            watch = Stopwatch()
            losses = self._with_copies(clients) if self.way.copies else self._resident(clients)
            self.losses.append(float(torch.cat(losses).mean()))
            sample = watch.stop()
        self.steps.append(sum(len(part) for part in losses))
        return sample

    def _with_copies(self, clients: list[np.ndarray]) -> list[Tensor]:
        states, losses = [], []
        for examples in clients:
            model = copy.deepcopy(self.model)
            losses.append(self._train(model, examples))
            states.append(model.state_dict())
        total = sum(len(examples) for examples in clients)
        average = {
            name: sum(
                state[name] * (len(examples) / total)
                for state, examples in zip(states, clients, strict=True)
            )
            for name in states[0]
            if states[0][name].is_floating_point()
        }
        self.model.load_state_dict(average, strict=False)
        return losses

    def _resident(self, clients: list[np.ndarray]) -> list[Tensor]:
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        start = [p.detach().clone() for p in parameters]
        sums = [torch.zeros_like(p) for p in start]
        losses = []
        total = sum(len(examples) for examples in clients)
        for examples in clients:
            with torch.no_grad():
                torch._foreach_copy_(parameters, start)
            losses.append(self._train(self.model, examples))
            with torch.no_grad():
                torch._foreach_add_(sums, parameters, alpha=len(examples) / total)
        with torch.no_grad():
            torch._foreach_copy_(parameters, sums)
        return losses

    def _train(self, model: Any, examples: np.ndarray) -> Tensor:
        model.train()
        optimizer = self._optimizer(model)
        losses = []
        for ids, mask, label in self._batches(examples):
            optimizer.zero_grad()
            logits = model(input_ids=ids, attention_mask=mask).logits
            loss = torch.nn.functional.cross_entropy(logits, label)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses)

    def _optimizer(self, model: Any) -> torch.optim.Optimizer:
        fused = True if self.way.fused else None
        if self.settings.optimizer == "adamw":
            return torch.optim.AdamW(model.parameters(), lr=self.settings.lr, fused=fused)
        return torch.optim.SGD(model.parameters(), lr=self.settings.lr, fused=fused)

    def _batches(self, examples: np.ndarray) -> Iterator[tuple[Tensor, ...]]:
        size = self.settings.batch_size
        if self.way.padding == "grouped":
            store, task = self.experiment.stores["train"], self.experiment.task
            seed = int(torch.randint(2**31, ()))
            for planned in epoch_plan(store, examples, size, generator(seed, "benchmark")):
                batch = task.collate(store, planned)
                inputs = batch.inputs
                yield inputs["input_ids"], inputs["attention_mask"], batch.targets["label"]
            return
        loader = DataLoader(Subset(self.data, examples.tolist()), batch_size=size, shuffle=True)
        for ids, mask, label in loader:
            if self.way.padding == "longest":
                longest = int(mask.sum(1).max())
                ids, mask = ids[:, :longest], mask[:, :longest]
            yield ids, mask, label


@dataclass
class Outcome:
    samples: dict[str, list[Sample]]
    losses: dict[str, float]  # mean of the last two rounds
    experiment: Workload
    padding: float  # padded tokens / real tokens of the harness


def compare(
    optimizer: str,
    ladder: dict[str, Way],
    repetitions: int,
    smoke: bool,
    workers: int | str = 1,
) -> Outcome:
    """Alternates the harness's rounds with the same rounds of every other way."""
    rounds = WARM_UP + repetitions
    experiment = workload(
        smoke=smoke,
        rounds=rounds + 1,
        workers=workers,
        optimizer=optimizer,
        lr=RATES[optimizer],
        weight_decay=WEIGHT_DECAY[optimizer],
        clip_norm=None,
    )
    trainers = {name: Trainer(experiment, way) for name, way in ladder.items()}
    samples: dict[str, list[Sample]] = {name: [] for name in [*ladder, HARNESS]}
    running: list[Stopwatch] = []

    def between(round: int) -> None:
        if running:
            samples[HARNESS].append(running.pop().stop())
            show_progress(f"rounds with {optimizer}", round, rounds)
        if round < rounds:
            for name, trainer in trainers.items():
                samples[name].append(trainer.run(round))
            prepare_process(experiment.config)
            running.append(Stopwatch())

    records = run_rounds(experiment, between)
    for name, trainer in trainers.items():
        if trainer.steps != [record["steps"] for record in records]:
            raise SystemExit(f"usual_way: '{name}' took {trainer.steps} steps, not the harness's")
    losses = {name: float(np.mean(trainer.losses[-2:])) for name, trainer in trainers.items()}
    losses[HARNESS] = float(np.mean([record["train_loss"] for record in records[-2:]]))
    for name, loss in losses.items():
        if not abs(loss - losses[HARNESS]) < LOSS_TOLERANCE:
            raise SystemExit(f"usual_way: '{name}' reached a loss of {loss:.3f}, not {losses}")
    padded = sum(r["padded_tokens"] for r in records) / sum(r["real_tokens"] for r in records)
    counted = {name: values[WARM_UP:] for name, values in samples.items()}
    return Outcome(counted, losses, experiment, padded)


def rows(outcome: Outcome) -> list[list[str]]:
    """Each way against the first, and against the one above it."""
    names = list(outcome.samples)
    first, result = outcome.samples[names[0]], []
    for above, name in zip([names[0], *names], names, strict=False):
        samples = outcome.samples[name]
        result.append(
            [
                name,
                f"{seconds(samples):.2f}",
                f"{seconds(samples, 'cpu'):.2f}",
                str(ratio(first, samples)),
                str(ratio(outcome.samples[above], samples)),
                f"{outcome.losses[name]:.3f}",
            ]
        )
    return result


def main() -> None:
    options = arguments(str(__doc__).splitlines()[0], repetitions=5).parse_args()
    repetitions = 1 if options.smoke else options.repetitions
    short = {name: LADDER[name] for name in (next(iter(LADDER)), "no copies: a plain loop")}
    ladders: dict[str, dict[str, Way]] = {"adamw": LADDER, "sgd": short}
    outcomes = {
        optimizer: compare(optimizer, ladder, repetitions, options.smoke)
        for optimizer, ladder in ladders.items()
    }
    experiment = outcomes["adamw"].experiment
    report = Report("usual_way", "A round against the usual way", machine(experiment))
    real = experiment.stores["train"].row_lengths.mean()
    report.parts.append(
        f"Target: the harness at least 2.5 times as fast with AdamW. {experiment.description}; "
        f"{experiment.partition.clients} clients, {experiment.config.sampling.clients_per_round} "
        "per round, one local epoch, no clipping. Padded per real token: "
        f"{experiment.config.tokens.max_length / real:.2f} at the maximum, "
        f"{outcomes['adamw'].padding:.2f} in the harness. Seconds per round are medians of "
        f"{repetitions} rounds, ratios are formed within a round (quartiles)."
    )
    header = [
        "way",
        "s per round",
        "CPU s",
        "the usual way / this",
        "line above / this",
        "training loss",
    ]
    for optimizer, outcome in outcomes.items():
        report.parts += [f"## Clients with {optimizer}", table(header, rows(outcome))]
    report.publish(options.write)


if __name__ == "__main__":
    main()
