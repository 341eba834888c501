"""What a silo's clients keep from round to round, on the silo's own disk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch

from algorithms.algorithm import State
from fednlp.results.files import not_written, write_tensors

_NAME = re.compile(r"(\d{6,})-(\d{6,})\.safetensors")


@dataclass(frozen=True)
class SiloStates:
    """folder: of one trajectory, so that a longer run finds what a shorter one left; a file per
    client and round (from 0)."""

    folder: Path

    def load(self, client: int, round: int) -> State | None:
        """The state that a round left; None if it is not here or not readable."""
        try:
            return safetensors.torch.load_file(self._path(client, round))
        except (OSError, safetensors.SafetensorError):
            return None

    def store(self, client: int, round: int, state: State, keep: set[int]) -> None:
        """Writes the state after a round; of its others only those of `keep` stay.

        Raises:
            UserError: it cannot be written.
        """
        self.put(client, round, state)
        for path in self.folder.glob(f"{client:06d}-*.safetensors"):
            match = _NAME.fullmatch(path.name)
            if match and int(match[2]) not in {*keep, round}:
                path.unlink(missing_ok=True)

    def put(self, client: int, round: int, state: State) -> None:
        """Writes a state beside the others of the client.

        Raises:
            UserError: it cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise not_written(self.folder, error) from None
        write_tensors(self._path(client, round), state)

    def _path(self, client: int, round: int) -> Path:
        return self.folder / f"{client:06d}-{round:06d}.safetensors"
