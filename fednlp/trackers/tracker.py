"""What the harness asks of a tracker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Metrics = Mapping[str, float]  # finite numbers under the names of `fednlp.trackers.names`


@dataclass(frozen=True)
class Told:
    """What a tracker is told of a run when it begins.

    Attributes:
        key: of the trajectory and of the directory that the run folder is in, 20 hexadecimal
            digits. All runs of one key are one run of the tracker, which a longer one continues.
        name: for people; letters, digits, dots and dashes.
        group: the name without the seed.
        rounds: planned.
        directory: where a local store may lie.
        parameters: the configuration with dotted keys; plain values, lists as JSON.
        tags: identity, kind, task.
    """

    key: str
    name: str
    group: str
    rounds: int
    directory: Path
    parameters: Mapping[str, str | int | float | bool]
    tags: Mapping[str, str]


class Tracker(Protocol):
    """One run of a tracker. Any exception switches it off and leaves the training alone."""

    def begin(self, run: Told, history: Sequence[Metrics]) -> None:
        """Opens the run of `run.key` so that it shows the rounds of `history`, and no others.

        history: of the rounds 1, 2, ... that are committed. What an earlier process had sent is
        among them, or was never committed.
        """

    def round(self, number: int, metrics: Metrics) -> None:
        """Adds one more committed round; `number` counts from 1 and is the step."""

    def finish(self, summary: Metrics) -> None:
        """The result of the finished run."""

    def close(self) -> None:
        """Called last, whether the run has finished or not; afterwards all is on disk."""
