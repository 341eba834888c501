"""A connection to the store on which nobody waits for longer than a limit.

torch waits for an answer without one: a store that stands still, or a network that drops all, would
hold whoever asks, deaf to signals too. So a thread beside asks, and is left behind if it must be.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
_Asked = queue.SimpleQueue[Callable[[], None] | None]


class Line:
    """One question after another.

    limit: seconds for an answer, and for connecting.

    Attributes:
        store: may be used as it is for `set`, which waits for no answer.
    """

    def __init__(self, connect: Callable[[], Any], limit: float) -> None:
        """Raises RuntimeError: there is no connection within the limit."""
        self.limit, self._silent, self._asked = limit, False, _Asked()
        threading.Thread(target=_serve, args=(self._asked,), name="store", daemon=True).start()
        self.store: Any = None
        self.store = self.ask(lambda _: connect(), more=limit)

    def ask(self, work: Callable[[Any], T], more: float = 0.0) -> T:
        """What `work(store)` gives. more: seconds that the work itself may wait.

        Raises:
            RuntimeError: the store is gone, or has once given no answer within the limit.
        """
        if self._silent:
            raise RuntimeError("no answer")
        store, answers = self.store, queue.SimpleQueue[tuple[T | None, Exception | None]]()

        def answer() -> None:
            try:
                answers.put((work(store), None))
            except Exception as error:
                answers.put((None, error))

        self._asked.put(answer)
        try:
            found, error = answers.get(timeout=self.limit + more)
        except queue.Empty:
            self._silent = True
            raise RuntimeError(f"no answer within {self.limit + more:g} s") from None
        if error is not None:
            raise error
        return found  # type: ignore[return-value]

    def __del__(self) -> None:
        self._asked.put(None)


def _serve(asked: _Asked) -> None:
    """Keeps nothing alive while it waits: the store ends with its line."""
    while (answer := asked.get()) is not None:
        answer()
        del answer
