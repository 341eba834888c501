"""Sequence to sequence: one text in, another text out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tasks.batches import PlannedBatch, TokenBatch, evaluation_plan
from tasks.errors import DataError
from tasks.metrics_classification import same_length
from tasks.metrics_rouge import MEASURES, rouge
from tasks.task import Task, column, evaluating
from tasks.text_encoder import TextEncoder
from tasks.token_store import Grid, TokenStore

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast

_NOT_SCORED = -100


class Seq2Seq(Task):
    """Cross-entropy of the target's tokens; ROUGE of greedy generation. Columns: input, targets.

    The loss of an example is the mean over its target's tokens (of the first target where there are
    several). Texts are cut to max_length and max_target_length. Skew comes from clusters of the
    input texts, or from `source` and `client`.
    """

    name = "seq2seq"
    primary_metric = "rougeL"
    auto_class = "AutoModelForSeq2SeqLM"
    generates = True
    token_settings = ("max_length", "max_target_length")

    @classmethod
    def texts(cls, examples: Dataset) -> list[str]:
        return column(examples, "input")

    @classmethod
    def tokenizer_texts(cls, examples: Dataset) -> list[str]:
        """Inputs and all targets."""
        targets = column(examples, "targets")
        return column(examples, "input") + [text for texts in targets for text in texts]

    def encode(
        self, examples: Dataset, tokenizer: PreTrainedTokenizerFast, training: bool
    ) -> TokenStore:
        encoder = TextEncoder(tokenizer)
        targets = column(examples, "targets")
        for row, texts in enumerate(targets):
            if not texts:
                raise DataError(f"targets of example {row}", "none", "at least one text")
        rows = encoder.rows(column(examples, "input"), self.settings.max_length)
        wanted = encoder.rows([texts[0] for texts in targets], self.settings.max_target_length)
        return TokenStore(
            tokens=torch.from_numpy(rows.values),
            row_offsets=torch.from_numpy(rows.offsets),
            example_rows=torch.arange(len(rows) + 1),
            row_weight=torch.from_numpy((1.0 / wanted.lengths).astype(np.float32)),
            columns={
                "targets": torch.from_numpy(wanted.values),
                "targets_offsets": torch.from_numpy(wanted.offsets),
            },
            pad_id=encoder.pad_id,
            end_id=encoder.end_id,
            max_length=self.settings.max_length,
            max_target_length=self.settings.max_target_length,
            segments=encoder.segments,
            text_decoder=encoder.backend.to_str(),
        )

    def add_targets(
        self, batch: TokenBatch, store: TokenStore, planned: PlannedBatch, grid: Grid
    ) -> None:
        length = planned.target_length
        batch.targets["labels"] = store.padded("targets", grid.rows, length, _NOT_SCORED)

    def row_loss(self, model: Any, batch: TokenBatch) -> Tensor:
        labels = batch.targets["labels"]
        config = model.config
        decoder_inputs = shift_right(labels, config.decoder_start_token_id, config.pad_token_id)
        output = model(**batch.inputs, decoder_input_ids=decoder_inputs, use_cache=False)
        logits = output.logits.float()
        losses = functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), ignore_index=_NOT_SCORED, reduction="none"
        )
        return losses.view(labels.shape).sum(1)

    def predict(
        self,
        model: Any,
        store: TokenStore,
        examples: Dataset,
        indices: np.ndarray,
        tokens_per_batch: int,
    ) -> list[str]:
        """Greedily generated texts of at most max_target_length tokens."""
        from tokenizers import Tokenizer

        decoder = Tokenizer.from_str(store.text_decoder)
        plan = evaluation_plan(store, indices, tokens_per_batch)
        texts: list[str] = []
        with evaluating(model), _greedy(model, store, self.settings.max_target_length) as config:
            for planned in plan:
                inputs = self.collate(store, planned).inputs
                ids = model.generate(**inputs, generation_config=config)
                texts += decoder.decode_batch(ids.tolist(), skip_special_tokens=True)
        predictions = [""] * len(texts)
        for position, text in zip(plan.order.tolist(), texts, strict=True):
            predictions[position] = text.strip()
        return predictions

    def compare(self, predictions: list[str], examples: Dataset) -> dict[str, np.ndarray]:
        targets = column(examples, "targets")
        same_length(predictions, targets)
        pairs = zip(predictions, targets, strict=True)
        scores = np.array([rouge(text, tuple(golds)) for text, golds in pairs])
        return dict(zip(MEASURES, scores.reshape(-1, len(MEASURES)).T.copy(), strict=True))

    def floor(self, train: Dataset, evaluation: Dataset) -> dict[str, float]:
        """The input as the output: what copying earns."""
        return self.evaluate(column(evaluation, "input"), evaluation).metrics


def shift_right(labels: Tensor, start_id: int, pad_id: int) -> Tensor:
    """Decoder inputs [B, L] for labels [B, L]: the start token, then all labels but the last."""
    inputs = labels.roll(1, dims=1)
    inputs[:, 0] = start_id
    return inputs.masked_fill_(inputs == _NOT_SCORED, pad_id)


@contextmanager
def _greedy(model: Any, store: TokenStore, longest: int) -> Iterator[Any]:
    """A configuration for greedy search, and for a while the only one.

    `generate` fills what a configuration leaves open from the model's own (beams, forced or
    forbidden tokens, length penalties of a pretrained model), so that one is put aside.
    """
    from transformers import GenerationConfig

    config = GenerationConfig(
        max_new_tokens=longest,
        num_beams=1,
        do_sample=False,
        pad_token_id=store.pad_id,
        eos_token_id=store.end_id,
        decoder_start_token_id=model.config.decoder_start_token_id,
    )
    owners = [module for module in model.modules() if "generation_config" in vars(module)]
    kept = [module.generation_config for module in owners]
    for module in owners:
        module.generation_config = config
    try:
        yield config
    finally:
        for module, own in zip(owners, kept, strict=True):
            module.generation_config = own
