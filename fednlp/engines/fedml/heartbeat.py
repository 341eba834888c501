"""Signs of life, sent beside whatever a process does: a long training is no absence."""

from __future__ import annotations

import threading
from contextlib import suppress

from fednlp.engines.fedml.messages import Alive, message
from fednlp.engines.fedml.transport import Transport, Unreachable

EVERY = 5.0  # seconds


class Heartbeat:
    """Tells everyone whom a transport reaches that this process is there, from now to `end`.

    patience: seconds of silence after which a peer is sent none, since both sides have given up.
    """

    def __init__(self, transport: Transport, patience: float) -> None:
        self._transport, self._patience = transport, patience
        self._every = min(EVERY, patience / 4)
        self._ends = threading.Event()
        threading.Thread(target=self._beat, name="fedml-alive", daemon=True).start()

    def end(self) -> None:
        self._ends.set()

    def _beat(self) -> None:
        transport = self._transport
        while not self._ends.is_set():
            for peer in transport.peers():
                # what is under way to a peer is a sign of life itself
                if not transport.busy(peer) and transport.silence(peer) <= self._patience:
                    with suppress(Unreachable):
                        transport.send_message(message(Alive(), transport.rank, peer))
            self._ends.wait(self._every)
