"""Flat dicts of tensors in a file that two processes map: nothing is pickled or piped."""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from algorithms.algorithm import State
from fednlp.errors import UserError

_ALIGNED = 64  # bytes: what vector instructions like, and every dtype needs less


@dataclass(frozen=True)
class Place:
    """Where a tensor lies in the file; offset in bytes."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    offset: int


class SharedTensors:
    """Holds one dict at a time: one process puts it, the other gets views of the same memory.

    The file grows as needed and may lose its name once both processes have opened it.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        flags = os.O_RDWR | (os.O_CREAT | os.O_EXCL if create else 0)
        self._file = os.open(path, flags, 0o600)
        self._memory: mmap.mmap | None = None

    def put(self, tensors: State) -> dict[str, Place]:
        """Copies the tensors in, whatever device they are on; what was there is overwritten.

        A tensor that goes under two names is stored once.

        Raises:
            UserError: no room is left.
        """
        places: dict[int, Place] = {}
        end = 0
        for tensor in tensors.values():
            if id(tensor) not in places:
                places[id(tensor)] = Place(tensor.dtype, tuple(tensor.shape), end)
                end += -(-tensor.numel() * tensor.element_size() // _ALIGNED) * _ALIGNED
        if end > self._size():
            self._grow(end)
        for tensor in {id(t): t for t in tensors.values()}.values():
            self._view(places[id(tensor)]).copy_(tensor.detach())
        return {name: places[id(tensor)] for name, tensor in tensors.items()}

    def get(self, places: dict[str, Place]) -> State:
        """Views of what the other process has put, valid until it puts something else."""
        return {name: self._view(place) for name, place in places.items()}

    def close(self) -> None:
        self._memory = None  # views may still hold the memory itself
        os.close(self._file)

    def _size(self) -> int:
        return os.fstat(self._file).st_size

    def _grow(self, size: int) -> None:
        """Reserves the room at once: a full disk is an error here and not a fault at a write."""
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file, 0, size)
            else:
                os.ftruncate(self._file, size)
        except OSError as error:
            raise no_room(error) from None

    def _view(self, place: Place) -> Tensor:
        count = torch.Size(place.shape).numel()
        if count == 0:
            return torch.empty(place.shape, dtype=place.dtype)
        end = place.offset + count * place.dtype.itemsize
        if self._memory is None or len(self._memory) < end:
            self._memory = mmap.mmap(self._file, self._size())
        flat = torch.frombuffer(self._memory, dtype=place.dtype, count=count, offset=place.offset)
        return flat.view(place.shape)


def no_room(error: OSError) -> UserError:
    """What to tell of a shared file that cannot be written."""
    found = f"no room for what the processes share ({error.strerror or error})"
    return UserError("engine.workers", found, fix="free space, or engine.workers: 1")
