"""What the leading process and its workers tell each other; tensors go through shared files."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fednlp.engines.client import Assignment
from fednlp.engines.shared_tensors import Place
from fednlp.errors import UserError, is_user_error

# How tensors of several origins are told apart in one file; names go after the last of these.
WEIGHTS, DECODED, STATE = "/weights", "decoded", "state"
Places = dict[str, Place]


@dataclass(frozen=True)
class Files:
    """Shared files: what all workers are sent, what one is sent, and what one gives back."""

    broadcast: Path
    inbox: Path
    outbox: Path


@dataclass(frozen=True)
class Setup:
    """All that a worker needs of a run. The model and the token stores are in files.

    variables: of the environment, which may have changed since the process began.
    """

    config: str  # JSON of a RunConfig
    task: str
    labels: list[str]
    module: Path
    own_kernels: bool
    stores: dict[str, Path]
    threads: int
    variables: dict[str, str]
    profiled: bool
    files: Files


@dataclass(frozen=True)
class Send:
    """A round begins, or weights are to be scored: what lies in the broadcast file."""

    round: int
    places: Places


@dataclass(frozen=True)
class Train:
    """One client, or several that are trained together; their states lie at "position/name"."""

    assignments: list[Assignment]
    states: Places


@dataclass(frozen=True)
class Predict:
    split: str
    indices: np.ndarray  # [n] int64


@dataclass(frozen=True)
class Answer:
    """What a `Train` gives (uploads, whose tensors lie at `places`), or a `Predict`."""

    value: Any
    places: Places
    peak_memory: int  # bytes
    seconds: dict[str, float]  # by phase, where the run is profiled


@dataclass(frozen=True)
class Failure:
    """An exception: the four fields of a user's error, else none and a traceback."""

    fields: tuple[str, ...]
    trace: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """The exception that is being handled."""
        names = ("where", "found", "expected", "fix") if is_user_error(error) else ()
        return cls(tuple(str(getattr(error, name)) for name in names), traceback.format_exc())

    def error(self) -> Exception:
        """What to raise in the leading process."""
        if self.fields:
            return UserError(*self.fields)
        return RuntimeError(f"a worker failed:\n{self.trace}")
