"""A configuration as FedML's own objects, for its cross-silo over MPI.

    parts = as_fedml(configuration.load(Path("mine.yaml")))
    parts.run()

started by mpirun with one process for the server and one for each client. FedML carries messages
as it always does, pickles included; only MPI is offered, whose processes one mpirun starts.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from algorithms.algorithm import State
from fednlp.cohorts import Cohorts
from fednlp.config_schema import RunConfig
from fednlp.engines.client import Assignment, Broadcast, ClientRunner, client_place
from fednlp.engines.fedml.library import import_fedml
from fednlp.engines.fedml.roles import mpi_world
from fednlp.engines.sums import weighted_sum
from fednlp.errors import UserError
from fednlp.evaluation import Evaluator
from fednlp.experiment import Experiment, prepare_process
from fednlp.hooks import Hooks
from fednlp.nonfinite import nonfinite
from fednlp.processes import client_threads

_core, _cross_silo, _reports = import_fedml("core", "cross_silo", "core.mlops")
ClientTrainer: Any = _core.ClientTrainer
ServerAggregator: Any = _core.ServerAggregator


class Trainer(ClientTrainer):
    """One client, of the process's rank; what it sends is the method's payload."""

    def __init__(self, experiment: Experiment, args: Any) -> None:
        super().__init__(experiment.model.module, args)
        self.experiment, self.runner = experiment, ClientRunner.of(experiment)
        self._received: State = {}
        self._payload: State = {}
        self._state: State | None = None

    def get_model_params(self) -> OrderedDict[str, Tensor]:
        return OrderedDict(self._payload)

    def set_model_params(self, model_parameters: OrderedDict[str, Tensor]) -> None:
        self._received = dict(model_parameters)

    def train(self, train_data: Any, device: Any, args: Any) -> None:
        """train_data: [n] int64 indices into the training store.

        Raises:
            UserError: its loss, upload or state is not finite.
        """
        round, client = int(args.round_idx), int(self.id)
        if self._state is None:
            place = client_place(client, round)
            first = self.runner.method.init_client(self.experiment.initial_weights, place)
            self._state = first
        sent = Broadcast(round, self.experiment.initial_weights, self._received)
        assignment = Assignment(client, train_data, 1.0)
        made = self.runner.contribution(sent, assignment, self._state)
        if made.problem is not None:
            raise UserError(client_place(client, round), made.problem, fix="lower client.lr")
        self._payload, self._state = made.payload, made.state or {}


class Aggregator(ServerAggregator):
    """The method's server. weights: [P], the global model after the rounds so far.

    scores: metrics on validation, by round (from 0) that FedML tested.
    """

    def __init__(self, experiment: Experiment, args: Any) -> None:
        super().__init__(experiment.model.module, args)
        self.experiment, self.cohorts = experiment, Cohorts(experiment)
        self.method = Hooks(experiment.algorithm)
        self.weights = experiment.initial_weights
        self.server = self.method.init_server(self.weights, experiment.model.layout)
        self.scores: dict[int, dict[str, float]] = {}

    def get_model_params(self) -> OrderedDict[str, Tensor]:
        return OrderedDict(self.method.download(self.weights, self.server, "server"))

    def set_model_params(self, model_parameters: OrderedDict[str, Tensor]) -> None:
        """What `aggregate` gave: the server has it."""

    def aggregate(
        self, raw_client_model_or_grad_list: list[tuple[float, OrderedDict[str, Tensor]]]
    ) -> OrderedDict[str, Tensor]:
        """Payloads by client; they are summed in the order of our cohort, as our engines do.

        Raises:
            UserError: one is not finite.
        """
        round = int(self.args.round_idx)
        cohort = self.cohorts.draw(round)
        how = self.experiment.config.engine.aggregation
        total = weighted_sum(how, self.weights.device)
        for assignment in cohort:
            place = client_place(assignment.client, round)
            payload = dict(raw_client_model_or_grad_list[assignment.client][1])
            decoded = self.method.decode(payload, self.weights, place)
            problem = nonfinite(decoded, "upload")
            if problem is not None:
                raise UserError(place, problem, fix="lower client.lr")
            total.add(decoded, assignment.weight)
        mean = total.mean(sum(a.weight for a in cohort))
        told = self.cohorts.describe(round, cohort)
        place = f"server, round {round + 1}"
        self.weights = self.method.server_update(self.weights, mean, self.server, told, place)
        return self.get_model_params()

    def test(self, test_data: Any, device: Any, args: Any) -> tuple[float, None, None, None]:
        """The primary metric on validation, whatever FedML holds out."""
        metrics = Evaluator(self.experiment).validate(self.weights)
        self.scores[int(args.round_idx)] = metrics
        return metrics[self.experiment.task.primary_metric], None, None, None

    def test_all(self, *_: Any) -> bool:
        return False


@dataclass(frozen=True)
class FedmlParts:
    """What FedML's runner is given, in its order; a process has a trainer or an aggregator."""

    args: Any
    device: torch.device
    dataset: tuple[Any, ...]
    model: torch.nn.Module
    trainer: Trainer | None
    aggregator: Aggregator | None

    def runner_arguments(self) -> tuple[Any, ...]:
        """Of `fedml.FedMLRunner`."""
        whole = self.args, self.device, list(self.dataset), self.model
        return *whole, self.trainer, self.aggregator

    def run(self) -> None:
        """What `FedMLRunner.run` does, without the trace that it leaves in the home folder."""
        with quiet():
            if self.args.role == "server":
                _cross_silo.Server(*self.runner_arguments()[:4], self.aggregator)
            else:
                _cross_silo.Client(*self.runner_arguments()[:5])


