"""What a worker process does: it trains clients and scores batches for the process that leads.

It is told by messages through a pipe, and ends when the pipe does.
"""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import torch

from algorithms.algorithm import State
from fednlp.config_schema import RunConfig
from fednlp.engines.client import Broadcast, ClientRunner, Upload
from fednlp.engines.messages import (
    DECODED,
    STATE,
    WEIGHTS,
    Answer,
    Failure,
    Places,
    Predict,
    Send,
    Setup,
    Train,
)
from fednlp.engines.shared_tensors import SharedTensors
from fednlp.environment import peak_memory
from fednlp.evaluation import predict
from fednlp.experiment import Experiment, token_settings
from fednlp.flat_model import FlatModel
from fednlp.processes import repeatable_kernels
from fednlp.profile import EVALUATION, SET_UP, clock
from fednlp.together.runner import TogetherRunner
from tasks import TASKS
from tasks.token_store import TokenStore


class Worker:
    """One run's parts in a worker process."""

    def __init__(self, setup: Setup) -> None:
        os.environ.update(setup.variables)
        # Its processes would outlive this one, which is ended when the run is.
        os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
        repeatable_kernels()
        torch.set_num_threads(setup.threads)
        clock.running = False
        if setup.profiled:
            clock.start()
        config = RunConfig.model_validate_json(setup.config)
        module = torch.load(setup.module, mmap=True, weights_only=False)
        self.experiment = experiment = Experiment(config)
        experiment.own_kernels = setup.own_kernels
        experiment.prepare(module)
        device = experiment.device
        experiment.task = TASKS[setup.task](setup.labels, token_settings(config))
        experiment.model = FlatModel(module, device)
        experiment.stores = {
            split: TokenStore.load(folder).to(device) for split, folder in setup.stores.items()
        }
        self._runner = ClientRunner.of(experiment)
        trainer = experiment.together.trainer
        self._together = TogetherRunner(self._runner, trainer) if trainer else None
        self._broadcast, self._inbox, self._outbox = (
            SharedTensors(path)
            for path in (setup.files.broadcast, setup.files.inbox, setup.files.outbox)
        )
        self._sent = Broadcast(0, torch.empty(0), {})

    def answer(self, message: Send | Train | Predict) -> Answer:
        clock.skip()
        value: Any = None
        places: Places = {}
        if isinstance(message, Train):
            value, places = self._train(message)
        elif isinstance(message, Predict):
            value = predict(self.experiment, message.split, self._sent.weights, message.indices)
            clock.lap(EVALUATION)
        else:
            received = self._on_device(self._broadcast, message.places)
            self._sent = Broadcast(message.round, received.pop(WEIGHTS), received)
        return Answer(value, places, peak_memory(), clock.take()[0])

    def _train(self, order: Train) -> tuple[list[Upload], Places]:
        """The uploads without their tensors, and where these lie in the outbox."""
        states: list[State] = [{} for _ in order.assignments]
        for key, tensor in self._on_device(self._inbox, order.states).items():
            position, _, name = key.partition("/")
            states[int(position)][name] = tensor
        if self._together is None:
            (assignment,), (state,) = order.assignments, states
            uploads = [self._runner.run(self._sent, assignment, state)]
        else:
            uploads = self._together.run_many(self._sent, order.assignments, states)
        tensors: State = {}
        for number, upload in enumerate(uploads):
            for kind, held in ((DECODED, upload.decoded), (STATE, upload.state or {})):
                tensors |= {f"{number}/{kind}/{name}": t for name, t in held.items()}
        places = self._outbox.put(tensors)
        clock.lap(SET_UP)
        bare = [replace(u, decoded={}, state=None if u.state is None else {}) for u in uploads]
        return bare, places

    def close(self) -> None:
        for shared in (self._broadcast, self._inbox, self._outbox):
            shared.close()

    def _on_device(self, shared: SharedTensors, places: Places) -> dict[str, torch.Tensor]:
        device = self.experiment.device
        return {name: tensor.to(device) for name, tensor in shared.get(places).items()}


def main(connection: Connection) -> None:
    """Answers every message until the other end closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the leading process decides
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    worker: Worker | None = None
    while True:
        try:
            message = connection.recv()
        except (EOFError, OSError):
            return
        try:
            if isinstance(message, Setup):
                if worker is not None:
                    worker.close()
                worker = Worker(message)
                answer: Answer | Failure = Answer(None, {}, peak_memory(), {})
            else:
                assert worker is not None
                answer = worker.answer(message)
        except Exception as error:
            answer = Failure.of(error)
        try:
            connection.send(answer)
        except OSError:
            return
