"""Which of how many processes this one is, from the environment that torchrun sets.

A scheduler that starts the processes itself may set the same variables.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from fednlp.errors import UserError

START = "torchrun --nproc-per-node 2 run_bench.py run CONFIG engine.name=torchrun"


@dataclass(frozen=True)
class Membership:
    """rank: of `size`, over all nodes; local_rank: of `local_size`, on this one.

    address, port: of the store. agent: whether torchrun serves it; else rank 0 does.
    restarts: how often torchrun has started all again, of `most_restarts`.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    address: str
    port: int
    agent: bool
    restarts: int
    most_restarts: int

    @property
    def leads(self) -> bool:
        return self.rank == 0

    @property
    def serves(self) -> bool:
        return self.leads and not self.agent


def membership(variables: Mapping[str, str] = os.environ) -> Membership | None:
    """None where nothing started this process as one of several.

    Raises:
        UserError: a variable is missing or no number.
    """
    if "RANK" not in variables or "WORLD_SIZE" not in variables:
        return None

    def number(name: str, default: int | None = None) -> int:
        text = variables.get(name, "" if default is None else str(default))
        if not text.isdecimal():
            found = f"found '{text}'" if name in variables else "is not set"
            raise UserError(f"the environment: {name}", found, "a whole number", f"e.g. {START}")
        return int(text)

    address = variables.get("MASTER_ADDR", "")
    if not address:
        raise UserError("the environment: MASTER_ADDR", "is not set", fix=f"e.g. {START}")
    rank, size = number("RANK"), number("WORLD_SIZE")
    if rank >= size:
        found = f"found {rank}"
        raise UserError("the environment: RANK", found, f"less than WORLD_SIZE, which is {size}")
    return Membership(
        rank=rank,
        size=size,
        local_rank=number("LOCAL_RANK", 0),
        local_size=number("LOCAL_WORLD_SIZE", 1),
        address=address,
        port=number("MASTER_PORT"),
        agent=variables.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        restarts=number("TORCHELASTIC_RESTART_COUNT", 0),
        most_restarts=number("TORCHELASTIC_MAX_RESTARTS", 0),
    )
