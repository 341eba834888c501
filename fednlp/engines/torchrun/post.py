"""What rank 0 tells the others, and what they answer: JSON in torch's store.

Messages are numbered. Rank 0 tells one to all; each of the others answers it, and rank 0 has read
all answers before it tells the next that wants some. Waiting lasts as long as the other lives.
"""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from fednlp.engines.torchrun.arrival import connected
from fednlp.engines.torchrun.heart import Heart, Pulse
from fednlp.engines.torchrun.membership import Membership
from fednlp.errors import ProcessLost

SLICE = timedelta(seconds=0.5)  # of a wait: signals are seen in between
FAREWELL = timedelta(seconds=10)  # for processes that may be training still
Message = dict[str, Any]


class Post:
    """place: in the store, which no earlier start shares. limit: seconds."""

    def __init__(self, me: Membership, place: str, limit: float) -> None:
        self.me, self.number, self.doing = me, -1, "the start"
        self._store = dist.PrefixStore(f"{place}/post", connected(me, limit))
        self._heart = Heart(dist.PrefixStore(f"{place}/post", connected(me, limit)), me.rank)
        self._store.set(f"name/{me.rank}", socket.gethostname())
        names = [f"name/{rank}" for rank in range(me.size)]
        self._store.wait(names, timedelta(seconds=limit))
        self.names = [name.decode() for name in self._store.multi_get(names)]
        self.pulse = Pulse(self._store, self.names, limit)
        self.others = [rank for rank in range(me.size) if rank != me.rank]

    # rank 0 ----------------------------------------------------------------------------------

    def tell(self, message: Message) -> None:
        self.number += 1
        self._store.set(f"tell/{self.number}", json.dumps(message))

    def answers(self) -> list[Any]:
        """Of ranks 1, 2, ... to the last message.

        Raises:
            ProcessLost: one of them is.
        """
        keys = [f"answer/{self.number}/{rank}" for rank in self.others]
        if not keys:
            return []
        found = self._read(keys, self.others)
        for key in (f"tell/{self.number}", *keys):  # all have read it
            self._store.delete_key(key)
        return [json.loads(data) for data in found]

    def end(self, failed: bool) -> None:
        """The last message. Where this process serves the store, it stays until it is read."""
        with suppress(RuntimeError, ProcessLost):
            self.tell({"kind": "end", "failed": failed})
            if not failed:
                self.answers()
            elif self.me.serves:
                keys = [f"answer/{self.number}/{rank}" for rank in self.others]
                self._store.wait(keys, FAREWELL)

    def hand(self, rank: int, value: Any) -> None:
        """Adds something for one rank to the last message."""
        self._store.set(f"hand/{self.number}/{rank}", json.dumps(value))

    # the others ------------------------------------------------------------------------------

    def hear(self) -> Message:
        """The next message of rank 0.

        Raises:
            ProcessLost: rank 0 is.
        """
        self.number += 1
        return json.loads(self._read([f"tell/{self.number}"], [0])[0])

    def answer(self, value: Any) -> None:
        self._store.set(f"answer/{self.number}/{self.me.rank}", json.dumps(value))

    def handed(self) -> Any:
        """What rank 0 adds for this one."""
        key = f"hand/{self.number}/{self.me.rank}"
        data = self._read([key], [0])[0]
        self._store.delete_key(key)
        return json.loads(data)

    # all -------------------------------------------------------------------------------------

    def mark(self, name: str) -> None:
        """Says that something is done, which others await."""
        self._store.set(f"mark/{self.number}/{name}", "")

    def await_mark(self, name: str) -> None:
        self._read([f"mark/{self.number}/{name}"], self.others)

    def check(self) -> None:
        """Raises ProcessLost: another process is."""
        self.pulse.check(self.others, self.doing)

    def lost(self) -> list[int]:
        """The ranks that have ended without a word; 0, if the store has too."""
        try:
            return self.pulse.silent(self.others)
        except RuntimeError:
            return [0] if self.me.rank else []

    def tells_of(self, lost: list[int]) -> bool:
        """Whether it is this process that tells the user: the first of those that are left."""
        return self.me.rank == min({*range(self.me.size)} - {*lost})

    def leave(self) -> None:
        self._heart.stop()

    def _read(self, keys: list[str], ranks: list[int]) -> list[bytes]:
        while True:
            try:
                self._store.wait(keys, SLICE)
                return self._store.multi_get(keys)
            except dist.DistStoreError:  # the slice is over
                self._check_store(ranks)
            except RuntimeError:
                raise self._store_gone() from None

    def _check_store(self, ranks: list[int]) -> None:
        try:
            self.pulse.check(ranks, self.doing)
        except RuntimeError:
            raise self._store_gone() from None

    def _store_gone(self) -> ProcessLost:
        return self.pulse.lost([0], self.doing)
