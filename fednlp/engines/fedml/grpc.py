"""gRPC as the carrier: only the server listens, each silo keeps one stream to it, both ways.

FedML's own manager sends pickles to a port that every process opens on all interfaces. Here pieces
of frames travel as they are, the server listens at the address it is given and nowhere else, and a
silo needs no open port. A stream that breaks is told to both sides; a silo connects again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import grpc

from fednlp.engines.fedml.codec import BadFrame
from fednlp.engines.fedml.framing import Assembler
from fednlp.engines.fedml.messages import pack
from fednlp.engines.fedml.outbox import Outbox
from fednlp.engines.fedml.transport import SERVER, Deadline, Transport, Unreachable
from fednlp.errors import UserError

_SERVICE, _METHOD = "fednlp.Federation", "Exchange"
_ALIVE = 10_000  # milliseconds between signs of life, and until one that is missing ends a stream
_OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.so_reuseport", 0),  # a port has one server
    ("grpc.keepalive_time_ms", _ALIVE),
    ("grpc.keepalive_timeout_ms", _ALIVE),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", _ALIVE // 2),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),  # a server that ends soon is still found
]
_CLOSING = 5.0  # seconds for what is still under way
_AGAIN = 0.5  # seconds between attempts to connect
_OPEN = 3.0  # seconds that a server is there at least, if silos are still to be told that it ends
_LAST = 1.0  # and from its last word on


class GrpcServer(Transport):
    """address: host:port to listen at; port 0 takes a free one, `port` tells which."""

    def __init__(self, address: str, silos: int, limit: int, tls: Any = None) -> None:
        super().__init__(SERVER, limit)
        self.silos = silos
        self._streams: dict[int, Outbox] = {}
        self._opened = Deadline(_OPEN)
        self._farewell: Callable[[int], Any] | None = None
        self._told: set[int] = set()  # silos that were sent it
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(max_workers=2 * silos + 4)
        self._server = grpc.server(self._threads, options=_OPTIONS)
        exchange = grpc.stream_stream_rpc_method_handler(self._exchange)
        handler = grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: exchange})
        self._server.add_generic_rpc_handlers((handler,))
        try:
            if tls is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, tls)
        except RuntimeError:
            self.port = 0
        if self.port == 0:
            self._threads.shutdown(wait=False)
            raise UserError(
                "engine.server", f"cannot listen at {address}", "a free port of an own address"
            )
        self._server.start()

    def _exchange(self, pieces: Iterator[bytes], context: Any) -> Iterator[bytes]:
        """A silo's stream: what it sends is read beside what it is sent."""
        told = dict(context.invocation_metadata()).get("rank", "")
        rank = int(told) if told.isdecimal() and len(told) < 7 else 0
        if not 1 <= rank <= self.silos:
            context.abort(
                grpc.StatusCode.PERMISSION_DENIED,
                f"rank {told[:20]!r} is none of the {self.silos} silos",
            )
        outbox = Outbox()
        self.hears(rank)
        with self._lock:
            before = self._streams.get(rank)
            self._streams[rank] = outbox
            if self._farewell is not None:
                self._bid(rank)
        if before is not None:
            before.close()  # the newest stream of a silo is the silo
        context.add_callback(outbox.close)
        context.send_initial_metadata(())
        reader = threading.Thread(target=self._read, args=(rank, outbox, pieces), daemon=True)
        reader.start()
        yield from outbox

    def _read(self, rank: int, outbox: Outbox, pieces: Iterator[bytes]) -> None:
        assembler, why = Assembler(self.limit), "its stream ended"
        try:
            for piece in pieces:
                self.hears(rank)
                frame = assembler.add(piece)
                if frame is not None:
                    self.arrived(rank, frame)
        except BadFrame as error:
            self.rejects(rank, str(error))
            why = "what it sent was no message"
        except Exception as error:  # gRPC raises bare ones where a stream breaks
            why = f"its stream broke ({type(error).__name__})"
        outbox.close()
        with self._lock:
            current = self._streams.get(rank) is outbox
            if current:
                del self._streams[rank]
        if current:
            self.lost(rank, why)

    def _send(self, receiver: int, frame: bytes) -> None:
        with self._lock:
            stream = self._streams.get(receiver)
        if stream is None:
            raise Unreachable("not connected")
        stream.put(frame)

    def peers(self) -> list[int]:
        with self._lock:
            return [rank for rank, stream in self._streams.items() if not stream.closed]

    def busy(self, peer: int) -> bool:
        stream = self._streams.get(peer)
        return stream is not None and stream.busy

    def part(self, made: Callable[[int], Any]) -> None:
        """Also to silos that come until all have been told, or for a moment."""
        with self._lock:
            self._farewell = made
            for rank in self._streams:
                self._bid(rank)
        last = Deadline(max(_LAST, self._opened.left))
        while len(self._told) < self.silos and not last.over:
            time.sleep(0.05)

    def _bid(self, rank: int) -> None:
        assert self._farewell is not None
        with suppress(Unreachable):
            self._streams[rank].put(pack(self._farewell(rank)))
            self._told.add(rank)

    def close(self) -> None:
        self._inbox.close()
        with self._lock:
            streams = list(self._streams.values())
        for stream in streams:
            stream.close()
        self._server.stop(_CLOSING).wait(2 * _CLOSING)
        self._threads.shutdown(wait=False)


