"""The states of all clients, fetched from their silos once, after the last round."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from algorithms.algorithm import State
from fednlp.engines.fedml.codec import mismatch
from fednlp.engines.fedml.expected import Shapes
from fednlp.engines.fedml.hub import Hub, described
from fednlp.engines.fedml.messages import Body, ClientState, Collect
from fednlp.engines.fedml.transport import Deadline
from fednlp.errors import UserError
from fednlp.nonfinite import nonfinite

Wanted = tuple[int, int]  # client, round from 0


@dataclass
class Collection:
    """An `Exchange`. One state at a time and silo, so that no more are held.

    seconds: that one may take. like: what states of the method can look like.
    """

    hub: Hub
    run: str
    wanted: list[Wanted]
    seconds: float
    like: list[Shapes]
    found: dict[Wanted, State] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._deadline = Deadline(self.seconds)
        self._todo: dict[int, deque[Wanted]] = {rank: deque() for rank in self.hub.silos}
        self._problem: UserError | None = None
        for client, round in self.wanted:
            self._todo[self.hub.silo_of(client)].append((client, round))

    def __iter__(self) -> Iterator[tuple[Wanted, State]]:
        """Pairs of what was wanted and its state, as they come.

        Raises:
            UserError: a silo does not have a state, or gives no sign of life.
        """
        self.hub.exchange = self
        try:
            for rank in self.hub.silos:
                self._ask(rank)
            while any(self._todo.values()) or self.found:
                while self.found:
                    yield self.found.popitem()
                if self._problem is not None:
                    raise self._problem
                if not any(self._todo.values()):
                    break
                if self._deadline.over:
                    late = next(rank for rank, todo in self._todo.items() if todo)
                    client, _ = self._todo[late][0]
                    found = f"{self.hub.place(late)} did not give it within {self.seconds:g} s"
                    fix = "start the silo; the same command continues"
                    raise UserError(f"state of client {client}", found, fix=fix)
                self.hub.handle(min(0.5, self._deadline.left))
        finally:
            self.hub.exchange = None

    def _ask(self, rank: int) -> None:
        if self._todo[rank] and self.hub.silos[rank].ready:
            client, round = self._todo[rank][0]
            self.hub.tell(rank, Collect(run=self.run, client=client, round=round))

    def back(self, silo: int) -> None:
        self._ask(silo)

    def gone(self, silo: int) -> None:
        """It is asked again when it is back."""

    def receive(self, silo: int, body: Body, tensors: State) -> None:
        todo = self._todo[silo]
        asked = (self.run, *todo[0]) if todo else ()
        if not isinstance(body, ClientState) or (body.run, body.client, body.round) != asked:
            self.hub.strays.append(f"silo {silo}: {described(body)}, which it was not asked for")
            return
        why = body.why or nonfinite(tensors, "state") or self._unlike(tensors)
        if why is not None:
            place = f"state of client {body.client}, round {body.round + 1}"
            self._problem = UserError(place, f"{self.hub.place(silo)}: {why}")
            return
        self._deadline = Deadline(self.seconds)
        self.found[todo.popleft()] = tensors
        self._ask(silo)

    def _unlike(self, tensors: State) -> str | None:
        found = [mismatch(tensors, like) for like in self.like]
        return None if None in found else f"a state that {found[-1]}"

    def unreadable(self, silo: int, why: str) -> None:
        self._problem = UserError(self.hub.place(silo), why)
