"""What FedML's communication managers have in common here: an inbox, observers, and our codec."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fednlp.engines.fedml.codec import BadFrame
from fednlp.engines.fedml.inbox import Inbox
from fednlp.engines.fedml.library import import_fedml
from fednlp.engines.fedml.messages import (
    CONNECTED,
    Alive,
    Body,
    Lost,
    Message,
    Rejected,
    body_of,
    message,
    pack,
    unpack,
)
from fednlp.errors import UserError

BaseCommunicationManager: Any = import_fedml("core.distributed.communication.base_com_manager")[
    0
].BaseCommunicationManager
SERVER = 0  # its rank; those of silos begin at 1


class Unreachable(Exception):
    """A message cannot be delivered; why, in words."""


class Transport(BaseCommunicationManager):
    """FedML's contract, with messages as frames of our own codec.

    Threads of the transport put what arrives into an inbox; only `receive` and
    `handle_receive_message` hand it on, in the caller's thread.

    limit: bytes that a message may have; longer ones are neither sent nor read.
    error: the line with which this process ends, if it is one.
    sent, received: bytes of frames, by kind of message.
    """

    def __init__(self, rank: int, limit: int) -> None:
        self.rank, self.limit = rank, limit
        self.sent: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        self._observers: list[Any] = []
        self._inbox = Inbox()
        self._heard: dict[int, float] = {}  # when something last came, by peer
        self._since = time.monotonic()
        self.stopped = False
        self.error: str | None = None

    # FedML's contract ------------------------------------------------------------------------

    def send_message(self, msg: Any) -> None:
        """
        Raises:
            Unreachable: it cannot be delivered now.
            UserError: it is above the limit, and will be again.
        """
        frame = pack(msg)
        if len(frame) > self.limit:
            found = f"a message '{msg.get_type()}' has {len(frame)} bytes"
            fix = f"engine.message_limit={len(frame)} or more, on all machines"
            raise UserError("engine.message_limit", found, f"at most {self.limit}", fix)
        self._send(int(msg.get_receiver_id()), frame)
        self.sent[msg.get_type()] += len(frame)

    def add_observer(self, observer: Any) -> None:
        self._observers.append(observer)

    def remove_observer(self, observer: Any) -> None:
        self._observers.remove(observer)

    def handle_receive_message(self) -> None:
        """Hands on what arrives until `stop_receive_message`."""
        while not self.stopped:
            self.handle_one(1.0)

    def stop_receive_message(self) -> None:
        self.stopped = True

    # ours ------------------------------------------------------------------------------------

    def handle_one(self, seconds: float) -> bool:
        """Hands on the next message, if one is there or comes in time."""
        arrived = self._inbox.get(seconds)
        if arrived is None:
            return False
        for observer in self._observers:
            observer.receive_message(arrived.get_type(), arrived)
        return True

    @abstractmethod
    def peers(self) -> list[int]:
        """Whom a message can be sent to now."""

    def busy(self, peer: int) -> bool:
        """Whether something is still under way to it."""
        return False

    def silence(self, peer: int) -> float:
        """Seconds since anything came from it, whether or not it was handled; from the beginning,
        if nothing has."""
        return time.monotonic() - self._heard.get(peer, self._since)

    def part(self, made: Callable[[int], Any]) -> None:
        """Sends the last message, `made` for a receiver, to whom it can."""
        for peer in self.peers():
            with suppress(Unreachable):
                self.send_message(made(peer))

    @abstractmethod
    def _send(self, receiver: int, frame: bytes) -> None:
        """Delivers a frame, or takes it for delivery. Raises Unreachable."""

    @abstractmethod
    def close(self) -> None:
        """Delivers what was sent, as far as that is possible within seconds, and lets all go."""

    def hears(self, peer: int) -> None:
        self._heard[peer] = time.monotonic()

    def arrived(self, sender: int, frame: bytes | bytearray) -> None:
        """A sign of life ends here, so that none waits for a process that is busy."""
        self.hears(sender)
        try:
            made = unpack(frame, self.limit, sender, self.rank)
        except BadFrame as error:
            self.rejects(sender, str(error))
            return
        self.received[made.get_type()] += len(frame)
        if not isinstance(body_of(made), Alive):
            self._inbox.put(sender, made)

    def connected(self) -> None:
        """As FedML's managers do when they are ready."""
        self._inbox.put(self.rank, Message(CONNECTED, self.rank, self.rank))

    def lost(self, peer: int, why: str) -> None:
        self._tell(peer, Lost(why=why))

    def rejects(self, peer: int, why: str) -> None:
        self._tell(peer, Rejected(why=why))

    def _tell(self, peer: int, body: Body) -> None:
        self._inbox.put(peer, message(body, peer, self.rank))


class Deadline:
    """So many seconds from now on."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self._end = seconds, time.monotonic() + seconds

    @property
    def left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    @property
    def over(self) -> bool:
        return self.left <= 0
