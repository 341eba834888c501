"""Tiny models of the families whose embedding can be cut, and ids all over a wide vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from step_cases import LONGEST, VOCABULARY, store_of, trained, trainer_of
from torch import Tensor

from fednlp.local_training import LocalTrainer
from tasks.first_token import read_first_token_only
from tasks.freezing import freeze
from tasks.token_store import TokenStore

HEADS = {
    "text_classification": "SequenceClassification",
    "sequence_tagging": "TokenClassification",
    "question_answering": "QuestionAnswering",
}
WIDE = 4 * VOCABULARY  # ids of which a store's are a quarter, in another order
PADDING = {"roberta": 1}  # the others': 0
ADAMW: dict[str, Any] = {"optimizer": "adamw", "lr": 1e-3, "clip_norm": None}
SGD: dict[str, Any] = {"optimizer": "sgd", "lr": 0.1, "clip_norm": None}
MOMENTUM = {**SGD, "lr": 0.01, "momentum": 0.9}  # more, and ALBERT diverges


def family_of(
    family: str,
    task: str = "text_classification",
    dropout: float = 0.0,
    vocabulary: int = WIDE,
    **changes: Any,
) -> Any:
    """A tiny random model of a family, with the head of a task or that of the name `head`."""
    common = {
        "vocab_size": vocabulary,
        "pad_token_id": PADDING.get(family, 0),
        "num_labels": 2 if task == "question_answering" else 3,
        "max_position_embeddings": LONGEST + 2,  # RoBERTa counts positions from its padding id
    }
    if family == "distilbert":
        sizes = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
        rates = ("dropout", "attention_dropout", "seq_classif_dropout", "qa_dropout")
    else:
        sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
        sizes["intermediate_size"] = 32
        rates = ("hidden_dropout_prob", "attention_probs_dropout_prob")
        if family == "albert":
            sizes |= {"embedding_size": 16, "hidden_size": 32}
            rates = (*rates, "classifier_dropout_prob")
        if family == "roberta":
            sizes["type_vocab_size"] = 1
    head = changes.pop("head", HEADS[task])
    settings = {**common, **sizes, **dict.fromkeys(rates, dropout), **changes}
    config = transformers.AutoConfig.for_model(family, **settings)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        module = getattr(transformers, f"AutoModelFor{head}").from_config(config)
    if head == "SequenceClassification":
        read_first_token_only(module)
    return module


def scattered(
    task: str = "text_classification", padding: int = 0, below: tuple[int, ...] | None = None
) -> TokenStore:
    """`store_of` with ids all over a wide vocabulary.

    below: what rows begin with; default: all ids below the padding's, so that it keeps its place.
    """
    store = store_of(task)
    wide = np.arange(WIDE)
    np.random.default_rng(5).shuffle(wide[3:])
    tokens = torch.from_numpy(wide)[store.tokens.long()].int()
    for place, token in enumerate(range(padding) if below is None else below):
        tokens[store.row_offsets[:-1] + place] = token
    return replace(store, tokens=tokens, pad_id=padding)


def case(
    family: str, task: str = "text_classification", dropout: float = 0.0, **changes: Any
) -> tuple[LocalTrainer, Tensor]:
    """A trainer of a family on scattered ids, and its start."""
    module = family_of(family, task, dropout)
    freeze(module, layers=changes.pop("layers", 0))
    store = scattered(task, PADDING.get(family, 0))
    return trainer_of(task, module=module, store=store, **changes)


def both(
    make: Callable[[], tuple[LocalTrainer, Tensor]],
    restricted: tuple[bool, ...] = (True, True, True),
) -> tuple[Tensor, Tensor, Tensor]:
    """Start and ends of three clients, on all rows and on those that occur (where they are)."""
    ends, told = [], []
    for whole in (True, False):
        trainer, start = make()
        ended = trained(trainer, start, whole_vocabulary=whole)
        used = [p.steps.rows is not None for p in ended]
        assert used == [not whole and expected for expected in restricted]
        ends.append(trainer.model.weights.clone())
        told.append([(p.done, p.rates, p.random_state.state.tolist()) for p in ended])
    for (whole, *same), (cut, *equal) in zip(*told, strict=True):
        assert same == equal and whole.steps == cut.steps
        assert whole.padded_tokens == cut.padded_tokens > cut.real_tokens
        assert cut.loss_sum == pytest.approx(whole.loss_sum, rel=1e-5)
    return start, *ends
