"""A job in FedML: its simulators `sp` (one process) and `MPI` with FedAvg_seq (several).

In the environment `fedml`: python -m benchmarks.peers.fedml_run JOB RESULTS for padded batches,
in `sp`; mpiexec -n 3 python -m benchmarks.peers.fedml_run JOB RESULTS for texts, in a server and
two workers.

FedAvg_seq ("Parrot") is what FedML offers for many clients on few processes: every worker trains
its share of the cohort one after another and adds it up. `sp` takes no trainer of one's own; it is
put in place of the one that FedML makes.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from benchmarks.peers.fedml_import import import_fedml
from benchmarks.peers.job import Job, Result, Work, accuracy, arguments, clock, finish, train

_core, _reports, _single, _parallel = import_fedml(
    "core",
    "core.mlops",
    "simulation.sp.fedavg.fedavg_api",
    "simulation.mpi.fedavg_seq.FedAvgSeqAPI",
)


class Trainer(_core.ClientTrainer):
    """FedML's side of local training."""

    def __init__(self, model: Any, settings: Any, job: Job, log: Path | None = None) -> None:
        super().__init__(model, settings)
        self.job, self.work, self.log = job, Work(), log

    def get_model_params(self) -> dict[str, torch.Tensor]:
        # Copies: in its first round `sp` hands out what is being trained.
        return {name: value.clone() for name, value in self.model.state_dict().items()}

    def set_model_params(self, model_parameters: dict[str, torch.Tensor]) -> None:
        self.model.load_state_dict(model_parameters)

    def train(self, train_data: Any, device: Any, args: Any) -> None:
        self.work.add(train(self.model, train_data, self.job))
        if self.log is not None:
            self.log.write_text(json.dumps(asdict(self.work)), encoding="utf-8")


class Aggregator(_core.ServerAggregator):
    """FedML's side of evaluation: after rounds 11, 21, ... and the last, as it counts."""

    def __init__(self, model: Any, settings: Any, job: Job, out: Path) -> None:
        super().__init__(model, settings)
        self.job, self.out, self.result = job, out, Result()

    def get_model_params(self) -> dict[str, torch.Tensor]:
        return self.model.state_dict()

    def set_model_params(self, model_parameters: dict[str, torch.Tensor]) -> None:
        self.model.load_state_dict(model_parameters)

    def test(self, test_data: Any, device: Any, args: Any) -> None:
        validation = self.job.evaluation_loader("validation")
        self.result.validation.append(accuracy(self.model, validation))
        if args.round_idx < self.job.rounds - 1:
            return
        self.result.test = accuracy(self.model, test_data)
        for log in self.out.glob("worker-*.json"):
            self.result.work.add(Work(**json.loads(log.read_text(encoding="utf-8"))))
        finish(self.out, self.job, self.result, self.model.state_dict(), "fedml", "mpi4py")


class GivenCohorts(_single.FedAvgAPI):
    """`sp` with the cohorts and the batches of the job; it notes when its rounds begin."""

    def __init__(self, settings: Any, job: Job, trainer: Trainer) -> None:
        data = dict.fromkeys(range(job.clients))
        sizes = dict(enumerate(job.sizes))
        dataset = [sum(job.sizes), 0, None, None, sizes, data, data, 0]
        super().__init__(settings, torch.device("cpu"), dataset, trainer.model)
        self.job, self.result = job, Result()
        self.model_trainer = trainer
        for client in self.client_list:
            client.model_trainer = trainer

    def _client_sampling(self, round_idx: int, in_total: int, per_round: int) -> list[int]:
        assert self.job.cohorts is not None
        self.result.began.append(clock())
        cohort = self.job.cohorts[round_idx]
        self.train_data_local_dict = {c: self.job.batches(round_idx, c) for c in cohort}
        return cohort

    def _local_test_on_all_clients(self, round_idx: int) -> None:
        """After the last round; by default train and test data of all clients."""
        if round_idx == self.job.rounds - 1:
            self.result.began.append(clock())


class Loaders(dict):
    """Client -> its `DataLoader`, made when it is first trained here."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job

    def __missing__(self, client: int) -> Any:
        return self.job.loader(client)


def settings_of(job: Job, **others: Any) -> SimpleNamespace:
    """What a `fedml_config.yaml` would say. `fedml.init` is not called: it reports to a cloud."""
    settings = SimpleNamespace(
        training_type="simulation",
        federated_optimizer="FedAvg_seq",
        dataset="text",
        model="bert",
        client_num_in_total=job.clients,
        client_num_per_round=job.per_round,
        comm_round=job.rounds,
        frequency_of_the_test=job.evaluation_every,
        enable_wandb=False,
        using_mlops=False,
        round_idx=0,
        **others,
    )
    _reports.MLOpsStore.mlops_args = settings
    return settings


def run_single(job: Job, out: Path) -> None:
    torch.set_num_threads(1)
    settings = settings_of(job, backend="sp")
    trainer = Trainer(job.model(), settings, job)
    simulator = GivenCohorts(settings, job, trainer)
    simulator.train()
    simulator.result.work = trainer.work
    finish(out, job, simulator.result, trainer.get_model_params(), "fedml")


def run_parallel(job: Job, out: Path) -> None:
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    rank, size = comm.Get_rank(), comm.Get_size()
    # Only the server evaluates, and the workers wait meanwhile.
    torch.set_num_threads(1 if rank else job.cores)
    settings = settings_of(job, backend="MPI", comm=comm, rank=rank, worker_num=size - 1)
    model, loaders = job.model(), Loaders(job)
    trainer = Trainer(model, settings, job, out / f"worker-{rank}.json") if rank else None
    aggregator = None if rank else Aggregator(model, settings, job, out)
    test = None if rank else job.evaluation_loader("test")
    sizes = dict(enumerate(job.sizes))
    dataset = [sum(job.sizes), 0, None, test, sizes, loaders, dict.fromkeys(range(job.clients)), 0]
    _parallel.FedML_FedAvgSeq_distributed(
        settings, rank, size, comm, torch.device("cpu"), dataset, model, trainer, aggregator
    )


def main() -> None:
    job, out = arguments()
    torch.manual_seed(0)
    if job.padded:
        run_single(job, out)
    else:
        run_parallel(job, out)


if __name__ == "__main__":
    main()
