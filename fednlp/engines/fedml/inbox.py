"""What has come and waits to be handled, in order, and no more of one sender than it can owe."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Any

MOST = 16  # messages of one sender; who keeps to the rules has a few under way


class Inbox:
    """Threads of a transport put messages in; one thread takes them out.

    A sender whose messages pile up is held up, since its thread waits in `put`; others are not.
    """

    def __init__(self) -> None:
        self._messages: deque[tuple[int, Any]] = deque()
        self._waiting: Counter[int] = Counter()  # by sender
        self._changed = threading.Condition()
        self._closed = False

    def put(self, sender: int, message: Any) -> None:
        """Waits for room; after `close` it drops the message."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting[sender] < MOST)
            if self._closed:
                return
            self._messages.append((sender, message))
            self._waiting[sender] += 1
            self._changed.notify_all()

    def get(self, seconds: float) -> Any:
        """The next message; None if none comes in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._messages, seconds):
                return None
            sender, message = self._messages.popleft()
            self._waiting[sender] -= 1
            self._changed.notify_all()
            return message

    def close(self) -> None:
        """Whoever waits in `put` goes on; what is here can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
