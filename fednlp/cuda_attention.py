"""Attention masks on a GPU whose making does not look into them.

`transformers` leaves a mask out where no token is padding, and to find out it waits for the GPU at
every batch; the kernel that is then taken also draws its dropout in another way. Here padding is
always masked, so that steps can be recorded and one batch is computed as all others are.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from fednlp.attention_names import replace_sdpa

NAME = "sdpa_with_mask"


def always_mask(module: nn.Module) -> int:
    """Switches a module from torch's attention; returns how many configurations."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    return replace_sdpa(module, NAME, sdpa_attention_forward, _mask)


def _mask(*, attention_mask: Tensor | None = None, **others: Any) -> Tensor | None:
    """`sdpa_mask`, whose shortcuts are for what shapes alone can tell: no padding mask at all."""
    from transformers.masking_utils import sdpa_mask

    if attention_mask is not None:
        others |= {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}
    return sdpa_mask(attention_mask=attention_mask, **others)