@contextmanager
def quiet() -> Iterator[None]:
    """FedML warns of what it cannot report to a cloud that nobody asked for."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def parts_of(config: RunConfig) -> FedmlParts:
    if config.client.on_nonfinite != "stop":
        found = f"is {config.client.on_nonfinite}; FedML's cross-silo can leave no client out"
        raise UserError("client.on_nonfinite", found, "stop", "or run it with engine.name=fedml")
    comm = mpi_world(config.engine)
    rank, silos = comm.Get_rank(), comm.Get_size() - 1
    prepare_process(config)
    torch.set_num_threads(client_threads(config.engine))
    local = config.engine.model_copy(update={"name": "local"})  # what is scored is scored here
    experiment = Experiment(config.model_copy(update={"engine": local}))
    clients = len(experiment.sampler.clients)
    wanted = config.sampling.clients_per_round
    if not clients == wanted == silos == experiment.partition.clients:
        found = f"{clients} clients, {wanted} a round, {silos} client processes"
        fix = f"mpirun -n {clients + 1}, sampling.clients_per_round={clients}"
        raise UserError("FedML's cross-silo", found, "one number", fix)
    train = experiment.partition.splits["train"]
    examples = {k: train.client(k) for k in range(clients)}
    sizes = {k: len(indices) for k, indices in examples.items()}
    args = _arguments(config, experiment, comm, rank, clients)
    labels = len(experiment.corpus.labels)
    dataset = (sum(sizes.values()), 0, None, None, sizes, examples, dict.fromkeys(examples), labels)
    return FedmlParts(
        args,
        experiment.device,
        dataset,
        experiment.model.module,
        Trainer(experiment, args) if rank else None,
        None if rank else Aggregator(experiment, args),
    )


def _arguments(
    config: RunConfig, experiment: Experiment, comm: Any, rank: int, clients: int
) -> SimpleNamespace:
    """What a `fedml_config.yaml` and `fedml.init`, which reports to a cloud, would give."""
    args = SimpleNamespace(
        training_type="cross_silo",
        scenario="horizontal",
        backend="MPI",
        federated_optimizer="FedAvg",  # the name of FedML's message flow; the method is ours
        dataset=experiment.corpus.name,
        model=experiment.model_card.name,
        client_num_in_total=clients,
        client_num_per_round=clients,
        comm_round=config.rounds,
        round_idx=0,
        frequency_of_the_test=config.evaluation.every,
        random_seed=config.seed,
        comm=comm,
        rank=rank,
        process_id=rank,
        worker_num=clients,
        role="client" if rank else "server",
        client_id_list=json.dumps([rank] if rank else list(range(1, clients + 1))),
        run_id="0",
        enable_wandb=False,
        enable_tracking=False,
        using_mlops=False,
    )
    _reports.MLOpsStore.mlops_args = args
    return args
