"""One round of a federation: who is asked, who has answered, who is missing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from algorithms.algorithm import State
from fednlp.engines.client import Assignment, Upload, payload_bytes
from fednlp.engines.fedml.hub import Hub, described
from fednlp.engines.fedml.inbox import MOST
from fednlp.engines.fedml.messages import Answer, Body, ClientState, Failed, Train
from fednlp.engines.fedml.transport import Deadline

AHEAD = 2  # clients that a silo has been sent, so that it never waits for the next
_STRAYS = 20  # that a round tells


class Rejected(Exception):
    """An answer that cannot be used; why, in words."""


@dataclass
class FederatedRound:
    """An `Exchange`. All but the round's own clients is a stray.

    ask: what a client is told. kept: the state that it needs, if its silo may lack it. accept:
    makes an upload of an answer, or raises Rejected. needed: answers that the round can do with.
    failed: clients, by position, whose own silo tells that they cannot be trained.
    """

    hub: Hub
    cohort: list[Assignment]
    received: State
    ask: Callable[[int], Train]
    kept: Callable[[Train], State | None]
    accept: Callable[[Answer, State], Upload]
    needed: int
    seconds: float
    uploads: dict[int, Upload] = field(default_factory=dict)  # by position in the cohort
    missing: dict[int, str] = field(default_factory=dict)
    rejected: dict[int, str] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)
    stray: list[str] = field(default_factory=list)
    sends: int = 0
    answered: int = 0

    def __post_init__(self) -> None:
        self._deadline = Deadline(self.seconds)
        self._held = MOST * len(self.hub.silos)  # messages that the inbox can hold
        self._todo: dict[int, deque[int]] = {rank: deque() for rank in self.hub.silos}
        self._asked: dict[int, list[int]] = {rank: [] for rank in self.hub.silos}
        for position, assignment in enumerate(self.cohort):
            self._todo[self.hub.silo_of(assignment.client)].append(position)

    def in_order(self) -> Iterator[tuple[Assignment, Upload | None]]:
        """The cohort's uploads; None for whoever is missing or rejected."""
        self.hub.exchange = self
        try:
            for rank in self.hub.silos:
                self._dispatch(rank)
            for position, assignment in enumerate(self.cohort):
                while not self._settled(position):
                    self._wait()
                yield assignment, self.uploads.pop(position, None)
        finally:
            self.hub.exchange = None
            self.stray = (self.hub.strays + self.stray)[:_STRAYS]
            self.hub.strays = []

    def _settled(self, position: int) -> bool:
        return any(position in found for found in (self.uploads, self.missing, self.rejected))

    def _wait(self) -> None:
        """Hands on one message, or finds that no more is to be waited for."""
        if self._deadline.over and self._held > 0 and self.hub.handle(0.0):
            self._held -= 1
            return  # it came in time, while this process was held up by another silo
        waiting = {rank for rank in self.hub.silos if self._todo[rank] or self._asked[rank]}
        ready = {rank for rank in waiting if self.hub.silos[rank].ready}
        if self._deadline.over or (not ready and self.answered >= self.needed):
            for rank in waiting:
                why = f"no answer of {self.hub.place(rank)} within {self.seconds:g} s"
                if rank not in ready:
                    why = f"{self.hub.place(rank)} is gone ({self.hub.silos[rank].why})"
                else:
                    self.hub.silos[rank].late |= {self._place(p) for p in self._asked[rank]}
                self.missing |= dict.fromkeys([*self._asked[rank], *self._todo[rank]], why)
                self._asked[rank] = []
                self._todo[rank].clear()
            return
        self.hub.handle(min(0.5, self._deadline.left))

    def _dispatch(self, rank: int) -> None:
        todo, asked = self._todo[rank], self._asked[rank]
        while self.hub.silos[rank].ready and todo and len(asked) < AHEAD:
            told = self.ask(self.cohort[todo[0]].client)
            state = self.kept(told)
            if state is not None:
                place: dict[str, Any] = {"run": told.run, "client": told.client}
                held = ClientState(**place, round=told.state, why=None)
                if not self.hub.tell(rank, held, state):
                    return
            if not self.hub.tell(rank, told, self.received):
                return
            asked.append(todo.popleft())
            self.sends += 1

    # Exchange --------------------------------------------------------------------------------

    def back(self, silo: int) -> None:
        self._dispatch(silo)

    def gone(self, silo: int) -> None:
        """What it was asked for is asked again if it comes back."""
        self._todo[silo].extendleft(reversed(self._asked[silo]))
        self._asked[silo] = []

    def receive(self, silo: int, body: Body, tensors: State) -> None:
        position = self._asked_for(silo, body)
        late = self.hub.silos[silo].late
        if position is None:
            if isinstance(body, Answer | Failed):
                late.discard((body.round, body.client))
            self.stray.append(f"silo {silo}: {described(body)}, which it was not asked for")
            return
        self._asked[silo].remove(position)
        late.clear()  # a silo works in order
        try:
            if isinstance(body, Failed):
                self.failed.add(position)
                raise Rejected(body.why)
            assert isinstance(body, Answer)
            self.uploads[position] = self.accept(body, tensors)
            self.answered += 1
        except Rejected as error:
            self.rejected[position] = f"{self.hub.place(silo)}: {error}"
        self._dispatch(silo)

    def unreadable(self, silo: int, why: str) -> None:
        """A silo works in order: what cannot be read is the answer to what it was asked first.

        That may be one of an earlier round, which has done without it.
        """
        if self._asked[silo] and not self.hub.silos[silo].late:
            self.rejected[self._asked[silo].pop(0)] = f"{self.hub.place(silo)}: {why}"
            self._dispatch(silo)
        else:
            self.stray.append(f"silo {silo}: {why}")

    def _place(self, position: int) -> tuple[int, int]:
        asked = self.ask(self.cohort[position].client)
        return asked.round, asked.client

    def _asked_for(self, silo: int, body: Body) -> int | None:
        if not isinstance(body, Answer | Failed):
            return None
        for position in self._asked[silo]:
            asked = self.ask(self.cohort[position].client)
            if (body.run, body.round, body.client) == (asked.run, asked.round, asked.client):
                return position
        return None


def bytes_down(federated: FederatedRound) -> int:
    """What the method sent to all clients that were asked."""
    return payload_bytes(federated.received) * federated.sends
