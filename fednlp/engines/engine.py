"""What an engine is to the rest of the harness (design 3.6).

An engine computes the weighted mean of a cohort's uploads, and predictions of a weight vector. It
is built once per experiment, by `fednlp.engines.build`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from algorithms.algorithm import State
from fednlp.engines.client import Assignment
from fednlp.local_training import Work


@dataclass
class RoundOutcome:
    """mean: the weighted mean of the decoded payloads; bytes and seconds over the whole cohort.

    skipped: clients that were left out of the mean, whose work is in `lost` instead of `work`.
    missing, rejected: further clients that were left out, and why: they gave no answer, or one that
    cannot be used. stray: what came from somewhere and belongs to no client of the round.
    """

    mean: State = field(default_factory=dict)
    work: Work = field(default_factory=Work)
    lost: Work = field(default_factory=Work)
    skipped: list[int] = field(default_factory=list)
    missing: dict[int, str] = field(default_factory=dict)
    rejected: dict[int, str] = field(default_factory=dict)
    stray: list[str] = field(default_factory=list)
    bytes_up: int = 0
    bytes_down: int = 0
    device_seconds: float = 0.0

    @property
    def left_out(self) -> set[int]:
        return {*self.skipped, *self.missing, *self.rejected}

    @property
    def record(self) -> dict[str, Any]:
        """What a round's record says of clients that were left out; nothing where none can be."""
        told: dict[str, Any] = {"skipped": self.skipped}
        for name in ("missing", "rejected"):
            if found := getattr(self, name):
                told[name] = {str(client): why for client, why in found.items()}
        return {**told, "stray": self.stray} if self.stray else told


class ClientStates(Protocol):
    """Where what clients keep from round to round is kept."""

    def load(self, client: int, round: int) -> State:
        """A client's state before this round (from 0), on the device of the run."""

    def store(self, client: int, round: int, state: State) -> None:
        """Its state after this round."""


class Engine(Protocol):
    """Runs the clients of one experiment, wherever they are."""

    @property
    def peak_memory(self) -> int:
        """Bytes, of processes other than this one, all together."""

    def run_round(
        self,
        round: int,
        weights: Tensor,
        server: State,
        cohort: list[Assignment],
        states: ClientStates,
        on_client: Callable[[], None] = lambda: None,
    ) -> RoundOutcome:
        """Trains the cohort from `weights` [P] and returns the weighted mean of its uploads.

        round: from 0. server: the method's server state. on_client: is called once per client.

        Raises:
            NotFinite: a client's loss, upload or state is not finite and must be; that of the
                first in cohort order.
            UserError: of a client's training; a process that is lost.
        """

    def predict(self, split: str, weights: Tensor, indices: np.ndarray) -> list:
        """One prediction of `weights` [P] per index [n] of a split.

        Raises:
            UserError: a process that is lost.
        """

    def finish(self, states: ClientStates) -> None:
        """All rounds are done: states that are kept elsewhere come into the run's folder."""

    def notes(self) -> list[str]:
        """What a reader of the result must know of how it was carried."""

    def facts(self) -> dict[str, Any]:
        """What `environment.json` says of it; {} for this process and its workers.

        `aggregation` says how uploads are summed, if that is not in cohort order in float32: a run
        continues bit for bit only under the same.
        """

    def close(self) -> None:
        """Ends what serves this experiment alone; the engine is not used again."""
