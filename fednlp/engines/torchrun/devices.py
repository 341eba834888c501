"""Which GPU a process uses: the one of its number on its node."""

from __future__ import annotations

import torch

from fednlp.config_schema import EngineConfig
from fednlp.engines.torchrun.membership import Membership
from fednlp.errors import UserError


def use_own_device(engine: EngineConfig, me: Membership) -> None:
    """Before the device is used; `cuda` then means this one.

    Raises:
        UserError: there are more processes on this node than GPUs.
    """
    if engine.device == "cpu" or not torch.cuda.is_available():
        return
    count = torch.cuda.device_count()
    if me.local_rank >= count:
        raise UserError(
            f"local rank {me.local_rank}",
            f"has no GPU: there are {count} here",
            fix=f"torchrun --nproc-per-node {count}, or engine.device=cpu",
        )
    torch.cuda.set_device(me.local_rank)