class GrpcSilo(Transport):
    """Keeps a stream to the server at `address`, and makes it again for `patience` seconds."""

    def __init__(
        self, rank: int, address: str, limit: int, patience: float, tls: Any = None
    ) -> None:
        super().__init__(rank, limit)
        self.address, self.patience = address, patience
        if tls is None:
            self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        else:
            self._channel = grpc.secure_channel(address, tls, options=_OPTIONS)
        self._exchange = self._channel.stream_stream(f"/{_SERVICE}/{_METHOD}")
        self._outbox: Outbox | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="fedml-grpc", daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        deadline = Deadline(self.patience)
        while not self._closing.is_set():
            why, met = self._talk()
            if met:
                deadline = Deadline(self.patience)
            if deadline.over or self._closing.is_set():
                self.lost(SERVER, why)
                return
            self._closing.wait(_AGAIN)

    def _talk(self) -> tuple[str, bool]:
        """One stream, to its end: why it ended, and whether there was a server."""
        outbox, met = Outbox(), False
        assembler = Assembler(self.limit)
        call = self._exchange(iter(outbox), metadata=(("rank", str(self.rank)),))
        why = "the server ended the stream"
        try:
            call.initial_metadata()
            if call.is_active():
                met, self._outbox = True, outbox
                self.hears(SERVER)
                self.connected()
            for piece in call:
                self.hears(SERVER)
                frame = assembler.add(piece)
                if frame is not None:
                    self.arrived(SERVER, frame)
        except BadFrame as error:
            self.rejects(SERVER, str(error))
            why = "what the server sent was no message"
        except grpc.RpcError as error:
            code, details = error.code(), error.details() or ""
            why = details if code == grpc.StatusCode.PERMISSION_DENIED else code.name.lower()
        finally:
            self._outbox = None
            outbox.close()
            call.cancel()
        return why, met

    def _send(self, receiver: int, frame: bytes) -> None:
        outbox = self._outbox
        if outbox is None:
            raise Unreachable("not connected")
        outbox.put(frame)

    def peers(self) -> list[int]:
        return [] if self._outbox is None else [SERVER]

    def busy(self, peer: int) -> bool:
        outbox = self._outbox
        return outbox is not None and outbox.busy

    def close(self) -> None:
        self._closing.set()
        self._inbox.close()
        outbox = self._outbox
        if outbox is not None:
            outbox.close()  # the server then ends the stream
        self._thread.join(_CLOSING)
        with suppress(ValueError):
            self._channel.close()
