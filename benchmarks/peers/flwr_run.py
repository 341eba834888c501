"""A job in Flower: its simulation engine on Ray, message API, strategy FedAvg.

python -m benchmarks.peers.flwr_run JOB RESULTS, in the environment `flwr`.

As "Run simulations" of its documentation says for many small clients: `client-resources.num-cpus`
1, so that there are as many actors as cores, each with one thread. Two things are faster than in
its examples, in its favour: a process builds its model once, and tokenizes a client once. It is
started by `run_simulation`, which spares it the start of a server process that `flwr run` needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import torch
from flwr.app import (
    ArrayRecord,
    ConfigRecord,
    Context,
    Message,
    MessageType,
    MetricRecord,
    RecordDict,
)
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

from benchmarks.peers.job import (
    Job,
    Result,
    Work,
    arguments,
    clock,
    evaluate,
    finish,
    the_job,
    train,
)

client_app = ClientApp()


@client_app.train()
def train_client(message: Message, context: Context) -> Message:
    config: Any = message.content["config"]
    job = the_job(config["job"])
    client = config.get("client", context.node_config["partition-id"])
    torch.set_num_threads(1)
    model = resident_model(config["job"])
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())  # type: ignore[union-attr]
    work = train(model, job.training_data(config["server-round"] - 1, client), job)
    metrics = {"num-examples": job.sizes[client], **asdict(work)}
    content = {"arrays": ArrayRecord(model.state_dict()), "metrics": MetricRecord(metrics)}
    return Message(content=RecordDict(content), reply_to=message)  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def resident_model(folder: str) -> Any:
    torch.manual_seed(0)
    return the_job(folder).model()


class Cohorts(FedAvg):
    """FedAvg that notes when rounds begin, and trains the cohorts of the job where it has them."""

    def __init__(self, job: Job, result: Result) -> None:
        super().__init__(
            fraction_train=job.per_round / job.clients if job.cohorts is None else 1.0,
            fraction_evaluate=0.0,
            min_available_nodes=supernodes(job),
            train_metrics_aggr_fn=self._add_up,
        )
        self.job, self.result = job, result

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        messages = list(super().configure_train(server_round, arrays, config, grid))
        self.result.began.append(clock())  # all nodes are there from the first round on
        if self.job.cohorts is None:
            return messages
        cohort = self.job.cohorts[server_round - 1]
        nodes = sorted(message.metadata.dst_node_id for message in messages)
        return [
            Message(
                content=RecordDict(
                    {"arrays": arrays, "config": ConfigRecord({**config, "client": client})}
                ),
                message_type=MessageType.TRAIN,
                dst_node_id=node,
            )
            for node, client in zip(nodes, cohort, strict=True)
        ]

    def _add_up(self, contents: list[RecordDict], weighted_by: str) -> MetricRecord:
        for content in contents:
            metrics: Any = dict(content["metrics"])
            metrics.pop(weighted_by)
            self.result.work.add(Work(**metrics))
        return MetricRecord({})


def supernodes(job: Job) -> int:
    return job.clients if job.cohorts is None else job.per_round


def main() -> None:
    job, out = arguments()
    server_app, result = ServerApp(), Result()

    @server_app.main()
    def serve(grid: Grid, context: Context) -> None:
        torch.set_num_threads(job.cores)
        model = job.model()

        def after_round(round: int, arrays: ArrayRecord) -> None:
            if job.evaluates(round):
                model.load_state_dict(arrays.to_torch_state_dict())
                evaluate(model, job, round, result)

        found = Cohorts(job, result).start(
            grid=grid,
            initial_arrays=ArrayRecord(model.state_dict()),
            num_rounds=job.rounds,
            train_config=ConfigRecord({"job": str(job.folder)}),
            evaluate_fn=after_round,  # type: ignore[arg-type]
        )
        result.began.append(clock())
        finish(out, job, result, dict(found.arrays.to_torch_state_dict()), "flwr", "ray")

    run_simulation(
        server_app=server_app,
        client_app=client_app,
        num_supernodes=supernodes(job),
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            "init_args": {"num_cpus": 1} if job.padded else {},  # one actor, or one per core
        },
    )


if __name__ == "__main__":
    from benchmarks.peers import flwr_run  # by its name, so that actors import it, too

    flwr_run.main()
