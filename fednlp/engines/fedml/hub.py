"""The server's end of a federation: it knows its silos, and hands on what they send."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from fednlp.engines.fedml.handshake import Facts, differences
from fednlp.engines.fedml.heartbeat import Heartbeat
from fednlp.engines.fedml.library import import_fedml
from fednlp.engines.fedml.messages import (
    MOST_TEXT,
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


class Exchange(Protocol):
    """What is going on with the silos: a round, or states that are collected."""

    def back(self, silo: int) -> None: ...
    def gone(self, silo: int) -> None: ...
    def receive(self, silo: int, body: Body, tensors: dict[str, Any]) -> None: ...
    def unreadable(self, silo: int, why: str) -> None: ...


@dataclass
class Silo:
    """name: host and process. ready: whether it has agreed to the run that goes on.

    absent: it is gone, or was waited for in vain: no round that can do without it waits again.
    quiet: it could not be reached or heard, while its connection stands; it is back with a word.
    why: what keeps it from being ready. late: clients and rounds that it was asked for and that
    nobody waits for any more.
    """

    name: str = ""
    connected: bool = False
    ready: bool = False
    absent: bool = False
    quiet: bool = False
    why: str = "has not joined"
    late: set[tuple[int, int]] = field(default_factory=set)


class Hub(FedMLCommManager):
    """silos: processes that hold clients, ranks 1, 2, ...; client k belongs to 1 + k mod silos.

    strays: what came from a silo and could be given to nobody.
    """

    def __init__(self, transport: Transport, silos: int, *, strict: bool, patience: float) -> None:
        """From now on silos hear from this process, whatever it does.

        strict: a silo that disagrees ends the run, since it cannot be started alone.
        patience: seconds that a silo may take to join, and that it may be silent.
        """
        self.transport, self.strict, self.patience = transport, strict, patience
        self.silos = {rank: Silo() for rank in range(1, silos + 1)}
        self.strays: list[str] = []
        self.exchange: Exchange | None = None
        self._run: tuple[Invite, Facts] | None = None
        super().__init__(None, None, SERVER, silos + 1, "fednlp")
        self.register_message_receive_handlers()
        self._heartbeat = Heartbeat(transport, patience)

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

    def begin(
        self, run: str, seed: int, facts: Facts, all_needed: bool, preparation: float
    ) -> None:
        """Has the silos agree to a run, those that have come back as well.

        all_needed: else one silo will do, and those that are absent are not waited for.
        preparation: seconds that one which is connected may take to read its data.

        Raises:
            UserError: silos have not joined in time, all or any; one disagrees and cannot do else.
        """
        if self._run is None or self._run[0].run != run:
            self._run = Invite(run=run, seed=seed), facts
            for rank, silo in self.silos.items():
                silo.ready = False
                if silo.connected:
                    self.tell(rank, self._run[0])
        deadline, longest = Deadline(self.patience), Deadline(max(self.patience, preparation))
        while self.handle(0.0) and not deadline.over:
            pass  # who has come and who has gone since the last round
        while awaited := self._awaited(all_needed):
            over = {True: longest, False: deadline}
            late = [rank for rank in awaited if over[self.silos[rank].connected].over]
            if late and (all_needed or len(late) == len(self.silos)):
                names = ", ".join(self.place(rank) for rank in late)
                seconds = over[self.silos[late[0]].connected].seconds
                found = f"{names} of {len(self.silos)} did not join within {seconds:g} s"
                raise UserError("engine.silos", found, fix="start them; see docs/fedml.md")
            for rank in late:
                self.silos[rank].absent = True
            self.handle(0.5)

    def handle(self, seconds: float) -> bool:
        """Hands on the next message, if one comes in time, and notes who has fallen silent."""
        came = self.transport.handle_one(seconds)
        reached = self.transport.peers()
        for rank, silo in self.silos.items():
            silent = self.transport.silence(rank) > self.patience
            if silo.connected and silent:
                self._gone(rank, f"no sign of life for {self.patience:g} s")
                silo.quiet = True
            elif silo.quiet and not silent and rank in reached:
                silo.connected, silo.absent, silo.quiet = True, False, False
                if self._run is not None:
                    self.tell(rank, self._run[0])
        return came

    def tell(self, rank: int, body: Body, tensors: dict[str, Any] | None = None) -> bool:
        """Whether it could be sent; if not, the silo counts as gone."""
        try:
            self.send_message(message(body, SERVER, rank, tensors))
        except Unreachable as error:
            self._gone(rank, str(error))
            self.silos[rank].quiet = rank in self.transport.peers()
            return False
        return True

    def close(self, why: str | None = None, *, farewell: bool = True) -> None:
        """Ends the federation. farewell: silos end too; else they wait for another server."""
        self._heartbeat.end()
        self.transport.error = why
        if farewell:
            bye = Bye(why=why and why[:MOST_TEXT])
            self.transport.part(lambda rank: message(bye, SERVER, rank))
        self.transport.close()

    # what silos tell -------------------------------------------------------------------------

    def _hello(self, rank: int, body: Any, _: Any) -> None:
        silo = self.silos[rank]
        silo.name, silo.connected, silo.ready = body.name, True, False
        silo.absent, silo.quiet, silo.why = False, False, "it began again"
        silo.late.clear()
        if self.exchange is not None:
            self.exchange.gone(rank)
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
            self.silos[rank].absent = True
            return
        self.silos[rank].ready, self.silos[rank].absent = True, False
        self.tell(rank, Welcome(run=body.run))
        if self.exchange is not None:
            self.exchange.back(rank)

    def _lost(self, rank: int, body: Any, _: Any) -> None:
        self._gone(rank, body.why)

    def _gone(self, rank: int, why: str) -> None:
        silo = self.silos[rank]
        silo.connected = silo.ready = silo.quiet = False
        silo.absent, silo.why = True, why
        silo.late.clear()
        if self.exchange is not None:
            self.exchange.gone(rank)

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

    def _awaited(self, all_needed: bool) -> list[int]:
        """The silos that a round waits for before it begins."""
        unready = [rank for rank, silo in self.silos.items() if not silo.ready]
        if all_needed or len(unready) == len(self.silos):
            return unready
        return [rank for rank in unready if not self.silos[rank].absent]


def described(body: Body) -> str:
    """A message about a client, in words; its round counted from 1."""
    kind = type(body).__name__.lower()
    client, round = getattr(body, "client", None), getattr(body, "round", None)
    return f"{kind} of client {client}, round {round + 1}" if round is not None else kind
