"""A round of 1,000 clients on 8 nodes of 8 GPUs, computed from constants measured one by one.

Measured here: what rank 0 does per byte of a vector, per client and per message. Measured on one
GPU: tokens per second (`results/gpu.md`). Derived from these: what a further process and a client's
state cost. Assumed, and said so: the network.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.report import table
from fednlp.engines.client import Upload
from fednlp.engines.torchrun.group import Group, decoded, encoded
from fednlp.engines.torchrun.packing import fingerprint, pack
from fednlp.engines.torchrun.part import as_json, of_json
from fednlp.engines.torchrun.shares import shared_out
from fednlp.flat_model import digest
from fednlp.local_training import Work
from fednlp.results.files import write_tensors

CLIENTS, EXAMPLES, TOKENS = 1_000, 100, 128  # of a round; of a client on average; of an example
WEIGHTS = 66_000_000  # DistilBERT
GPU_TOKENS = 251_000  # per second: DistilBERT, full, 8 x 128, graphs, on one H200 (results/gpu.md)
BANDWIDTH, LATENCY = 12.5e9, 2e-5  # assumed: bytes per second of a node's link, seconds per step
PER_NODE, SIZES = 8, (1, 8, 16, 32, 64, 128, 256)
_VECTOR = 4_400_000  # elements that constants are measured on
_TIMES = 5


@dataclass(frozen=True)
class Constants:
    """Measured, in seconds: of telling one process and being answered; per client; per byte.

    engine: per byte that every process passes through beside the network. alone: per byte that only
    rank 0 does: the digest, the checkpoint. state: per byte of a client's state, packed once and
    unpacked once.
    """

    word: float
    client: float
    engine: float
    alone: float
    state: float

    @property
    def process(self) -> float:
        """Derived, per further process of a round: sizes handed to it, two answers deleted.

        These are three visits to the store, of which a word takes five: one to tell, two to read
        and two to delete.
        """
        return 3 / 5 * self.word

    @property
    def there_and_back(self) -> float:
        """Derived, per byte of a client's state: rank 0 packs what the process unpacks, and back.

        Rank 0 does one packing and one unpacking of the two, while it waits for the other.
        """
        return 2 * self.state


def measured(group: Group) -> Constants:
    """On this machine; the group has two processes, the other of which answers `echo`."""
    vector = torch.randn(_VECTOR)
    state = {"weights": vector}
    size = vector.numel() * vector.element_size()
    uploads = {
        k: Upload(Work(100, 13, 12_800, 13_000, 1.5, 0.0), size, 0.1) for k in range(CLIENTS)
    }

    def word() -> None:
        group.post.tell({"kind": "echo"})
        group.post.answers()

    def records() -> None:
        of_json(json.loads(json.dumps(as_json(uploads))))

    def engine() -> None:
        fingerprint(state)
        pack(state)

    with tempfile.TemporaryDirectory() as folder:

        def alone() -> None:
            digest(vector)
            write_tensors(Path(folder, "state"), state)

        return Constants(
            word=_best(word),
            client=_best(records) / CLIENTS,
            engine=_best(engine) / size,
            alone=_best(alone) / size,
            state=_best(lambda: decoded(encoded(state), torch.device("cpu"))) / size,
        )


def _best(work: Callable[[], object]) -> float:
    found = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


@dataclass(frozen=True)
class Planned:
    """Seconds of a round with so many GPUs."""

    gpus: int
    ideal: float  # training, shared out evenly
    training: float  # of the process that has most
    exchange: float
    engine: float
    alone: float
    states: float  # more, where every client keeps one vector

    @property
    def round(self) -> float:
        return self.training + self.exchange + self.engine + self.alone


def planned(constants: Constants, gpus: int) -> Planned:
    draw = np.random.default_rng(0)
    sizes = np.maximum(8, draw.lognormal(np.log(EXAMPLES) - 0.5, 1.0, CLIENTS)).astype(int)
    costs = (sizes * TOKENS).tolist()
    most = max(sum(costs[k] for k in share) for share in shared_out(costs, gpus))
    size = 4 * WEIGHTS
    ring = 2 * (gpus - 1) / gpus * size / BANDWIDTH + 2 * (gpus - 1) * LATENCY
    told = 2 * constants.word + (gpus - 1) * constants.process + CLIENTS * constants.client
    away = CLIENTS * (1 - 1 / gpus)
    return Planned(
        gpus=gpus,
        ideal=sum(costs) / GPU_TOKENS / gpus,
        training=most / GPU_TOKENS,
        exchange=ring if gpus > PER_NODE else ring / 10,  # inside a node the links are faster
        engine=told + size * constants.engine,
        alone=size * constants.alone,
        states=away * size * (constants.there_and_back + 2 / BANDWIDTH),
    )


def plan_parts(constants: Constants) -> list[str]:
    """Paragraphs and tables of a report."""
    rows = []
    for gpus in SIZES:
        plan = planned(constants, gpus)
        single = planned(constants, 1)
        cells = [plan.training, plan.exchange, plan.engine, plan.alone, plan.round]
        share = single.round / (gpus * plan.round)
        kept = (single.round + single.states) / (gpus * (plan.round + plan.states))
        rows.append(
            [str(gpus), *(f"{c:.2f}" for c in cells), f"{100 * share:.0f} %", f"{100 * kept:.0f} %"]
        )
    header = ["GPUs", "training", "all-reduce", "engine", "rank 0 alone", "round, s", "efficiency",
              "with states"]  # fmt: skip
    told = (
        f"Measured here, on a vector of {4 * _VECTOR / 1e6:.1f} MB: a word told to one process and "
        f"answered {1e3 * constants.word:.2f} ms; per client's record "
        f"{1e6 * constants.client:.0f} us; per GB of weights {1e9 * constants.engine:.2f} s for "
        f"checksum and packing, {1e9 * constants.alone:.2f} s for digest and checkpoint, "
        f"{1e9 * constants.state:.2f} s to pack and unpack a client's state.\n\n"
        f"Derived, not measured: per further process {1e3 * constants.process:.2f} ms, 3/5 of a "
        "word (three visits to the store in a round, of which a word takes five); per GB of a "
        f"client's state there and back {1e9 * constants.there_and_back:.2f} s, twice packing and "
        "unpacking; all times of the table, from these, with bytes scaled in proportion."
    )
    return [
        f"## A plan: {CLIENTS:,} clients per round on 8 nodes of 8 GPUs",
        f"DistilBERT ({WEIGHTS:,} weights), {EXAMPLES} examples per client on average (lognormal, "
        f"sigma 1) of {TOKENS} tokens, {GPU_TOKENS:,} tokens per second on a GPU (one H200, "
        "[measured](gpu.md)). Assumed, not measured: 100 Gbit/s between nodes and ten times that "
        "inside one, 20 us per step of the ring; validation comes on top and is shared out.",
        told,
        table(header, rows),
        _limits(constants),
    ]


def _limits(constants: Constants) -> str:
    at = planned(constants, 64)
    parts = {
        "the client that takes longest and what is shared out unevenly": at.training - at.ideal,
        "the all-reduce": at.exchange,
        "checksum, packing and words": at.engine,
        "what rank 0 does alone (digest and checkpoint)": at.alone,
    }
    worst = max(parts, key=lambda name: parts[name])
    return (
        f"With 64 GPUs training takes {at.training:.2f} s of {at.round:.2f} s, and the largest of "
        f"the rest is {worst}: {parts[worst]:.2f} s. That part does not shrink with more GPUs, so "
        "it is where scaling stops; `checkpoint.every` above 1 makes it less. With a method whose "
        f"clients keep a vector each, rank 0 hands out and takes back {CLIENTS:,} of them, "
        f"{at.states:.0f} s: there a few GPUs are all that pays."
    )
