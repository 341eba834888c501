"""How many clients are trained at once.

On a CPU it pays where a step is so small that calling its operations costs as much as their
arithmetic: `benchmarks/simulation_rows/together.py` shows it, and the limits below stay well
inside. On a GPU one client after another in recorded steps was faster wherever it was measured
(benchmarks/results/gpu.md), so clients are trained together there only if that is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from fednlp.config_schema import RunConfig
from fednlp.cpu_kernels.linear import NARROW
from fednlp.local_training import LocalTrainer
from fednlp.occurring_rows import WORTH
from fednlp.together.module import NotTogether
from fednlp.together.trainer import TogetherTrainer

FEWEST = 4  # clients below which `auto` finds nothing to gain
GROUPS_ON_A_CPU = 8  # at least, of a cohort
ON_A_CPU = 16  # at most: more clients gain little and leave the caches
TOKENS_ON_A_CPU = 8_192  # of all clients in a step, whose activations stay near the processor
TOKENS_ALONE = 1_024  # of one client in a step, above which arithmetic is all


@dataclass(frozen=True)
class Together:
    """clients: trained at once. trainer: None for one by one. problem: why that, if asked for."""

    clients: int = 1
    trainer: TogetherTrainer | None = None
    problem: str = ""


def choose(config: RunConfig, trainer: LocalTrainer) -> Together:
    """What `engine.together` asks for, as far as cohort, model and memory allow."""
    wanted, cohort = config.engine.together, config.sampling.clients_per_round
    if wanted == "auto":
        clients = automatic(trainer, cohort)
    else:
        clients = min(wanted, cohort)
    if clients == 1:
        return Together()
    if config.engine.name == "fedml":
        silos = "silos of the fedml engine train them one by one"
        return Together(problem=f"engine.together: {silos}" if wanted != "auto" else "")
    try:
        return Together(clients, TogetherTrainer(trainer, clients))
    except NotTogether as reason:
        return Together(problem=f"clients are trained one by one: {reason}")


def automatic(trainer: LocalTrainer, cohort: int) -> int:
    """The number for `auto`, of `cohort` clients.

    On a CPU a small cohort is left to the worker processes, which share it client by client.
    """
    if trainer.model.device.type == "cuda":
        return 1
    clients = min(cohort // GROUPS_ON_A_CPU, _on_a_cpu(trainer))
    return clients if clients >= FEWEST else 1


def tokens_of_a_step(trainer: LocalTrainer) -> float:
    """Tokens of an average batch, without padding; at most, where a batch is a budget of them."""
    store = trainer.store
    if trainer.settings.batch_tokens is not None:
        return trainer.settings.batch_tokens
    total = float(store.row_lengths.sum())
    if store.target_lengths is not None:
        total += float(store.target_lengths.sum())
    return trainer.settings.batch_size * total / max(1, store.examples)


def _on_a_cpu(trainer: LocalTrainer) -> int:
    """1 where one by one has kernels or a cut embedding that together has not."""
    model, tokens = trainer.model, tokens_of_a_step(trainer)
    widths = [min(m.in_features, m.out_features) for m in _linear(trainer)]
    wide = any(width >= NARROW for width in widths)
    if trainer.precision != "fp32" or wide or model.weights.numel() >= WORTH:
        return 1
    return 1 if tokens > TOKENS_ALONE else min(ON_A_CPU, int(TOKENS_ON_A_CPU / tokens))


def _linear(trainer: LocalTrainer) -> list[nn.Linear]:
    return [m for m in trainer.model.module.modules() if isinstance(m, nn.Linear)]
