"""What rank 0 tells the others, and what they answer: JSON in torch's store.

Messages are numbered. Rank 0 tells one to all; each of the others answers it, and rank 0 has read
all answers before it tells the next that wants some. Waiting lasts as long as the other lives.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from fednlp.engines.torchrun.arrival import connected
from fednlp.engines.torchrun.heart import SURVEY, Heart, Pulse
from fednlp.engines.torchrun.membership import Membership
from fednlp.errors import ProcessLost

SLICE = timedelta(seconds=0.5)  # of a wait: signals are seen in between
FAREWELL = timedelta(seconds=10)  # for processes that may be training still
Message = dict[str, Any]


class Post:
    """place: in the store, which no earlier start shares. limit: seconds.

    Attributes:
        first_here: the rank that fills the cache of this host, for which the others here wait.
    """

    def __init__(self, me: Membership, place: str, limit: float) -> None:
        self.me, self.number, self.doing = me, -1, "the start"
        self._line = connected(me, limit, place)
        self._heart = Heart(connected(me, limit, place), me.rank, me.agent)
        names = [f"name/{rank}" for rank in range(me.size)]

        def named(store: Any) -> list[bytes]:
            store.set(f"name/{me.rank}", socket.gethostname())
            store.wait(names, timedelta(seconds=limit))
            return store.multi_get(names)

        self.names = [name.decode() for name in self._line.ask(named, more=limit)]
        here = self.names[me.rank]
        self.first_here = self.names.index(here)  # the lowest rank on this host
        self.pulse = Pulse(self._line, self.names, limit)
        self.others = [rank for rank in range(me.size) if rank != me.rank]

    # rank 0 ----------------------------------------------------------------------------------

    def tell(self, message: Message) -> None:
        self.number += 1
        self._write(f"tell/{self.number}", json.dumps(message))

    def answers(self) -> list[Any]:
        """Of ranks 1, 2, ... to the last message.

        Raises:
            ProcessLost: one of them is.
        """
        keys = [f"answer/{self.number}/{rank}" for rank in self.others]
        if not keys:
            return []
        found = self._read(keys, self.others)
        self._delete(f"tell/{self.number}", *keys)  # all have read it
        return [json.loads(data) for data in found]

    def end(self, failed: bool) -> None:
        """The last message. Where this process serves the store, it stays until it is read."""
        with suppress(RuntimeError, ProcessLost):
            self.tell({"kind": "end", "failed": failed})
            if not failed:
                self.answers()
            elif self.me.serves:
                left = [rank for rank in self.others if rank not in self.pulse.gone]
                keys = [f"answer/{self.number}/{rank}" for rank in left]
                self._line.ask(lambda s: s.wait(keys, FAREWELL), more=FAREWELL.total_seconds())

    def hand(self, rank: int, value: Any) -> None:
        """Adds something for one rank to the last message."""
        self._write(f"hand/{self.number}/{rank}", json.dumps(value))

    # the others ------------------------------------------------------------------------------

    def hear(self) -> Message:
        """The next message of rank 0.

        Raises:
            ProcessLost: rank 0 is.
        """
        self.number += 1
        return json.loads(self._read([f"tell/{self.number}"], [0])[0])

    def answer(self, value: Any) -> None:
        self._write(f"answer/{self.number}/{self.me.rank}", json.dumps(value))

    def handed(self) -> Any:
        """What rank 0 adds for this one."""
        key = f"hand/{self.number}/{self.me.rank}"
        data = self._read([key], [0])[0]
        self._delete(key)
        return json.loads(data)

    # all -------------------------------------------------------------------------------------

    def cache_filled(self) -> None:
        """Says, in the first process of a host, that the others here need not wait any more."""
        self._write(f"cache/{self.number}/{self.me.rank}", "")

    def await_cache(self) -> None:
        self._read([f"cache/{self.number}/{self.first_here}"], self.others)

    def allow(self, limit: float) -> None:
        """Another limit, in seconds."""
        self.pulse.limit = self._line.limit = limit

    def check(self) -> None:
        """Raises ProcessLost: another process is."""
        with self._told():
            self.pulse.check(self.others, self.doing)

    def lost(self) -> list[int]:
        """The ranks that have ended without a word; 0, if the store that it serves has too."""
        self._line.limit = min(self._line.limit, SURVEY)  # this process ends
        try:
            return self.pulse.silent(self.others)
        except RuntimeError:
            return [] if self.me.leads or self.me.agent else [0]

    def tells_of(self, lost: list[int]) -> bool:
        """Whether it is this process that tells the user: the first of those that are left."""
        return self.me.rank == min({*range(self.me.size)} - {*lost})

    def leave(self) -> None:
        self._heart.stop()

    def _write(self, key: str, text: str) -> None:
        with self._told():
            self._line.ask(lambda store: store.set(key, text))

    def _delete(self, *keys: str) -> None:
        with self._told():
            self._line.ask(lambda store: [store.delete_key(key) for key in keys])

    def _read(self, keys: list[str], ranks: list[int]) -> list[bytes]:
        def found(store: Any) -> list[bytes]:
            store.wait(keys, SLICE)
            return store.multi_get(keys)

        while True:
            with self._told():
                try:
                    return self._line.ask(found)
                except dist.DistStoreError:  # the slice is over
                    self.pulse.check(ranks, self.doing)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Whoever serves the store may be gone."""
        try:
            yield
        except RuntimeError:
            if not self.me.agent:
                raise self.pulse.lost([0], self.doing) from None
            found = f"torchrun at {self.me.address}:{self.me.port}"
            raise ProcessLost(found, f"was lost in {self.doing}", fix=self.pulse.then) from None
