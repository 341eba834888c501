"""The workload of the speed benchmarks: texts, their tokens, a split among clients, a model.

With FEDNLP_DATA set the texts are 20 Newsgroups, cut at 256 tokens, which gives the long-tailed
lengths of real text; without it short synthetic texts stand in, and the tables say so.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from rich.console import Console

from fednlp import config as configuration
from fednlp import places
from fednlp.experiment import Experiment, prepare_process
from fednlp.federation import Federation
from fednlp.flat_model import FlatModel
from fednlp.progress import Progress
from fednlp.results.run_folder import RunFolder

BERT = str(Path(__file__).resolve().parent / "bert-2x128.yaml")
VOCABULARY = 30_522
CLIENTS, PER_ROUND, BATCH, LENGTH = 100, 10, 8, 256
NEVER = 10**6  # rounds


class Workload(Experiment):
    """An experiment whose `bert-2x128` has its 30,522 embeddings on any texts."""

    @cached_property
    def model(self) -> FlatModel:
        flat = super().model
        module: Any = flat.module
        if self.config.model.name != BERT or len(self.tokenizer[0]) == VOCABULARY:
            return flat
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module.resize_token_embeddings(VOCABULARY, mean_resizing=False)
        return FlatModel(module, self.device)

    @property
    def description(self) -> str:
        """One sentence for a report."""
        lengths = self.stores["train"].row_lengths
        module: Any = self.model.module
        card, rows = self.model_card, module.get_input_embeddings().num_embeddings
        kind = "synthetic texts" if self.corpus.synthetic else "real texts"
        return (
            f"{self.config.dataset.name} ({kind}; {len(lengths):,} training examples, mean length "
            f"{lengths.mean():.0f} tokens, cut at {self.config.tokens.max_length}), {card.name} "
            f"({self.model.weights.numel():,} weights, vocabulary {rows:,}), "
            f"batch {self.config.client.batch_size}, {self.config.precision}"
        )


def workload(
    model: str = BERT,
    *,
    smoke: bool = False,
    rounds: int = 1,
    dropout: float | None = None,
    workers: int | str = 1,
    **client: Any,
) -> Workload:
    """100 clients, 10 per round, batch 8, at most 256 tokens; `client`: its section.

    workers: one process with all cores by default, as the ways that it is compared with.
    """
    dataset: dict[str, Any] = {"name": "20newsgroups"}
    if smoke or places.data_root() is None:
        dataset = {"name": "synthetic_topics"}
        train = 160 if smoke else 10_000
        dataset["sizes"] = {"train": train, "validation": 16, "test": 16}
    data = {
        "dataset": dataset,
        "model": {"name": "tiny" if smoke else model, "dropout": dropout},
        "partition": {"name": "uniform", "clients": 8 if smoke else CLIENTS},
        "client": {"batch_size": BATCH, **client},
        "sampling": {"clients_per_round": 2 if smoke else PER_ROUND},
        "rounds": rounds,
        "tokens": {"max_length": LENGTH},
        "centralized": {"budget": "none"},
        "evaluation": {"every": NEVER},
        "engine": {"workers": workers},
    }
    experiment = Workload(configuration.build(data, "benchmark"))
    prepare_process(experiment.config)
    return experiment


class _Enough(Exception):
    """Leaves the round loop before it validates."""


class _Rounds(Progress):
    def __init__(self, rounds: int, before: Callable[[int], None]) -> None:
        super().__init__(Console(quiet=True), "benchmark", rounds)
        self._before, self._last = before, rounds

    def round(self, round: int, clients: int) -> None:
        self._before(round)
        if round == self._last:
            raise _Enough


def run_rounds(
    experiment: Experiment,
    before: Callable[[int], None],
    after: Callable[[RunFolder], None] = lambda run: None,
) -> list[dict[str, Any]]:
    """The harness's own round loop with its run folder, for all rounds but the last.

    `before(r)` is called at the start of every round, the last included: what lies between two
    calls is a whole round with its log line, digest and checkpoint. Nothing is validated.
    `after` is given the run folder, which is gone afterwards. Returns the records of the rounds.
    """
    last = experiment.config.rounds - 1
    with TemporaryDirectory() as folder, RunFolder(Path(folder)) as run:
        with suppress(_Enough):
            Federation(experiment, run, _Rounds(last, before)).run()
        after(run)
        return run.rounds()


def plain_module(experiment: Experiment) -> Any:
    """The model as `transformers` makes it: own parameters, same weights, nothing of ours."""
    ours: Any = experiment.model.module
    config = copy.deepcopy(ours.config)
    config._attn_implementation = "sdpa"  # torch's attention, the default
    module = type(ours)(config)
    module.load_state_dict(ours.state_dict())
    trained = {name for name, p in ours.named_parameters() if p.requires_grad}
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in trained)
    return module


def cohort(experiment: Experiment, round: int) -> list[np.ndarray]:
    """The training examples [n] of each client that takes part in a round."""
    clients = experiment.sampler.clients[experiment.sampler.cohort(round)]
    return [experiment.partition.splits["train"].client(int(client)) for client in clients]
