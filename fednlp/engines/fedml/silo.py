"""A silo: the process that holds some of the clients, trains them and keeps their states.

A client's examples never leave it; what it sends is the method's payload, as the method encodes it.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import torch

from algorithms.algorithm import State
from fednlp.config_schema import RunConfig
from fednlp.engines.client import Assignment, Broadcast, ClientRunner, client_place
from fednlp.engines.fedml.handshake import facts
from fednlp.engines.fedml.heartbeat import Heartbeat
from fednlp.engines.fedml.hub import FedMLCommManager
from fednlp.engines.fedml.messages import (
    CONNECTED,
    MOST_TEXT,
    Answer,
    Body,
    ClientState,
    Failed,
    Hello,
    Ready,
    Train,
    body_of,
    message,
    tensors_of,
)
from fednlp.engines.fedml.silo_states import SiloStates
from fednlp.engines.fedml.transport import SERVER, Transport, Unreachable
from fednlp.errors import UserError, one_line
from fednlp.experiment import Experiment, check_components, prepare_process
from fednlp.identity import federated_identity
from fednlp.processes import client_threads


class Part:
    """What this process needs of one run."""

    def __init__(self, config: RunConfig, out: Path) -> None:
        prepare_process(config)
        torch.set_num_threads(client_threads(config.engine))
        self.experiment = Experiment(config)
        identity = federated_identity(self.experiment)
        self.facts = facts(self.experiment, identity)
        self.runner = ClientRunner.of(self.experiment)
        self.states = SiloStates(out / "silos" / identity.trajectory[:12])

    def train(self, asked: Train, received: State) -> tuple[Answer, State]:
        """Raises UserError: the client's state is not here, or its training fails."""
        began, device = time.perf_counter(), self.experiment.device
        place = client_place(asked.client, asked.round)
        received = {name: tensor.to(device) for name, tensor in received.items()}
        if asked.state < 0:
            state = self.runner.method.init_client(self.experiment.initial_weights, place)
        else:
            held = self.states.load(asked.client, asked.state)
            if held is None:
                found = f"its state after round {asked.state + 1} is not in {self.states.folder}"
                fix = "put it back, or begin again with another --out"
                raise UserError(place, found, fix=fix)
            state = {name: tensor.to(device) for name, tensor in held.items()}
        examples = self.experiment.partition.splits["train"].client(asked.client)
        sent = Broadcast(asked.round, self.experiment.initial_weights, received)
        made = self.runner.contribution(sent, Assignment(asked.client, examples, 1.0), state)
        if made.problem is None and made.state is not None:
            keep = {asked.state, *asked.keep}
            self.states.store(asked.client, asked.round, made.state, keep)
        seconds = time.perf_counter() - began
        return Answer.of(asked, made.work, seconds, made.problem), made.payload


