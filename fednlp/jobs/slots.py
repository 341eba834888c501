"""Processes that do jobs side by side, each one job after another.

A job's run folder is written by its process alone. An interrupt is for the leading process, which
ends the others; when that process ends in whatever way, its pipes close and the others end too.
Either is as a kill to a run: the same command continues it.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from fednlp import places
from fednlp.engines.nursery import worker_context
from fednlp.errors import UserError
from fednlp.jobs.job import Job
from fednlp.jobs.work import Ended, Moved, Order, Said, work
from fednlp.processes import share_machine


class Slot:
    """A process for jobs, as the leading one sees it. job: what it is doing."""

    def __init__(self, at_once: int) -> None:
        context = worker_context()
        ours, theirs = context.Pipe()
        self.connection: Connection = ours
        self.job: Job | None = None
        # not a daemon, which could have no worker processes of its own
        self.process: BaseProcess = context.Process(
            target=serve, args=(theirs, at_once, places.variables())
        )
        self.process.start()
        theirs.close()

    def begin(self, job: Job, order: Order) -> None:
        self.job = job
        with suppress(OSError):  # `receive` tells
            self.connection.send(order)

    def receive(self) -> Moved | Said | Ended:
        """What it says next; an error of its job where it has ended."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self.process.join(timeout=5)
            if self.process.is_alive():
                self.process.kill()
                self.process.join()
            code = self.process.exitcode
            how = f"was ended by signal {-code}" if code and code < 0 else f"ended with code {code}"
            fix = "a smaller --jobs needs less memory; the same command continues"
            return Ended(error=str(UserError("job process", how, fix=fix)))

    @property
    def alive(self) -> bool:
        return self.process.is_alive()

    def stop(self) -> None:
        """Asks it to end; `join` waits until it has."""
        self.process.terminate()

    def join(self) -> None:
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


def serve(connection: Connection, at_once: int, variables: dict[str, str]) -> None:
    """What a job process does: orders in, reports out, until the leading process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    places.adopt(variables)
    share_machine(at_once)
    orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(connection, orders), daemon=True).start()
    while True:
        order = orders.get()
        connection.send(work(order, connection.send))


def _read(connection: Connection, orders: queue.SimpleQueue[Order]) -> None:
    while True:
        try:
            orders.put(connection.recv())
        except (EOFError, OSError):
            os._exit(1)
