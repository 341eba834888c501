"""Weights & Biases, offline unless `WANDB_MODE` says otherwise: no login, no network.

    wandb sync runs/trackers/wandb/offline-run-*

Offline, a continued run is written anew under its old id and takes the place of its earlier file:
synchronised, each round is there once. Online, W&B's own last step says where to go on.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from fednlp.trackers.tracker import Metrics, Told


class WeightsAndBiases:
    """A history row per round; the result is the summary."""

    def __init__(self) -> None:
        self._run: Any = None
        self._finished = False

    def begin(self, run: Told, history: Sequence[Metrics]) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when it is imported
        import wandb

        mode = os.environ.get("WANDB_MODE", "offline")
        if mode == "online" and not wandb.api.api_key:
            raise RuntimeError("WANDB_MODE is online, but nobody is logged in; run wandb login")
        store = Path(os.environ.get("WANDB_DIR", run.directory))
        if mode == "offline":
            for earlier in (store / "wandb").glob(f"offline-run-*-{run.key}"):
                shutil.rmtree(earlier)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "fednlp-bench"),
            id=run.key,
            name=run.name,
            group=run.group,
            job_type=run.tags["kind"],
            dir=str(store),
            mode=cast(Any, mode),
            resume=None if mode == "offline" else "allow",
            reinit="create_new",
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                disable_code=True,
                x_disable_meta=True,
                x_disable_stats=True,
                x_save_requirements=False,
            ),
        )
        logging.getLogger("wandb").setLevel(logging.CRITICAL)  # its steps: pages, on a full disk
        self._run.config.update({**run.tags, **run.parameters}, allow_val_change=True)
        self._next = self._run.starting_step
        for number, metrics in enumerate(history, start=1):
            self.round(number, metrics)

    def round(self, number: int, metrics: Metrics) -> None:
        if number >= self._next:
            self._run.log(dict(metrics), step=number, commit=True)

    def finish(self, summary: Metrics) -> None:
        self._run.summary.update(dict(summary))
        self._finished = True

    def close(self) -> None:
        if self._run is not None:
            run, self._run = self._run, None
            run.finish(exit_code=0 if self._finished else 1)
