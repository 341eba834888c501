"""A federation in one thread: frames go through queues, silos work while the server waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import run

from fednlp.config_schema import RunConfig
from fednlp.engines.fedml import roles
from fednlp.engines.fedml.codec import decode
from fednlp.engines.fedml.hub import Hub
from fednlp.engines.fedml.messages import Answer, body_of
from fednlp.engines.fedml.silo import Silo
from fednlp.engines.fedml.transport import SERVER, Transport, Unreachable
from fednlp.errors import UserError

LIMIT = 1 << 26
FEDERATED = {
    "centralized.budget": "none",
    "sampling.clients_per_round": 3,
    "engine.threads": 1,
    "engine.name": "fedml",
    "engine.timeout": 5.0,
    "engine.round_timeout": 2.0,
}
Alter = Callable[[int, Any, bytes], "list[bytes] | None"]  # silo, body, frame -> frames instead


class LoopServer(Transport):
    def __init__(self) -> None:
        super().__init__(SERVER, LIMIT)
        self.silos: dict[int, LoopSilo] = {}
        self.silent: dict[int, float] = {}  # what `silence` tells

    def _send(self, receiver: int, frame: bytes) -> None:
        silo = self.silos.get(receiver)
        if silo is None:
            raise Unreachable("not connected")
        silo.arrived(SERVER, frame)

    def peers(self) -> list[int]:
        return list(self.silos)

    def silence(self, peer: int) -> float:
        """One thread is all that there is: who waits for it is not silent."""
        return self.silent.get(peer, 0.0)

    def handle_one(self, seconds: float) -> bool:
        if super().handle_one(0.0):
            return True
        for silo in list(self.silos.values()):
            silo.step()
        return super().handle_one(0.001 if self.silos else seconds)

    def close(self) -> None:
        self.silos.clear()


class LoopSilo(Transport):
    def __init__(self, rank: int, server: LoopServer, alter: Alter) -> None:
        super().__init__(rank, LIMIT)
        self.server, self.alter = server, alter
        self.silo: Silo
        self._sending: Any = None
        server.silos[rank] = self
        self.connected()

    def peers(self) -> list[int]:
        return [SERVER]

    def send_message(self, msg: Any) -> None:
        self._sending = body_of(msg)
        super().send_message(msg)

    def _send(self, receiver: int, frame: bytes) -> None:
        sent = self.alter(self.rank, self._sending, frame)
        for one in [frame] if sent is None else sent:
            if len(one) > self.server.limit:  # as the carriers do, unread
                self.server.rejects(self.rank, f"a message of {len(one)} bytes, above the limit")
            else:
                self.server.arrived(self.rank, one)

    def step(self) -> None:
        """Whatever has come, and one client."""
        while self.handle_one(0.0):
            pass
        if self.silo._asked and self.rank in self.server.silos:
            self.silo._train_next(*self.silo._asked.popleft())

    def die(self) -> None:
        del self.server.silos[self.rank]
        self.server.lost(self.rank, "its stream ended")

    def close(self) -> None:
        pass


@dataclass
class Loop:
    """A federation's server and its silos, each with a configuration of its own if need be."""

    hub: Hub
    server: LoopServer
    out: Path
    alter: Alter
    said: list[str] = field(default_factory=list)

    def join(self, rank: int, config: RunConfig) -> LoopSilo:
        transport = LoopSilo(rank, self.server, self.alter)
        transport.silo = Silo(config, "a silo's file", self.out, transport)
        return transport


@contextmanager
def loopback(
    config: RunConfig,
    out: Path,
    silos: int = 2,
    alter: Alter = lambda *_: None,
    strict: bool = True,
) -> Iterator[Loop]:
    """What `roles.federation` does, without processes."""
    server = LoopServer()
    hub = Hub(server, silos, strict=strict, patience=config.engine.timeout)
    roles._hub = hub
    loop = Loop(hub, server, out, alter)
    for rank in hub.silos:
        loop.join(rank, config)
    try:
        yield loop
    finally:
        roles._hub = None
        with_silos, loop.said = list(server.silos.values()), []
        hub._heartbeat.end()
        for transport in with_silos:
            try:
                transport.step()
            except UserError as error:
                loop.said.append(str(error))
        server.close()


def federated(small_config, out, changes=None, silos=2, alter=lambda *_: None):
    config = small_config({**FEDERATED, **(changes or {})})
    with loopback(config, out, silos, alter):
        return run(config, out)


def changed(client, how, rounds=(0,)):
    """Alters what is answered for one client, once per round."""
    done = set()

    def alter(rank, body, frame):
        if not isinstance(body, Answer) or body.client != client or body.round not in rounds:
            return None
        if body.round in done:
            return None
        done.add(body.round)
        fields, tensors = decode(frame, 1 << 30)
        return how(fields, tensors, frame)

    return alter
