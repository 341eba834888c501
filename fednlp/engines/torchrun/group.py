"""The process group: joined once per process, and what tensors go through."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load, save

from algorithms.algorithm import State
from fednlp.engines.torchrun.arrival import agreed_token, connected
from fednlp.engines.torchrun.membership import START, Membership
from fednlp.engines.torchrun.packing import Layout, layout_of, pack, unpack
from fednlp.engines.torchrun.post import Post
from fednlp.errors import ProcessLost, UserError

ARRIVAL = 300.0  # seconds in which all processes must have started; nodes boot at their own pace
_POLL = 1e-4  # seconds


class Group:
    """All processes of this start.

    Attributes:
        sent: bytes that this process has given to the process group, as its algorithms need them:
            a ring sends 2 (n - 1) / n of a vector, a broadcast a whole one from each inner node.
    """

    def __init__(self, me: Membership, limit: float = ARRIVAL) -> None:
        self.me, self.sent = me, 0
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        try:
            self._line = connected(me, limit, "fednlp", serves=me.serves)
            token = agreed_token(self._line, me, limit)
            self._line.ask(
                lambda store: dist.init_process_group(
                    backend,
                    store=dist.PrefixStore(f"{token}/group", store),
                    rank=me.rank,
                    world_size=me.size,
                    timeout=timedelta(seconds=limit),
                ),
                more=limit,
            )
            self.post = Post(me, f"fednlp/{token}/post", limit)
        except RuntimeError as error:
            first = str(error).splitlines()[0][:200]
            found = f"rank {me.rank} of {me.size} cannot join the others at {me.address} ({first})"
            raise UserError("engine.name: torchrun", found, fix=f"start all: {START}") from None

    def backend(self, device: torch.device) -> str:
        return "nccl" if device.type == "cuda" else "gloo"

    def all_reduce(self, parts: State) -> State:
        """The sums over all processes of tensors that have the same names and shapes in each.

        They may be overwritten.
        """
        if self.me.size == 1:
            return parts
        vectors = pack(parts)
        for vector in vectors.values():
            self._finish(dist.all_reduce, vector)
            n = self.me.size
            self.sent += 2 * (n - 1) * vector.numel() * vector.element_size() // n
        return unpack(vectors, layout_of(parts))

    def give(self, state: State) -> None:
        """Rank 0: the tensors to all others."""
        for vector in pack(state).values():
            self._finish(dist.broadcast, vector, 0)
            self.sent += vector.numel() * vector.element_size()

    def take(self, layout: Layout, device: torch.device) -> State:
        """The others: what rank 0 gives, which has this layout."""
        vectors = {
            dtype: torch.empty(size, dtype=dtype, device=device)
            for dtype, size in layout.sizes().items()
        }
        for vector in vectors.values():
            self._finish(dist.broadcast, vector, 0)
        return unpack(vectors, layout)

    def send(self, data: bytes, rank: int) -> None:
        """Bytes to one process, which knows how many."""
        if data:
            vector = torch.frombuffer(bytearray(data), dtype=torch.uint8)
            self._wait(dist.isend, vector, rank)
            self.sent += len(data)

    def receive(self, size: int, rank: int) -> bytes:
        if not size:
            return b""
        vector = torch.empty(size, dtype=torch.uint8)
        self._wait(dist.irecv, vector, rank)
        return vector.numpy().tobytes()

    def close(self) -> None:
        """All have done their work: nothing is under way."""
        self.post.leave()
        dist.destroy_process_group()

    def _finish(self, begin: Callable[..., Any], *arguments: Any) -> None:
        """A collective, watched: signals and losses are seen meanwhile."""
        began = time.monotonic()
        try:
            work = begin(*arguments, async_op=True)
            while not work.is_completed():
                time.sleep(_POLL)
                if time.monotonic() - began > 1.0:
                    self.post.check()
                    began = time.monotonic()
            work.wait()
        except RuntimeError as error:
            raise self._failed(error) from None

    def _wait(self, begin: Callable[..., Any], *arguments: Any) -> None:
        """Of gloo, point to point, whose progress cannot be asked for; it may fail at once."""
        try:
            begin(*arguments).wait(timedelta(seconds=self.post.pulse.limit))
        except RuntimeError as error:
            raise self._failed(error) from None

    def _failed(self, error: RuntimeError) -> ProcessLost:
        lost = self.post.lost()
        if lost:
            return self.post.pulse.lost(lost, self.post.doing)
        found = f"the exchange in {self.post.doing} failed ({str(error).splitlines()[0][:200]})"
        return ProcessLost("engine.name: torchrun", found, fix=self.post.pulse.then)


def encoded(state: State) -> bytes:
    """safetensors; nothing for nothing."""
    own = {name: t.detach().to("cpu", copy=True).contiguous() for name, t in state.items()}
    return save(own) if own else b""


def decoded(data: bytes, device: torch.device) -> State:
    return {name: t.to(device) for name, t in load(data).items()} if data else {}
