"""A server and a silo of gRPC in one process, which talk over a socket."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager

from fednlp.engines.fedml.grpc import GrpcServer, GrpcSilo
from fednlp.engines.fedml.messages import Hello, body_of, message
from fednlp.engines.fedml.transport import SERVER

LIMIT = 1 << 20
WAIT = 60.0  # seconds, for what takes a moment


class Seen:
    """Notes what a transport hands on: kind and body."""

    def __init__(self, transport) -> None:
        self.transport, self.all = transport, []
        transport.add_observer(self)

    def receive_message(self, kind, made) -> None:
        self.all.append((str(kind), body_of(made)))

    def until(self, kind: str):
        """The next message of a kind."""
        start, end = len(self.all), time.monotonic() + WAIT
        while time.monotonic() < end:
            self.transport.handle_one(0.2)
            for found, body in self.all[start:]:
                if found == kind:
                    return body
        raise AssertionError(f"no '{kind}' among {self.all}")


@contextmanager
def connection(limit=LIMIT, server_tls=None, silo_tls=None, patience=WAIT):
    """A server and a silo that are connected by a socket."""
    with closing(GrpcServer("127.0.0.1:0", 1, limit, server_tls)) as server:
        host = "localhost" if silo_tls else "127.0.0.1"
        with closing(GrpcSilo(1, f"{host}:{server.port}", LIMIT, patience, silo_tls)) as silo:
            yield server, silo


def connected(silo: GrpcSilo) -> None:
    end = time.monotonic() + WAIT
    while not silo.peers():
        assert time.monotonic() < end
        time.sleep(0.01)


def hello(silo: GrpcSilo) -> None:
    silo.send_message(message(Hello(name="a silo"), 1, SERVER))
