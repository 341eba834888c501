"""Which attention a module's layers look up in `transformers`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn


def replace_sdpa(
    module: nn.Module, name: str, attention: Callable[..., Any], mask: Callable[..., Any]
) -> int:
    """Switches a module from torch's attention to `attention`, registered under `name`.

    A layer looks into its own configuration, which in an encoder-decoder is not the model's.
    Returns how many configurations were switched.
    """
    from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig

    AttentionInterface.register(name, attention)
    AttentionMaskInterface.register(name, mask)
    configs = {id(c): c for c in (getattr(part, "config", None) for part in module.modules())}
    switched = 0
    for config in configs.values():
        if isinstance(config, PreTrainedConfig) and config._attn_implementation == "sdpa":
            config._attn_implementation = name
            switched += 1
    return switched
