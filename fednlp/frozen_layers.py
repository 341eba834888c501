"""Frozen first layers are computed once per text, not at every step (tasks/frozen_trunk.py)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from rich.progress import Progress

from fednlp import places
from fednlp.console import console
from fednlp.processes import all_threads, client_threads
from fednlp.step import autocast
from tasks.frozen_trunk import FrozenTrunk
from tasks.token_store import TokenStore, cached_store

if TYPE_CHECKING:
    from fednlp.experiment import Experiment

MOST_BYTES = 2**31  # of what is kept, all splits together


@dataclass(frozen=True)
class FrozenLayers:
    """trunk: None: nothing is computed once. problem: why, where layers are frozen; one line."""

    trunk: FrozenTrunk | None = None
    problem: str = ""


def choose_layers(experiment: Experiment) -> FrozenLayers:
    """What `engine.reuse_frozen` comes to with this model and these texts."""
    config = experiment.config
    if not config.engine.reuse_frozen or not config.model.freeze_layers:
        return FrozenLayers()
    again = "frozen layers are computed at every step"
    if not config.model.freeze_embeddings:
        return FrozenLayers(problem=f"{again}: the embeddings are trained")
    trunk = FrozenTrunk.of(experiment.model.module)
    if trunk is None:
        return FrozenLayers(problem=f"{again}: they have dropout, or are of another architecture")
    tokens = sum(len(store.tokens) for store in experiment.token_stores.values())
    size = 4 * trunk.width * tokens
    if size > MOST_BYTES:
        found = f"to keep what they make of {tokens:,} tokens takes {size / 2**30:.1f} GiB"
        return FrozenLayers(problem=f"{again}: {found}, more than {MOST_BYTES / 2**30:.0f}")
    return FrozenLayers(trunk)


def read_ahead(experiment: Experiment, trunk: FrozenTrunk) -> dict[str, TokenStore]:
    """The token stores with what `trunk` makes of them; the model then begins behind it.

    Texts are read with the threads of a client, so that the bits are those of any number of
    workers, and kept in the cache.
    """
    from fednlp.environment import processor

    config, device = experiment.config, experiment.device
    made_by = {
        **trunk.identity(),
        "precision": config.precision,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "threads": client_threads(config.engine),
    }

    def read(split: str) -> TokenStore:
        store = experiment.token_stores[split].to(device)
        if not console.is_terminal:
            console.print(f"frozen layers read {store.examples:,} {split} examples, once")
        with _threads(client_threads(config.engine)), Progress(
            console=console, transient=True, disable=not console.is_terminal
        ) as bar:  # fmt: skip
            line = bar.add_task(f"frozen layers read {split}", total=store.examples)
            at_once = all_threads(config.engine) // client_threads(config.engine)
            return trunk.read(
                experiment.task,
                store,
                partial(bar.advance, line),
                at_once if device.type == "cpu" else 1,
                partial(autocast, config.precision, device),
            )

    stores = {
        split: cached_store(
            {**experiment.store_key(split), "trunk": made_by},
            partial(read, split),
            places.cache_dir(),
        )
        for split in experiment.token_stores
    }
    trunk.install()
    return stores


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Torch's threads for a while; threads that are started meanwhile have them, too."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
