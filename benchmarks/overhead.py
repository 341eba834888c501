"""Local training through the harness against a bare loop over the very same padded batches.

The bare loop is a plain `transformers` module and `torch.optim.AdamW(fused=True)` on its own
parameters: forward, backward, step. Its batches are made before the clock starts; the harness
plans and gathers its own inside. Both start a fresh optimizer, as every participation does. Dropout
is on, with masks drawn in two ways; without it both must end at the same weights, which is checked
before the clock starts.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.report import Report, arguments, machine, table
from benchmarks.timing import Sample, Stopwatch, alternate, ratio, seconds
from benchmarks.workload import BERT, Workload, plain_module, workload
from fednlp.experiment import prepare_process
from fednlp.local_training import LocalTrainer
from fednlp.random_streams import generator, integer_seed
from tasks.batches import TokenBatch, epoch_plan

TOLERANCE = 1e-3  # of the change of the weights; rounding differs where a norm is summed
LR, CLIP = 1e-3, 1.0


@dataclass
class Comparison:
    """One model, one optimizer setting: two arms that train the same clients."""

    experiment: Workload

    def __post_init__(self) -> None:
        self.client = self.experiment.config.client
        self.trainer: LocalTrainer = self.experiment.trainer()
        self.start = self.experiment.initial_weights
        self.bare: Any = plain_module(self.experiment)
        self.bare_start = copy.deepcopy(self.bare.state_dict())
        self.steps = 0
        self._check()

    def arms(self) -> dict[str, Any]:
        return {"harness": self.harness, "bare": self.bare_loop}

    def examples(self, repetition: int) -> tuple[int, np.ndarray]:
        client = repetition % self.experiment.partition.clients
        return client, self.experiment.partition.splits["train"].client(client)

    def harness(self, repetition: int) -> Sample:
        client, examples = self.examples(repetition)
        prepare_process(self.experiment.config)
        watch = Stopwatch()
        work = self.trainer.participate(examples, self.start, round=0, client=client).advance()
        sample = watch.stop()
        self.steps = work.steps
        return sample

    def bare_loop(self, repetition: int) -> Sample:
        client, examples = self.examples(repetition)
        batches = self.batches(client, examples)
        self.bare.load_state_dict(self.bare_start)
        self.bare.zero_grad()
        self.bare.train()
        torch.use_deterministic_algorithms(False)
        seed = self.trainer.seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(integer_seed(seed, "dropout", 0, client))
            watch = Stopwatch()
            train_bare(self.bare, batches, self.client.clip_norm)
            return watch.stop()

    def batches(self, client: int, examples: np.ndarray) -> list[TokenBatch]:
        """The batches of the harness, made beforehand."""
        trainer = self.trainer
        rng = generator(trainer.seed, "data order", 0, client, 0)
        plan = epoch_plan(trainer.store, examples, self.client.batch_size, rng)
        return [trainer.task.collate(trainer.store, planned) for planned in plan]

    def _check(self) -> None:
        """A comparison of different work does not count."""
        with without_dropout(self.bare), without_dropout(self.trainer.model.module):
            self.harness(0)
            one = self.trainer.model.weights.clone()
            self.bare_loop(0)
        named = dict(self.bare.named_parameters())
        layout = self.trainer.model.layout
        two = torch.cat([named[name].detach().reshape(-1) for name in layout])
        change = float((one - two).norm() / (one - self.start).norm())
        if not change < TOLERANCE:
            raise SystemExit(f"overhead: the two arms differ by {change:.2g} of their change")


@contextmanager
def without_dropout(module: nn.Module) -> Iterator[None]:
    """Every dropout layer of a BERT, attention's included, switched off."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Dropout)]
    rates = [layer.p for layer in layers]
    try:
        for layer in layers:
            layer.p = 0.0
        yield
    finally:
        for layer, rate in zip(layers, rates, strict=True):
            layer.p = rate


def train_bare(module: nn.Module, batches: list[TokenBatch], clip: float | None) -> None:
    """Forward, backward and optimizer."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=LR, weight_decay=0.0, fused=True)
    for batch in batches:
        optimizer.zero_grad()
        logits = module(**batch.inputs).logits
        nn.functional.cross_entropy(logits, batch.targets["label"]).backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()


def main() -> None:
    options = arguments(str(__doc__).splitlines()[0], repetitions=40).parse_args()
    repetitions, rows, notes = 2 if options.smoke else options.repetitions, [], []
    facts: dict[str, Any] = {}
    for model in [BERT] if options.smoke else [BERT, "tiny"]:
        for clip in (None, CLIP):
            experiment = workload(
                model, smoke=options.smoke, lr=LR, clip_norm=clip, optimizer="adamw"
            )
            name = experiment.model_card.name
            title = f"{name}, {'clipping' if clip else 'no clipping'}"
            comparison = Comparison(experiment)
            samples = alternate(comparison.arms(), repetitions, warm_up=2, title=title)
            harness, bare = samples["harness"], samples["bare"]
            rows.append(
                [
                    title,
                    f"{seconds(bare) / comparison.steps * 1e3:.1f}",
                    f"{seconds(harness) / comparison.steps * 1e3:.1f}",
                    str(ratio(harness, bare)),
                    str(ratio(harness, bare, "cpu")),
                ]
            )
            facts = facts or machine(experiment)
        notes.append(f"- {experiment.description}.")
    report = Report("overhead", "Local training against a bare loop", facts)
    header = ["model", "bare, ms per step", "harness, ms per step", "ratio", "ratio of CPU time"]
    report.parts += [
        "Target: ratio at most 1.10. AdamW; one sample is one participation of one client "
        f"(one epoch, about {comparison.steps} steps); median of {repetitions} ratios within a "
        "repetition (quartiles). Same batches, dropout on; without dropout the same weights at the "
        "end (checked beforehand).",
        table(header, rows),
        "\n".join(notes),
    ]
    report.publish(options.write)


if __name__ == "__main__":
    main()
