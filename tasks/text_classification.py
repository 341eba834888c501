"""Text classification: one label per text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tasks.batches import PlannedBatch, TokenBatch, evaluation_plan
from tasks.metrics_classification import macro_f1, same_length
from tasks.task import Task, column, evaluating, mean
from tasks.text_encoder import TextEncoder
from tasks.token_store import Grid, TokenStore, send

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast


class TextClassification(Task):
    """Cross-entropy over classes; accuracy and macro-F1. Columns: text, label."""

    name = "text_classification"
    primary_metric = "accuracy"
    auto_class = "AutoModelForSequenceClassification"

    @classmethod
    def texts(cls, examples: Dataset) -> list[str]:
        return column(examples, "text")

    def skew_labels(self, examples: Dataset, kind: str) -> tuple[np.ndarray, list[str]]:
        if kind == "label":
            return np.array(column(examples, "label"), np.int64), list(self.labels)
        return super().skew_labels(examples, kind)

    def encode(
        self, examples: Dataset, tokenizer: PreTrainedTokenizerFast, training: bool
    ) -> TokenStore:
        encoder = TextEncoder(tokenizer)
        rows = encoder.rows(column(examples, "text"), self.settings.max_length)
        return TokenStore(
            tokens=torch.from_numpy(rows.values),
            row_offsets=torch.from_numpy(rows.offsets),
            example_rows=torch.arange(len(rows) + 1),
            row_weight=torch.ones(len(rows)),
            columns={"label": torch.tensor(column(examples, "label"), dtype=torch.int64)},
            pad_id=encoder.pad_id,
            end_id=encoder.end_id,
            max_length=self.settings.max_length,
            segments=encoder.segments,
        )

    def add_targets(
        self, batch: TokenBatch, store: TokenStore, planned: PlannedBatch, grid: Grid
    ) -> None:
        batch.targets["label"] = store.columns["label"][grid.rows]

    def row_loss(self, model: Any, batch: TokenBatch) -> Tensor:
        logits = model(**batch.inputs).logits.float()
        return functional.cross_entropy(logits, batch.targets["label"], reduction="none")

    def predict(
        self,
        model: Any,
        store: TokenStore,
        examples: Dataset,
        indices: np.ndarray,
        tokens_per_batch: int,
    ) -> list[int]:
        """Class numbers."""
        plan = evaluation_plan(store, indices, tokens_per_batch)
        found = torch.empty(len(plan.order), dtype=torch.int64, device=store.device)
        with evaluating(model):
            outputs = [
                model(**self.collate(store, planned).inputs).logits.argmax(-1) for planned in plan
            ]
            if outputs:
                found[send(plan.order, store.device)] = torch.cat(outputs)
        return found.tolist()

    def compare(self, predictions: list[int], examples: Dataset) -> dict[str, np.ndarray]:
        gold = np.array(column(examples, "label"), np.int64)
        same_length(predictions, gold.tolist())
        predicted = np.array(predictions, np.int64)
        return {
            "accuracy": (gold == predicted).astype(np.float64),
            "gold": gold,
            "predicted": predicted,
        }

    def metrics(self, per_example: dict[str, np.ndarray]) -> dict[str, float]:
        gold, predicted = per_example["gold"], per_example["predicted"]
        return {
            "accuracy": mean(per_example["accuracy"]),
            "macro_f1": macro_f1(gold, predicted, len(self.labels)),
        }

    def floor(self, train: Dataset, evaluation: Dataset) -> dict[str, float]:
        """The most frequent label of train, for every example."""
        counts = np.bincount(np.array(column(train, "label"), np.int64))
        predictions = [int(counts.argmax())] * len(evaluation)
        return self.evaluate(predictions, evaluation).metrics
