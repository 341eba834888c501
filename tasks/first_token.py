"""The last layer of a text classifier, for the one token that is read.

BERT's and RoBERTa's classification heads look at the first token of the last layer alone. That
layer needs keys and values of all tokens, but queries, its output and its feed-forward block for
the first only: the rest is computed to be thrown away, in a model of two layers two fifths of the
arithmetic. Logits and gradients are the same up to rounding.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

ARCHITECTURES = ("bert", "roberta")


def read_first_token_only(classifier: nn.Module) -> bool:
    """Switches the last layer of a `...ForSequenceClassification` in place.

    Returns whether it could: the architecture is one of `ARCHITECTURES`.
    """
    model: Any = classifier
    eager = model.config._attn_implementation == "eager"  # that is each model's own
    if model.config.model_type not in ARCHITECTURES or eager:
        return False
    last = model.base_model.encoder.layer[-1]
    last.forward = partial(_forward, last)
    return True


def _forward(
    layer: Any, hidden_states: Tensor, attention_mask: Tensor | None = None, *_: Any, **others: Any
) -> Tensor:
    """hidden_states [B, L, H], attention_mask [B, 1, L, L] or None -> [B, 1, H]."""
    from transformers import AttentionInterface

    attention, first = layer.attention.self, hidden_states[:, :1]
    if attention_mask is not None:
        attention_mask = attention_mask[:, :, :1]
    query, key, value = (
        project(states).unflatten(-1, (-1, attention.attention_head_size)).transpose(1, 2)
        for project, states in (
            (attention.query, first),
            (attention.key, hidden_states),
            (attention.value, hidden_states),
        )
    )
    attend = AttentionInterface()[attention.config._attn_implementation]
    seen, _ = attend(
        attention, query, key, value, attention_mask, scaling=attention.scaling,
        dropout=attention.dropout.p if attention.training else 0.0,
    )  # fmt: skip
    return layer.feed_forward_chunk(layer.attention.output(seen.flatten(2), first))
