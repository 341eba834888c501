"""Frozen first layers are computed once per text, not at every step (tasks/frozen_trunk.py)."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from fednlp import cpu_kernels, places
from fednlp.processes import all_threads
from fednlp.step import autocast
from tasks.frozen_trunk import FrozenTrunk
from tasks.token_store import TokenStore, cached_store

if TYPE_CHECKING:
    from fednlp.experiment import Experiment

MOST_BYTES = 2**31  # of what is kept, all splits together
TOLD_EVERY = 20.0  # seconds


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

    Each batch of texts is read by one thread, so that bits do not depend on how many there are.
    """
    from fednlp.environment import processor

    config, device = experiment.config, experiment.device
    made_by = {
        **trunk.identity(),
        "precision": config.precision,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "kernels": _own_kernels() if experiment.uses_own_kernels else "",
    }

    def read(split: str) -> TokenStore:
        store = experiment.token_stores[split].to(device)
        at_once = all_threads(config.engine)
        with _one_thread():
            return trunk.read(
                experiment.task,
                store,
                _Told(split, store.examples),
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


class _Told:
    """Says on stderr what is read, and how far it is every now and then."""

    def __init__(self, split: str, examples: int) -> None:
        self._what, self._all, self._done = f"{examples:,} {split} examples", examples, 0
        self._at = time.monotonic()
        print(f"frozen layers read {self._what}, once", file=sys.stderr)

    def __call__(self, examples: int) -> None:
        self._done += examples
        if time.monotonic() - self._at > TOLD_EVERY:
            self._at = time.monotonic()
            print(f"{self._what}: {100 * self._done // self._all} %", file=sys.stderr)


@cache
def _own_kernels() -> str:
    """sha256 of the sources that decide how our kernels round."""
    folder, digest = Path(cpu_kernels.__file__).parent, hashlib.sha256()
    for file in sorted(folder.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch computes with one for a while, also in threads that are started meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
