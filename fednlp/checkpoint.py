"""Where a federated run stands: the global model and the server's state that its folder holds."""

from __future__ import annotations

from torch import Tensor

from algorithms.algorithm import State
from fednlp.experiment import Experiment
from fednlp.hooks import Hooks
from fednlp.results.run_folder import RunFolder

_SERVER = "server/"  # before the names of the server's tensors, beside `weights`


def checkpoint(weights: Tensor, server: State) -> State:
    """What a folder stores of them. weights: [P]."""
    return {"weights": weights, **{f"{_SERVER}{k}": v for k, v in server.items()}}


def restored(experiment: Experiment, folder: RunFolder, method: Hooks) -> tuple[Tensor, State]:
    """The weights [P] and the server's state after the rounds of a folder, or before any."""
    weights = experiment.initial_weights
    if folder.manifest.state is None:
        return weights, method.init_server(weights, experiment.model.layout)
    state = {
        name: tensor.to(experiment.device)
        for name, tensor in folder.committed(folder.manifest.state).items()
    }
    server = {k.removeprefix(_SERVER): v for k, v in state.items() if k.startswith(_SERVER)}
    return state["weights"], server
