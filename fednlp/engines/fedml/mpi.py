"""MPI as the carrier: mpirun starts all processes, rank 0 is the server.

FedML's own manager sends pickles; here a message is a buffer of bytes, whose length is known before
it is received. As in FedML a thread receives, so that a silo that trains takes what it is sent.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from fednlp.engines.fedml.transport import SERVER, Deadline, Transport, Unreachable

_TAG = 7  # of our messages
_POLL, _SELDOM = 0.0001, 0.002  # seconds between looks: soon after a message, and at most
_LATE = 0.02  # share of the time since the last message by which the next may be seen later
_AT_ONCE = 0.02  # seconds in which a message is taken by a process that waits for it
_PARTING = 20.0  # seconds that the server, when it ends, waits for silos to end


class MpiTransport(Transport):
    """comm: a communicator of mpi4py, all of whose processes make one of these.

    patience: seconds that a process may take to receive what it is sent.
    """

    def __init__(self, comm: Any, limit: int, patience: float) -> None:
        super().__init__(comm.Get_rank(), limit)
        self.patience = patience
        from mpi4py import MPI

        self._mpi, self._comm = MPI, comm
        self._closing, self._given_up = threading.Event(), list[tuple[Any, bytes]]()
        self._stirred = time.monotonic()  # when a message last came or went
        self._receiver = threading.Thread(target=self._receive, name="fedml-mpi", daemon=True)
        self._receiver.start()
        self.connected()

    def peers(self) -> list[int]:
        return list(range(1, self._comm.Get_size())) if self.rank == SERVER else [SERVER]

    def _send(self, receiver: int, frame: bytes) -> None:
        request = self._comm.Isend([frame, self._mpi.BYTE], dest=receiver, tag=_TAG)
        deadline, at_once = Deadline(self.patience), Deadline(_AT_ONCE)
        while not request.Test():
            if deadline.over:
                request.Cancel()
                self._given_up.append((request, frame))  # MPI may still read it
                raise Unreachable(f"not received within {self.patience:g} s")
            # A long message goes in pieces, and each needs a look of the sender.
            time.sleep(_POLL if at_once.over else 0.0)
        self._stirred = time.monotonic()

    def _receive(self) -> None:
        status = self._mpi.Status()
        while not self._closing.is_set():
            found = self._comm.Improbe(self._mpi.ANY_SOURCE, _TAG, status)
            if found is None:  # looks cost whoever trains here
                quiet = _LATE * (time.monotonic() - self._stirred)
                time.sleep(min(max(_POLL, quiet), _SELDOM))
                continue
            self._stirred = time.monotonic()
            size, sender = status.Get_count(self._mpi.BYTE), status.Get_source()
            self.hears(sender)
            if size > self.limit:
                self._drop(found)
                self.rejects(sender, f"a message of {size} bytes, above the limit of {self.limit}")
                continue
            frame = bytearray(size)
            found.Recv([frame, self._mpi.BYTE])
            self.arrived(sender, frame)

    def _drop(self, found: Any) -> None:
        """Receives a message into no memory."""
        try:
            found.Recv([bytearray(0), self._mpi.BYTE])
        except self._mpi.Exception as error:
            if error.Get_error_class() != self._mpi.ERR_TRUNCATE:
                raise

    def close(self) -> None:
        """Waits for the others, since MPI ends in all processes at once; ends those that are lost.

        A silo that is done waits for as long as the server is there.
        """
        self._inbox.close()
        all_here, limit = self._comm.Ibarrier(), Deadline(_PARTING)
        while not all_here.Test():
            lost = self.rank == SERVER or self.silence(SERVER) > 2 * _PARTING
            if limit.over and lost:
                self._abort()
            time.sleep(_SELDOM)
        self._closing.set()
        self._receiver.join(timeout=5)

    def _abort(self) -> None:
        """Ends all processes, this one too, which therefore says its error itself."""
        if self.error is not None:
            print(f"error: {self.error}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        self._comm.Abort(0 if self.error is None else 2)
