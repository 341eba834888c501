"""What FedML's communication managers have in common here: an inbox, observers, and our codec."""

from __future__ import annotations

import queue
import time
from abc import abstractmethod
from collections import Counter
from typing import Any

from fednlp.engines.fedml.codec import BadFrame
from fednlp.engines.fedml.library import import_fedml
from fednlp.engines.fedml.messages import (
    CONNECTED,
    Body,
    Lost,
    Message,
    Rejected,
    message,
    pack,
    unpack,
)

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

    limit: bytes that a message may have; longer ones are refused unread.
    sent, received: bytes of frames, by kind of message.
    """

    def __init__(self, rank: int, limit: int) -> None:
        self.rank, self.limit = rank, limit
        self.sent: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        self._observers: list[Any] = []
        self._inbox: queue.Queue[Any] = queue.Queue()
        self.stopped = False

    # FedML's contract ------------------------------------------------------------------------

    def send_message(self, msg: Any) -> None:
        """Raises Unreachable."""
        frame = pack(msg)
        if len(frame) > self.limit:
            raise Unreachable(f"a message of {len(frame)} bytes, above the limit of {self.limit}")
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
        """Hands on the next message, if one comes in time."""
        try:
            arrived = self._inbox.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            return False
        for observer in self._observers:
            observer.receive_message(arrived.get_type(), arrived)
        return True

    @abstractmethod
    def _send(self, receiver: int, frame: bytes) -> None:
        """Delivers a frame, or takes it for delivery. Raises Unreachable."""

    @abstractmethod
    def close(self) -> None:
        """Delivers what was sent, as far as that is possible within seconds, and lets all go."""

    def arrived(self, sender: int, frame: bytes | bytearray) -> None:
        try:
            made = unpack(frame, self.limit, sender, self.rank)
        except BadFrame as error:
            self.rejects(sender, str(error))
            return
        self.received[made.get_type()] += len(frame)
        self._inbox.put(made)

    def connected(self) -> None:
        """As FedML's managers do when they are ready."""
        self._inbox.put(Message(CONNECTED, self.rank, self.rank))

    def lost(self, peer: int, why: str) -> None:
        self._tell(peer, Lost(why=why))

    def rejects(self, peer: int, why: str) -> None:
        self._tell(peer, Rejected(why=why))

    def _tell(self, peer: int, body: Body) -> None:
        self._inbox.put(message(body, peer, self.rank))


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
