"""What clients keep from round to round, in a run's folder."""

from __future__ import annotations

from dataclasses import dataclass

from algorithms.algorithm import State
from fednlp.engines.client import client_place
from fednlp.experiment import Experiment
from fednlp.hooks import Hooks
from fednlp.results.run_folder import RunFolder


@dataclass(frozen=True)
class StoredStates:
    """An `engines.engine.ClientStates`: a file per client, committed with its round."""

    experiment: Experiment
    folder: RunFolder
    method: Hooks

    def load(self, client: int, round: int) -> State:
        """On the device; the method's own first state where the folder has none."""
        state = self.folder.client_state(client)
        if state is None:
            place = client_place(client, round)
            return self.method.init_client(self.experiment.initial_weights, place)
        return {name: tensor.to(self.experiment.device) for name, tensor in state.items()}

    def store(self, client: int, round: int, state: State) -> None:
        self.folder.put_client_state(client, round, state)
