"""Signs of life: every process writes a count into the store each second, and "left" at its end."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

from fednlp.engines.torchrun.line import Line
from fednlp.errors import ProcessLost

BEAT = 1.0  # seconds
SURVEY = 5.0  # seconds, in which a living process beats, also on a busy machine
LEFT = b"left"


class Heart:
    """Beats in a thread of its own, over a connection of its own: others block while they wait.

    agent: whether this process is a child of torchrun, and is to end where torchrun does.
    """

    def __init__(self, line: Line, rank: int, agent: bool) -> None:
        self._line, self._rank, self._over = line, rank, threading.Event()
        self._parent = os.getppid() if agent else None
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        line.store.set(_key(rank), "0")
        self._thread.start()

    def _run(self) -> None:
        count = 0
        while not self._over.wait(BEAT):
            if self._parent not in (None, os.getppid()):  # killed, so it could not end this process
                os.kill(os.getpid(), signal.SIGTERM)
                return
            count += 1
            try:
                self._line.store.set(_key(self._rank), str(count))
            except RuntimeError:  # the store is gone, which whoever waits for it will tell
                return

    def stop(self) -> None:
        """This process leaves of its own accord."""
        self._over.set()
        self._thread.join(timeout=2 * BEAT)
        with suppress(RuntimeError):
            self._line.store.set(_key(self._rank), LEFT)


class Pulse:
    """The beats of others, as far as they were looked at.

    limit: seconds without a beat. then: what a user is told to do about a loss.
    """

    def __init__(self, line: Line, names: list[str], limit: float) -> None:
        self._line, self._names, self.limit = line, names, limit
        self.then = "the same command continues"
        self.gone: set[int] = set()  # ranks of which lost() was told
        self._seen: dict[int, tuple[bytes, float]] = {}

    def check(self, ranks: list[int], doing: str) -> None:
        """Raises ProcessLost: one of them has left, or gives no sign of life for the limit."""
        for rank, beat in zip(ranks, self._beats(ranks), strict=True):
            before, since = self._seen.get(rank, (b"", 0.0))
            if beat == LEFT:
                raise self.lost([rank], doing)
            if beat != before:
                self._seen[rank] = beat, time.monotonic()
            elif time.monotonic() - since > self.limit:
                raise self.lost([rank], doing)

    def silent(self, ranks: list[int]) -> list[int]:
        """Those who neither beat nor say that they leave: killed, or cut off."""
        first = dict(zip(ranks, self._beats(ranks), strict=True))
        waiting = [rank for rank in ranks if first[rank] != LEFT]
        until = time.monotonic() + SURVEY
        while waiting and time.monotonic() < until:
            time.sleep(BEAT / 5)
            now = zip(waiting, self._beats(waiting), strict=True)
            waiting = [rank for rank, beat in now if beat == first[rank]]
        return waiting

    def lost(self, ranks: list[int], doing: str) -> ProcessLost:
        self.gone |= {*ranks}
        named = ", ".join(f"rank {rank} on {self._names[rank]}" for rank in ranks)
        return ProcessLost(named, f"was lost in {doing}", fix=self.then)

    def _beats(self, ranks: list[int]) -> list[bytes]:
        keys = [_key(rank) for rank in ranks]
        return self._line.ask(lambda store: store.multi_get(keys)) if keys else []


def _key(rank: int) -> str:
    return f"beat/{rank}"
