"""The engine that a configuration asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fednlp.engines.engine import Engine
from fednlp.errors import UserError

if TYPE_CHECKING:
    from fednlp.experiment import Experiment


def build_engine(experiment: Experiment) -> Engine:
    """Imports no engine but this one.

    Raises:
        UserError: it cannot run here.
    """
    name = experiment.config.engine.name
    if name == "local":
        from fednlp.engines.local import LocalEngine

        return LocalEngine(experiment)
    if name == "fedml":
        from fednlp.engines.fedml.roles import current_hub

        current_hub()  # before FedML is imported
        from fednlp.engines.fedml.engine import FedmlEngine

        return FedmlEngine(experiment)
    if name == "torchrun":
        from fednlp.engines.torchrun.current import current_group
        from fednlp.engines.torchrun.devices import use_own_device
        from fednlp.engines.torchrun.leader import TorchrunEngine

        group = current_group()
        use_own_device(experiment.config.engine, group.me)
        return TorchrunEngine(experiment, group)
    raise UserError("engine.name", f"'{name}' does not run here", fix="engine.name: local")
