"""The server's end of a federation: it knows its silos, and hands on what they send."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from fednlp.engines.fedml.handshake import Facts, differences
from fednlp.engines.fedml.library import import_fedml
from fednlp.engines.fedml.messages import (
    Alive,
    Body,
    Bye,
    Invite,
    Refused,
    Welcome,
    body_of,
    message,
    tensors_of,
)
from fednlp.engines.fedml.transport import SERVER, Deadline, Transport, Unreachable
from fednlp.errors import UserError

FedMLCommManager: Any = import_fedml("core.distributed.fedml_comm_manager")[0].FedMLCommManager
_HEARTBEAT = 5.0  # seconds


class Exchange(Protocol):
    """What is going on with the silos: a round, or states that are collected."""

    def back(self, silo: int) -> None: ...
    def gone(self, silo: int, why: str) -> None: ...
    def receive(self, silo: int, body: Body, tensors: dict[str, Any]) -> None: ...
    def unreadable(self, silo: int, why: str) -> None: ...


@dataclass
class Silo:
    """name: host and process. ready: whether it has agreed to the run that goes on."""

    name: str = ""
    connected: bool = False
    ready: bool = False


class Hub(FedMLCommManager):
    """silos: processes that hold clients, ranks 1, 2, ...; client k belongs to 1 + k mod silos.

    strays: what came from a silo and could be given to nobody.
    """

    def __init__(self, transport: Transport, silos: int, *, strict: bool) -> None:
        """strict: a silo that disagrees ends the run, since it cannot be started alone."""
        self.transport, self.strict = transport, strict
        self.silos = {rank: Silo() for rank in range(1, silos + 1)}
        self.strays: list[str] = []
        self.exchange: Exchange | None = None
        self._run: tuple[Invite, Facts] | None = None
        super().__init__(None, None, SERVER, silos + 1, "fednlp")
        self.register_message_receive_handlers()
        self._ends = threading.Event()
        threading.Thread(target=self._live, name="fedml-alive", daemon=True).start()

    def _init_manager(self) -> None:
        self.com_manager = self.transport
        self.com_manager.add_observer(self)

    def register_message_receive_handlers(self) -> None:
        handlers: dict[str, Callable[[int, Any, Any], None]] = {
            "hello": self._hello,
            "ready": self._ready,
            "lost": self._lost,
            "rejected": self._rejected,
            "answer": self._for_exchange,
            "failed": self._for_exchange,
            "state": self._for_exchange,
        }
        for kind, handler in handlers.items():
            self.register_message_receive_handler(kind, handler)

    def receive_message(self, msg_type: Any, msg_params: Any) -> None:
        handler = self.message_handler_dict.get(msg_type)
        sender = int(msg_params.get_sender_id())
        if handler is not None:
            handler(sender, body_of(msg_params), tensors_of(msg_params))
        elif sender != SERVER:
            self.strays.append(f"silo {sender}: a message '{msg_type}'")

    # what the engine asks for ----------------------------------------------------------------

    def silo_of(self, client: int) -> int:
        return 1 + client % len(self.silos)

    def place(self, rank: int) -> str:
        name = self.silos[rank].name
        return f"silo {rank} ({name})" if name else f"silo {rank}"

    def begin(self, run: str, seed: int, facts: Facts, seconds: float, all_needed: bool) -> None:
        """Has the silos agree to a run.

        Raises:
            UserError: silos have not joined in time, all or any; one disagrees and cannot do else.
        """
        if self._run is None or self._run[0].run != run:
            self._run = Invite(run=run, seed=seed), facts
            for rank, silo in self.silos.items():
                silo.ready = False
                if silo.connected:
                    self.tell(rank, self._run[0])
        deadline = Deadline(seconds)
        while not all(silo.ready for silo in self.silos.values()):
            if deadline.over:
                absent = [rank for rank, silo in self.silos.items() if not silo.ready]
                if all_needed or len(absent) == len(self.silos):
                    names = ", ".join(self.place(rank) for rank in absent)
                    found = f"{names} of {len(self.silos)} did not join within {seconds:g} s"
                    raise UserError("engine.silos", found, fix="start them; see docs/fedml.md")
                return
            self.transport.handle_one(min(0.5, deadline.left))

    def tell(self, rank: int, body: Body, tensors: dict[str, Any] | None = None) -> bool:
        """Whether it could be sent; if not, the silo counts as gone."""
        try:
            self.send_message(message(body, SERVER, rank, tensors))
        except Unreachable as error:
            self._lost(rank, body, {}, str(error))
            return False
        return True

    def close(self, why: str | None = None, *, farewell: bool = True) -> None:
        """Ends the federation. farewell: silos end too; else they wait for another server."""
        self._ends.set()
        for rank, silo in self.silos.items():
            if farewell and silo.connected:
                with suppress(Unreachable):
                    self.send_message(message(Bye(why=why), SERVER, rank))
        self.transport.close()

    # what silos tell -------------------------------------------------------------------------

    def _hello(self, rank: int, body: Any, _: Any) -> None:
        silo = self.silos[rank]
        silo.name, silo.connected, silo.ready = body.name, True, False
        if self.exchange is not None:
            self.exchange.gone(rank, "it began again")
        if self._run is not None:
            self.tell(rank, self._run[0])

    def _ready(self, rank: int, body: Any, _: Any) -> None:
        if self._run is None or body.run != self._run[0].run:
            return
        different = differences(body.facts, self._run[1])
        if different:
            self.tell(rank, Refused(differences=differences(self._run[1], body.facts)))
            error = UserError(self.place(rank), "; ".join(different), fix="make them equal")
            if self.strict:
                raise error
            print(f"refused: {error}", file=sys.stderr)
            return
        self.silos[rank].ready = True
        self.tell(rank, Welcome(run=body.run))
        if self.exchange is not None:
            self.exchange.back(rank)

    def _lost(self, rank: int, body: Any, _: Any, why: str = "") -> None:
        silo = self.silos[rank]
        silo.connected = silo.ready = False
        if self.exchange is not None:
            self.exchange.gone(rank, why or body.why)

    def _rejected(self, rank: int, body: Any, _: Any) -> None:
        if self.exchange is not None:
            self.exchange.unreadable(rank, body.why)
        else:
            self.strays.append(f"silo {rank}: {body.why}")

    def _for_exchange(self, rank: int, body: Any, tensors: Any) -> None:
        if self.exchange is None or not self.silos[rank].ready:
            self.strays.append(f"silo {rank}: {described(body)}, which nobody waits for")
        else:
            self.exchange.receive(rank, body, tensors)

    def _live(self) -> None:
        while not self._ends.wait(_HEARTBEAT):
            for rank, silo in self.silos.items():
                if silo.connected:
                    with suppress(Unreachable):
                        self.send_message(message(Alive(), SERVER, rank))


def described(body: Body) -> str:
    """A message about a client, in words; its round counted from 1."""
    kind = type(body).__name__.lower()
    client, round = getattr(body, "client", None), getattr(body, "round", None)
    return f"{kind} of client {client}, round {round + 1}" if round is not None else kind
