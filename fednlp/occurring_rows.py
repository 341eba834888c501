"""The word embedding cut down to the rows that occur in a client's data.

A client touches a few thousand of a vocabulary's rows, yet the dense embedding makes gradient,
clipping and optimizer pass over all of them at every step. For one participation the table is
replaced by its occurring rows. The others have gradient zero and no optimizer state, so all that
could happen to them is weight decay, which is applied in closed form at the end:
w <- w prod_t (1 - rate_t decay). Without clipping and decay the result is the same bit for bit, if
rows fill whole vector registers (a multiple of 16 elements, as in common models): a fused optimizer
rounds the elements that are left over in another way. Otherwise it is the same up to that rounding,
and that of one norm and one product.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from fednlp.config_schema import ClientConfig
from fednlp.flat_model import FlatModel
from tasks.ragged import ranges
from tasks.token_store import TokenStore

# with a token's id these look up its row and tell padding from text, and do nothing else
READ_IDS_ONLY_TO_EMBED = ("bert", "distilbert", "roberta", "albert")
WORTH = 500_000  # elements of a table below which nothing is gained
LARGEST_SHARE = 0.5  # of the rows, above which nothing is gained


def occurring_tokens(store: TokenStore, examples: np.ndarray) -> Tensor:
    """Token ids in the inputs of `examples` [n], padding included: [U] int64, ascending."""
    first = store.first_rows
    rows = ranges(first[examples], first[examples + 1] - first[examples])
    offsets = store.row_offsets.numpy(force=True)
    places = ranges(offsets[rows], store.row_lengths[rows])
    tokens = store.tokens[torch.from_numpy(places).to(store.device)].long()
    padding = torch.tensor([store.pad_id], device=store.device)
    return torch.cat([tokens, padding]).unique()


class OccurringRows:
    """The restriction of one participation.

    Attributes:
        leaf: [U * H], the occurring rows, with its gradient.
        rest: the slice of the decayed weights behind the table.
        decay: what untouched rows are still to be multiplied by.
    """

    def __init__(self, model: FlatModel, embedding: nn.Embedding, tokens: Tensor) -> None:
        self._embedding, self._tokens = embedding, tokens
        table = embedding.weight.data
        self.rest = slice(table.numel(), model.decayed)
        self.leaf = nn.Parameter(torch.empty(len(tokens) * table.shape[1], device=model.device))
        self.leaf.grad = torch.zeros_like(self.leaf)
        self.decay = 1.0
        self._index = torch.zeros(len(table), dtype=torch.int64, device=model.device)
        self._index[tokens] = torch.arange(len(tokens), device=model.device)

    def index(self, ids: Tensor) -> Tensor:
        """Token ids [B, L] as rows of the small table."""
        return self._index[ids]

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Puts the small table in the model's place, and its rows back at the end."""
        weight = self._embedding.weight
        table, gradient = weight.data, weight.grad
        assert self.leaf.grad is not None
        shape = (len(self._tokens), table.shape[1])
        self.leaf.data.view(shape).copy_(table[self._tokens])
        weight.grad = None
        weight.data, weight.grad = self.leaf.data.view(shape), self.leaf.grad.view(shape)
        try:
            yield
        finally:
            if self.decay != 1.0:
                table.mul_(self.decay)
                self.decay = 1.0
            table[self._tokens] = self.leaf.data.view(shape)
            weight.grad = None
            weight.data, weight.grad = table, gradient


def restricted_table(
    model: FlatModel, store: TokenStore, settings: ClientConfig
) -> nn.Embedding | None:
    """The word embedding, where it can be restricted and is large enough to pay.

    It leads the flat vector, so it is trained, and no other layer shares it; the optimizer leaves a
    row alone whose gradient was always zero.
    """
    if settings.optimizer == "sgd" and settings.momentum and settings.weight_decay:
        return None
    module = model.module
    if getattr(getattr(module, "config", None), "model_type", None) not in READ_IDS_ONLY_TO_EMBED:
        return None
    embedding: object = getattr(module, "get_input_embeddings", lambda: None)()
    if type(embedding) is not nn.Embedding or embedding.scale_grad_by_freq or embedding.sparse:
        return None
    if embedding.weight.numel() < WORTH or store.target_lengths is not None:
        return None
    owners = [p for m in module.modules() for p in m.parameters(recurse=False)]
    shared = sum(p is embedding.weight for p in owners) != 1
    leads = embedding.weight.data_ptr() == model.weights.data_ptr()
    return None if shared or not leads else embedding


def restrict(
    model: FlatModel, embedding: nn.Embedding, store: TokenStore, examples: np.ndarray
) -> OccurringRows | None:
    """The restriction of a `restricted_table` for `examples` [n], or None where it cannot pay."""
    tokens = occurring_tokens(store, examples)
    if len(tokens) > LARGEST_SHARE * len(embedding.weight):
        return None
    if not bool((tokens == store.pad_id).nonzero() == store.pad_id):
        return None  # the model tells padding by its id, so it must keep it
    return OccurringRows(model, embedding, tokens)
