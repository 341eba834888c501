"""Local training through the harness against a bare loop over the very same padded batches.

The bare loop is a plain `transformers` module and `torch.optim.AdamW(fused=True)` on its own
parameters: forward, backward, step. Its batches are made before the clock starts; the harness
plans and gathers its own inside. Both start a fresh optimizer, as every participation does.

The harness runs twice: on torch's kernels with the whole embedding and the whole last layer, which
is the same arithmetic and so shows what the harness itself costs, and as it is, with its own
kernels, the embedding cut to the rows that occur and the last layer to the token that is read.
Dropout is on; without it all must end at the same weights, which is checked before the clock
starts.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.report import Report, arguments, machine, table
from benchmarks.timing import Sample, Stopwatch, alternate, ratio, seconds
from benchmarks.workload import BERT, Workload, plain_module, workload
from fednlp.experiment import prepare_process
from fednlp.local_training import LocalTrainer
from fednlp.random_streams import generator
from tasks.batches import TokenBatch, epoch_plan

TOLERANCE = 1e-3  # of the change of the weights; rounding differs where a norm is summed
LR, CLIP = 1e-3, 1.0


class Harness:
    """Participations of single clients, as they are or with the bare loop's arithmetic."""

    def __init__(self, experiment: Workload, own: bool) -> None:
        experiment.own_kernels = own
        self.experiment, self.whole_vocabulary = experiment, not own
        self.trainer: LocalTrainer = experiment.trainer()
        self.start = experiment.initial_weights
        self.steps = 0
        if not own:  # the bare loop's last layer is computed for all tokens
            module: Any = self.trainer.model.module
            del module.base_model.encoder.layer[-1].forward

    def run(self, repetition: int) -> Sample:
        client, examples = one_client(self.experiment, repetition)
        prepare_process(self.experiment.config)
        watch = Stopwatch()
        participation = self.trainer.participate(
            examples, self.start, round=0, client=client, whole_vocabulary=self.whole_vocabulary
        )
        self.steps = participation.advance().steps
        return watch.stop()


class Bare:
    """The same participations as one writes them down."""

    def __init__(self, experiment: Workload) -> None:
        self.experiment = experiment
        self.module: Any = plain_module(experiment)
        self.start = copy.deepcopy(self.module.state_dict())

    def run(self, repetition: int) -> Sample:
        client, examples = one_client(self.experiment, repetition)
        batches = self._batches(client, examples)
        self.module.load_state_dict(self.start)
        self.module.zero_grad()
        self.module.train()
        torch.use_deterministic_algorithms(False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(repetition)
            watch = Stopwatch()
            train_bare(self.module, batches, self.experiment.config.client.clip_norm)
            return watch.stop()

    def _batches(self, client: int, examples: np.ndarray) -> list[TokenBatch]:
        """The batches of the harness, made beforehand."""
        parts, seed = self.experiment, self.experiment.config.seed
        rng = generator(seed, "data order", 0, client, 0)
        store = parts.stores["train"]
        plan = epoch_plan(store, examples, parts.config.client.batch_size, rng)
        return [parts.task.collate(store, planned) for planned in plan]


def one_client(experiment: Workload, repetition: int) -> tuple[int, np.ndarray]:
    client = repetition % experiment.partition.clients
    return client, experiment.partition.splits["train"].client(client)


def check(harnesses: list[Harness], bare: Bare) -> None:
    """A comparison of different work does not count."""
    layout = harnesses[0].trainer.model.layout
    with without_dropout(bare.module):
        bare.run(0)
    named = dict(bare.module.named_parameters())
    expected = torch.cat([named[name].detach().reshape(-1) for name in layout])
    for harness in harnesses:
        with without_dropout(harness.trainer.model.module):
            harness.run(0)
        found = harness.trainer.model.weights
        change = float((found - expected).norm() / (expected - harness.start).norm())
        if not change < TOLERANCE:
            raise SystemExit(f"overhead: the arms differ by {change:.2g} of their change")


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
            made = {"smoke": options.smoke, "lr": LR, "clip_norm": clip, "optimizer": "adamw"}
            same, own = (Harness(workload(model, **made), own) for own in (False, True))
            bare = Bare(same.experiment)
            check([same, own], bare)
            title = f"{own.experiment.model_card.name}, {'clipping' if clip else 'no clipping'}"
            arms = {"bare": bare.run, "same": same.run, "own": own.run}
            samples = alternate(arms, repetitions, warm_up=2, title=title)
            times = [f"{seconds(samples[arm]) / own.steps * 1e3:.1f}" for arm in arms]
            ratios = [str(ratio(samples[arm], samples["bare"])) for arm in ("same", "own")]
            rows.append([title, *times, *ratios])
            facts = facts or machine(own.experiment)
        notes.append(f"- {own.experiment.description}.")
    report = Report("overhead", "Local training against a bare loop", facts)
    header = [
        "model",
        "bare, ms per step",
        "harness on torch's kernels",
        "harness",
        "on torch's kernels / bare",
        "harness / bare",
    ]
    report.parts += [
        "Target: at most 1.10. AdamW; one sample is one participation of one client (one epoch, "
        f"about {own.steps} steps); median of {repetitions} ratios within a repetition "
        "(quartiles). Same batches, dropout on; without dropout the same weights at the end "
        "(checked beforehand). On torch's kernels, with the whole embedding and last layer, the "
        "arithmetic is the bare loop's, so that column is the overhead.",
        table(header, rows),
        "\n".join(notes),
    ]
    report.publish(options.write)


if __name__ == "__main__":
    main()
