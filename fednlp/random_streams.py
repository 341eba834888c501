"""Named, independent random streams (design 3.3).

A stream is derived from `(run seed, stream name, coordinates...)`, where the coordinates are
usually round and client. Any client of any round can therefore be replayed alone, and neither the
number of workers nor their schedule can change a draw.

>>> a = generator(0, "sampling", 3).permutation(10)
>>> b = generator(0, "sampling", 3).permutation(10)
>>> bool((a == b).all())
True
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def _digest(seed: int, stream: str, coordinates: tuple[int, ...]) -> bytes:
    text = "/".join([str(int(seed)), stream, *(str(int(c)) for c in coordinates)])
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def generator(seed: int, stream: str, *coordinates: int) -> np.random.Generator:
    """A counter-based generator (Philox, Salmon et al. 2011) keyed by name and coordinates."""
    key = np.frombuffer(_digest(seed, stream, coordinates), dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def integer_seed(seed: int, stream: str, *coordinates: int) -> int:
    """A 63-bit seed of the same stream, for libraries that take an integer."""
    return int.from_bytes(_digest(seed, stream, coordinates)[:8], "little") >> 1


def torch_generator(seed: int, stream: str, *coordinates: int) -> torch.Generator:
    """A CPU `torch.Generator` of the same stream."""
    return torch.Generator().manual_seed(integer_seed(seed, stream, *coordinates))


class TorchRandomState:
    """The state of a device's default generator (dropout draws from it) while one client trains."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._default = default_generator(device)
        # not torch.manual_seed, which imports a compiler at its first call
        self.state = torch.Generator(device).manual_seed(seed).get_state()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Continues this state inside the block and leaves the generator as it was."""
        before = self._default.get_state()
        self._default.set_state(self.state)
        try:
            yield
            self.state = self._default.get_state()
        finally:
            self._default.set_state(before)


def default_generator(device: torch.device) -> torch.Generator:
    """What draws on a device where no generator is named, as dropout does."""
    if device.type != "cuda":
        return torch.default_generator
    torch.cuda.init()
    index = torch.cuda.current_device() if device.index is None else device.index
    return torch.cuda.default_generators[index]
