"""How many clients are trained at once.

On a CPU it pays where a step is so small that calling its operations costs as much as their
arithmetic; `benchmarks/together.py` measures where that ends. On a GPU it pays as long as one
client leaves the device idle, and memory limits it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fednlp.config import RunConfig
from fednlp.local_training import LocalTrainer
from fednlp.together.module import NotTogether
from fednlp.together.trainer import TogetherTrainer

ON_A_CPU = 16  # clients; more gain little
WORK = 2.0e7  # weights times tokens of a step, up to which together is faster on a CPU
MOST = 32
_BYTES_PER_WEIGHT = 4 * 4  # weights, gradient and two moments in float32
_SHARE = 0.5  # of the free memory


@dataclass(frozen=True)
class Together:
    """clients: trained at once. trainer: None for one by one. problem: why that, if asked for."""

    clients: int = 1
    trainer: TogetherTrainer | None = None
    problem: str = ""


def choose(config: RunConfig, trainer: LocalTrainer) -> Together:
    """What `engine.together` asks for, as far as cohort, model and memory allow."""
    wanted = config.engine.together
    clients = automatic(trainer) if wanted == "auto" else wanted
    clients = min(clients, config.sampling.clients_per_round)
    if clients == 1:
        return Together()
    try:
        return Together(clients, TogetherTrainer(trainer, clients))
    except NotTogether as reason:
        return Together(problem=f"clients are trained one by one: {reason}")


def automatic(trainer: LocalTrainer) -> int:
    """The number for `auto`."""
    return 1
