"""What clients keep from round to round, in a run's folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from algorithms.algorithm import State
from fednlp.engines.client import client_place
from fednlp.errors import UserError
from fednlp.experiment import Experiment
from fednlp.hooks import Hooks
from fednlp.results.run_folder import RunFolder
from fednlp.results.schema import left_out


@dataclass(frozen=True)
class StoredStates:
    """An `engines.engine.ClientStates`: a file per client, committed with its round."""

    experiment: Experiment
    folder: RunFolder
    method: Hooks

    def load(self, client: int, round: int) -> State:
        """On the device; the method's own first state of a client that has not trained yet.

        Raises:
            UserError: it has trained, and its state is elsewhere.
        """
        of, last = self.folder.client_round(client), self._last.get(client, -1)
        state = self.folder.client_state(client)
        if state is not None and of is not None and of >= last:
            return {name: tensor.to(self.experiment.device) for name, tensor in state.items()}
        place = client_place(client, round)
        first = self.method.init_client(self.experiment.initial_weights, place)
        if first and last >= 0:
            where = f"{self.folder.path}: {place}"
            found = f"has trained in round {last + 1}, and its state after it is not in this folder"
            fix = "continue with the engine that began the run: its clients keep their states"
            raise UserError(where, found, fix=fix)
        return first

    @cached_property
    def _last(self) -> dict[int, int]:
        """The last round (from 0) of each client, of those that were there when the run began and
        in which its upload counted."""
        records = self.folder.rounds()
        return {
            k: record["round"] - 1
            for record in records
            for k in set(record["clients"]) - left_out(record)
        }

    def store(self, client: int, round: int, state: State) -> None:
        self.folder.put_client_state(client, round, state)
