"""Frames in pieces: a stream carries a frame of any length as messages of a bounded one."""

from __future__ import annotations

from collections.abc import Iterator

from fednlp.engines.fedml.codec import PREFIX_BYTES, BadFrame, frame_bytes

PIECE = 1 << 20  # bytes


def pieces(frame: bytes) -> Iterator[bytes]:
    view = memoryview(frame)
    for start in range(0, len(frame), PIECE):
        yield bytes(view[start : start + PIECE])


class Assembler:
    """Puts pieces together again; no memory is taken for a frame that is refused."""

    def __init__(self, most: int) -> None:
        self._most, self._frame, self._whole = most, bytearray(), 0

    def add(self, piece: bytes) -> bytearray | None:
        """The frame that `piece` completes, if it does.

        Raises:
            BadFrame: the pieces are none; what follows cannot be trusted either.
        """
        if not self._frame:
            if len(piece) < PREFIX_BYTES:
                raise BadFrame(f"a frame that begins with {len(piece)} bytes")
            self._whole = frame_bytes(piece, self._most)
        self._frame += piece
        if len(self._frame) > self._whole:
            raise BadFrame(f"{len(self._frame)} bytes of a frame of {self._whole}")
        if len(self._frame) < self._whole:
            return None
        frame, self._frame = self._frame, bytearray()
        return frame
