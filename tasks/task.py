"""What a task formulation is: from columns to tokens, a loss, predictions and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from tasks.batches import PlannedBatch, TokenBatch
from tasks.errors import DataError
from tasks.schema import SKEW_KINDS
from tasks.token_store import Grid, TokenStore, send

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast

TRUNK = "trunk"  # column of a store that a model reads in place of the tokens, see frozen_trunk.py


@dataclass(frozen=True)
class TokenSettings:
    """Lengths in tokens, special tokens included.

    max_length: of a row. doc_stride: what two successive windows of a long context share (question
    answering). max_target_length: of a target text and of a generated one.
    """

    max_length: int = 128
    doc_stride: int = 32
    max_target_length: int = 32

    def __post_init__(self) -> None:
        for name, least in (("max_length", 8), ("doc_stride", 0), ("max_target_length", 4)):
            if getattr(self, name) < least:
                raise DataError(name, str(getattr(self, name)), f"at least {least} tokens")


@dataclass(frozen=True, eq=False)
class Scored:
    """metrics: values in 0..1. per_example: [n] arrays, the primary metric's name among them.

    per_example holds all that the metrics of any subset need (counts, classes, values).
    """

    metrics: dict[str, float]
    per_example: dict[str, np.ndarray]


class Task:
    """A task formulation; subclasses read from top to bottom as the life of an example."""

    name: ClassVar[str]
    primary_metric: ClassVar[str]
    auto_class: ClassVar[str]  # of transformers
    generates: ClassVar[bool] = False
    token_settings: ClassVar[tuple[str, ...]] = ("max_length",)  # those that it reads

    def __init__(self, labels: list[str], settings: TokenSettings) -> None:
        self.labels, self.settings = labels, settings

    @classmethod
    def texts(cls, examples: Dataset) -> list[str]:
        """What an example is about, one text each: for clusters of examples."""
        raise NotImplementedError

    @classmethod
    def tokenizer_texts(cls, examples: Dataset) -> list[str]:
        """All texts that a model sees: for training a tokenizer."""
        return cls.texts(examples)

    def skew_labels(self, examples: Dataset, kind: str) -> tuple[np.ndarray, list[str]]:
        """Class of every example for a label skew of `kind`: [n] int64, and the class names.

        Raises DataError: the task has no such kind, or the data set no such column.
        """
        if kind in SKEW_KINDS[self.name]:
            return named_classes(examples, kind)
        kinds = ", ".join(SKEW_KINDS[self.name])
        raise DataError("skew", repr(kind), f"one of {kinds} ({self.name})")

    def encode(
        self, examples: Dataset, tokenizer: PreTrainedTokenizerFast, training: bool
    ) -> TokenStore:
        """Tokenizes a split, cut or windowed to the settings; examples keep their order."""
        raise NotImplementedError

    def collate(self, store: TokenStore, planned: PlannedBatch) -> TokenBatch:
        """Gathers a planned batch on the store's device."""
        batch = self.gather(store, send(planned.rows, store.device), planned)
        if planned.fill:
            batch.row_weight[-planned.fill :] = 0.0
        return batch

    def gather(self, store: TokenStore, rows: Tensor, planned: PlannedBatch) -> TokenBatch:
        """Rows [B] int64 of the store, padded as planned: fixed shapes and no synchronisation.

        Of `planned` only the sizes are read. All rows have their weight.
        """
        grid = store.grid(rows, planned.length)
        inputs = {"attention_mask": grid.mask.long()}
        if TRUNK in store.columns:  # padding repeats the first token, and nobody attends to it
            inputs["inputs_embeds"] = store.columns[TRUNK][grid.index]
        else:
            inputs["input_ids"] = grid.take(store.tokens, store.pad_id)
        batch = TokenBatch(inputs, {}, store.row_weight[rows], planned.examples)
        self.add_targets(batch, store, planned, grid)
        return batch

    def add_targets(
        self, batch: TokenBatch, store: TokenStore, planned: PlannedBatch, grid: Grid
    ) -> None:
        """Adds the task's own inputs and targets to a batch."""
        raise NotImplementedError

    def loss(self, model: Any, batch: TokenBatch) -> Tensor:
        """Sum over examples of each example's mean loss: 0-dim float32."""
        return (self.row_loss(model, batch) * batch.row_weight).sum()

    def row_loss(self, model: Any, batch: TokenBatch) -> Tensor:
        """Loss of every row, summed over what is scored in it: [B] float32."""
        raise NotImplementedError

    def predict(
        self,
        model: Any,
        store: TokenStore,
        examples: Dataset,
        indices: np.ndarray,
        tokens_per_batch: int,
    ) -> list:
        """One prediction per index [n], in that order; examples: the whole split of the store."""
        raise NotImplementedError

    def evaluate(self, predictions: list, examples: Dataset) -> Scored:
        """Scores predictions [n] against the gold of examples [n]."""
        per_example = self.compare(predictions, examples)
        return Scored(self.metrics(per_example), per_example)

    def aggregate(self, scored: Scored, subset: np.ndarray | None = None) -> dict[str, float]:
        """Metrics over a subset (positions, repeats allowed) of scored examples."""
        if subset is None:
            return scored.metrics
        return self.metrics({name: v[subset] for name, v in scored.per_example.items()})

    def compare(self, predictions: list, examples: Dataset) -> dict[str, np.ndarray]:
        """Per-example values and counts, each [n]."""
        raise NotImplementedError

    def metrics(self, per_example: dict[str, np.ndarray]) -> dict[str, float]:
        """Metrics from per-example values; here their means (nan for no example)."""
        return {name: mean(values) for name, values in per_example.items()}

    def floor(self, train: Dataset, evaluation: Dataset) -> dict[str, float]:
        """Metrics of the trivial baseline that reads no input, or only copies it."""
        raise NotImplementedError


def model_inputs(model: Any, batch: TokenBatch) -> dict[str, Tensor]:
    """What the model reads of a batch: no segments, where its architecture has none."""
    inputs = dict(batch.inputs)
    if getattr(model.config, "type_vocab_size", 0) < 2:
        inputs.pop("token_type_ids", None)
    return inputs


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every module's own mode is restored."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def column(examples: Any, name: str) -> list:
    """A column as a plain list."""
    return list(examples[name][:])


def named_classes(examples: Dataset, kind: str) -> tuple[np.ndarray, list[str]]:
    """`classes` of a column; DataError where the data set leaves it empty."""
    names = column(examples, kind)
    if not any(names):
        fix = "choose another kind of skew"
        raise DataError("skew", f"this data set names no {kind}", fix=fix)
    return classes(names)


def classes(names: list[str]) -> tuple[np.ndarray, list[str]]:
    """Numbers equal names alike, in sorted order: [n] int64 and the distinct names."""
    distinct, inverse = np.unique(np.array(names, dtype=object), return_inverse=True)
    return inverse.astype(np.int64), [str(name) for name in distinct]


def mean(values: np.ndarray) -> float:
    """Mean of [n] values; nan for none, without a warning."""
    return float(np.mean(values)) if len(values) else float("nan")
