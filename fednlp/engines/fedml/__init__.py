"""A real federation: the server and its clients are processes of their own, FedML carries it.

`engine.name: fedml` runs our own rounds on FedML's communication managers. `as_fedml` is the other
way round: our method, data and model as the objects that FedML's own cross-silo wants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fednlp.config_schema import RunConfig

if TYPE_CHECKING:
    from fednlp.engines.fedml.cross_silo import FedmlParts


def as_fedml(config: RunConfig) -> FedmlParts:
    """FedML's args, data set, model, `ClientTrainer` and `ServerAggregator`, for this rank of MPI.

    All clients take part in every round, each in a process of its own.

    Raises:
        UserError: FedML is not installed, there are not as many processes as clients and one, or
            clients that are not finite are to be left out.
    """
    from fednlp.engines.fedml.cross_silo import parts_of

    return parts_of(config)