class Silo(FedMLCommManager):
    """where: the configuration's place, for messages. out: the folder for states."""

    def __init__(self, config: RunConfig, where: str, out: Path, transport: Transport) -> None:
        self.config, self.where, self.out, self.transport = config, where, out, transport
        self._parts: dict[str, Part] = {}  # of the run that goes on, by its id
        self._asked: deque[tuple[Train, State]] = deque()
        super().__init__(None, None, transport.rank, 0, "fednlp")
        self.register_message_receive_handlers()

    def _init_manager(self) -> None:
        self.com_manager = self.transport
        self.com_manager.add_observer(self)

    def register_message_receive_handlers(self) -> None:
        for kind, handler in (
            (CONNECTED, self._connected),
            ("invite", self._invited),
            ("welcome", self._welcomed),
            ("refused", self._refused),
            ("train", self._train),
            ("collect", self._collect),
            ("state", self._keep),
            ("rejected", self._unreadable),
            ("bye", self._bye),
            ("lost", self._lost),
        ):
            self.register_message_receive_handler(kind, handler)

    def receive_message(self, msg_type: Any, msg_params: Any) -> None:
        handler = self.message_handler_dict.get(msg_type)
        if handler is not None:
            handler(body_of(msg_params), tensors_of(msg_params))

    def run(self) -> None:
        """Until the server ends the federation.

        Raises:
            UserError: it refuses, has ended with an error, or gives no sign of life.
        """
        heartbeat = Heartbeat(self.transport, self.config.engine.timeout)
        try:
            while not self.transport.stopped:
                waits = not self._asked
                if self.transport.handle_one(1.0 if waits else 0.0):
                    continue  # all that has come is known before the next client is trained
                if self._asked:
                    self._train_next(*self._asked.popleft())
                else:
                    self._require_life()
        finally:
            heartbeat.end()

    def _require_life(self) -> None:
        """Raises UserError: it is connected, and nothing came from the server for too long."""
        seconds = self.config.engine.timeout

        def silent() -> bool:
            return bool(self.transport.peers()) and self.transport.silence(SERVER) > seconds

        # a process that was stopped itself first takes what has come meanwhile
        if silent() and not self.transport.handle_one(1.0) and silent():
            found = f"no sign of life for {seconds:g} s"
            raise UserError("the server", found, fix="start it; the same command continues")

    def _tell(self, body: Body, tensors: State | None = None) -> None:
        try:
            self.send_message(message(body, self.transport.rank, SERVER, tensors))
        except Unreachable as error:
            self._say(f"could not send: {error}")  # the server asks again, or does without

    def _say(self, text: str) -> None:
        print(f"silo {self.transport.rank}: {text}", file=sys.stderr)

    # handlers --------------------------------------------------------------------------------

    def _connected(self, _: Any, __: Any) -> None:
        self._asked.clear()
        self._tell(Hello(name=f"{socket.gethostname()}, process {os.getpid()}"))

    def _invited(self, body: Any, _: Any) -> None:
        self._asked.clear()
        if body.run not in self._parts:
            config = self.config.model_copy(update={"seed": body.seed})
            check_components(config, self.where)
            self._parts = {body.run: Part(config, self.out)}
        self._tell(Ready(run=body.run, facts=self._parts[body.run].facts))

    def _welcomed(self, _: Any, __: Any) -> None:
        if self.config.engine.backend == "GRPC":
            self._say("takes part")

    def _refused(self, body: Any, _: Any) -> None:
        fix = "make them equal"
        raise UserError(f"{self.where}: the server", "; ".join(body.differences), fix=fix)

    def _train(self, body: Any, tensors: Any) -> None:
        if body.run in self._parts:
            while self._asked and self._asked[0][0].round != body.round:
                self._asked.popleft()  # of a round that is over
            self._asked.append((body, tensors))

    def _train_next(self, asked: Train, received: State) -> None:
        try:
            self._tell(*self._parts[asked.run].train(asked, received))
        except (ValueError, OSError) as error:
            line = one_line(error)
            if line is None:
                raise
            place: dict[str, Any] = asked.model_dump(include={"run", "round", "client"})
            self._tell(Failed(**place, why=line[:MOST_TEXT]))

    def _collect(self, body: Any, _: Any) -> None:
        place: dict[str, Any] = body.model_dump()
        part = self._parts.get(body.run)
        state = part.states.load(body.client, body.round) if part is not None else None
        why = None
        if state is None:
            why = f"it is not in {part.states.folder}" if part is not None else "of another run"
        try:
            self._tell(ClientState(**place, why=why), state)
        except UserError as error:
            self._tell(ClientState(**place, why=str(error)[:MOST_TEXT]))

    def _keep(self, body: Any, tensors: Any) -> None:
        """What the server's folder has counts, whatever an earlier run has left here."""
        if body.run in self._parts:
            self._parts[body.run].states.put(body.client, body.round, tensors)

    def _bye(self, body: Any, _: Any) -> None:
        self.transport.stop_receive_message()
        if self.config.engine.backend == "GRPC" and body.why is None:
            self._say("the server has ended")
        if body.why is not None:
            raise UserError("the server has ended", body.why)

    def _unreadable(self, body: Any, _: Any) -> None:
        found = f"what it sends cannot be read: {body.why}"
        raise UserError("the server", found, fix="make program and engine.message_limit equal")

    def _lost(self, body: Any, _: Any) -> None:
        raise UserError("the server", f"cannot be reached ({body.why})", fix="see docs/fedml.md")
