"""What is to go out on one stream of gRPC, which takes it at its own pace."""

from __future__ import annotations

import queue
from collections.abc import Iterator

from fednlp.engines.fedml.framing import pieces
from fednlp.engines.fedml.transport import Unreachable

MOST = 16  # frames that may wait


class Outbox:
    """Frames for one stream, taken as pieces; ends when it is closed.

    busy: whether a frame is under way.
    """

    def __init__(self) -> None:
        self._frames: queue.Queue[bytes | None] = queue.Queue()
        self.closed = self.busy = False

    def put(self, frame: bytes) -> None:
        """Raises Unreachable: it is closed, or too much waits already, which closes it."""
        if self.closed:
            raise Unreachable("not connected")
        if self._frames.qsize() >= MOST:
            self.close()
            raise Unreachable("what it is sent is not taken")
        self._frames.put(frame)

    def close(self) -> None:
        self.closed = True
        self._frames.put(None)

    def __iter__(self) -> Iterator[bytes]:
        while (frame := self._frames.get()) is not None:
            self.busy = True
            yield from pieces(frame)
            self.busy = False
