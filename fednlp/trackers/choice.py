"""The trackers by name. Their libraries are optional and imported only when one begins."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from fednlp.errors import UserError, nearest
from fednlp.trackers.tracker import Tracker

NAMES = ("tensorboard", "wandb", "mlflow")  # of a tracker, its module and its extra


def require(names: Iterable[str]) -> None:
    """Raises UserError for a name that is unknown, or whose library is not installed."""
    for name in names:
        if name not in NAMES:
            raise UserError("trackers", f"found '{name}'", fix=nearest(name, list(NAMES)))
        if find_spec(name) is None:
            raise UserError(
                "trackers", f"{name} is not installed", fix=f"pip install -e '.[{name}]'"
            )


def make(name: str) -> Tracker:
    if name == "tensorboard":
        from fednlp.trackers.tensorboard import TensorBoard

        return TensorBoard()
    if name == "wandb":
        from fednlp.trackers.wandb import WeightsAndBiases

        return WeightsAndBiases()
    from fednlp.trackers.mlflow import MLflow

    return MLflow()
