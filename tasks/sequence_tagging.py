"""Sequence tagging: one IOB2 tag per word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tasks.batches import PlannedBatch, TokenBatch, evaluation_plan
from tasks.metrics_classification import same_length
from tasks.metrics_entities import EntityCounter, precision_recall_f1, sentence_f1
from tasks.ragged import Part, Ragged, offsets_of, ranges, side_by_side
from tasks.task import Task, classes, column, evaluating
from tasks.text_encoder import TextEncoder
from tasks.token_store import Grid, TokenStore, send

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast

_NOT_SCORED = -100


class SequenceTagging(Task):
    """Cross-entropy at the first token of every word; entity F1. Columns: words, tags.

    A sentence that is too long is cut between words into consecutive windows, so every word is
    scored exactly once; only a single word beyond a whole window loses its last tokens. The loss of
    a sentence is the mean over its words, whatever the windows.
    """

    name = "sequence_tagging"
    primary_metric = "f1"
    auto_class = "AutoModelForTokenClassification"

    @classmethod
    def texts(cls, examples: Dataset) -> list[str]:
        return [" ".join(words) for words in column(examples, "words")]

    def skew_labels(self, examples: Dataset, kind: str) -> tuple[np.ndarray, list[str]]:
        """entity_types: the sorted set of types in the sentence, such as "LOC+PER", or "none"."""
        if kind != "entity_types":
            return super().skew_labels(examples, kind)
        counter = EntityCounter(self.labels)
        present = counter.types_in(column(examples, "tags"))
        sets = ["+".join(np.array(counter.types)[row]) or "none" for row in present]
        return classes(sets)

    def encode(
        self, examples: Dataset, tokenizer: PreTrainedTokenizerFast, training: bool
    ) -> TokenStore:
        encoder = TextEncoder(tokenizer)
        sentences = column(examples, "words")
        distinct = {word: i for i, word in enumerate({w for words in sentences for w in words})}
        pieces = encoder.words(list(distinct))
        words = Ragged.of([distinct[word] for word in words] for words in sentences)
        tags = Ragged.of(column(examples, "tags"))
        room = self.settings.max_length - len(encoder.prefix) - len(encoder.suffix)
        lengths = np.minimum(pieces.lengths, room)[
            words.values
        ]  # tokens of every word in its place
        starts = pieces.offsets[words.values]
        windows, example_rows = _windows(words, lengths, room)

        token_ends = offsets_of(lengths)
        body = Part(
            values=pieces.values[ranges(starts, lengths)],
            starts=token_ends[windows[:-1]],
            lengths=np.diff(token_ends[windows]),
        )
        head, tail = (
            Part.constant(part, len(windows) - 1) for part in (encoder.prefix, encoder.suffix)
        )
        rows = side_by_side([head, body, tail])
        scored = np.full(len(body.values), _NOT_SCORED, np.int32)
        scored[token_ends[:-1]] = tags.values
        edges = [
            Part(np.full_like(p.values, _NOT_SCORED), p.starts, p.lengths) for p in (head, tail)
        ]
        marks = side_by_side([edges[0], Part(scored, body.starts, body.lengths), edges[1]])
        weight = np.repeat(1.0 / np.maximum(words.lengths, 1), np.diff(example_rows))
        return TokenStore(
            tokens=torch.from_numpy(rows.values),
            row_offsets=torch.from_numpy(rows.offsets),
            example_rows=torch.from_numpy(example_rows),
            row_weight=torch.from_numpy(weight.astype(np.float32)),
            columns={"tags": torch.from_numpy(marks.values)},
            pad_id=encoder.pad_id,
            end_id=encoder.end_id,
            max_length=self.settings.max_length,
            segments=encoder.segments,
        )

    def add_targets(
        self, batch: TokenBatch, store: TokenStore, planned: PlannedBatch, grid: Grid
    ) -> None:
        batch.targets["tags"] = grid.take(store.columns["tags"], _NOT_SCORED)

    def row_loss(self, model: Any, batch: TokenBatch) -> Tensor:
        logits = model(**batch.inputs).logits.float()
        losses = functional.cross_entropy(
            logits.flatten(0, 1),
            batch.targets["tags"].flatten(),
            ignore_index=_NOT_SCORED,
            reduction="none",
        )
        return losses.view(logits.shape[:2]).sum(1)

    def predict(
        self,
        model: Any,
        store: TokenStore,
        examples: Dataset,
        indices: np.ndarray,
        tokens_per_batch: int,
    ) -> list[list[int]]:
        """One tag number per word."""
        # One place per token of the store, and a last one that takes what padding says.
        found = torch.zeros(len(store.tokens) + 1, dtype=torch.int16, device=store.device)
        with evaluating(model):
            for planned in evaluation_plan(store, indices, tokens_per_batch):
                batch = self.collate(store, planned)
                tags = model(**batch.inputs).logits.argmax(-1).to(torch.int16)
                rows = send(planned.rows, store.device)
                grid = store.grid(rows, planned.length)
                found[torch.where(grid.mask, grid.index, len(found) - 1)] = tags
        tags, scored = found[:-1].numpy(force=True), store.columns["tags"].numpy(force=True)
        begins = store.row_offsets.numpy(force=True)[store.first_rows]
        predictions = []
        for example in np.asarray(indices).tolist():
            span = slice(begins[example], begins[example + 1])
            predictions.append(tags[span][scored[span] != _NOT_SCORED].tolist())
        return predictions

    def compare(self, predictions: list[list[int]], examples: Dataset) -> dict[str, np.ndarray]:
        gold = column(examples, "tags")
        same_length(predictions, gold)
        counts = EntityCounter(self.labels).count(gold, predictions)
        return {"f1": sentence_f1(counts), **counts}

    def metrics(self, per_example: dict[str, np.ndarray]) -> dict[str, float]:
        return precision_recall_f1(per_example)

    def floor(self, train: Dataset, evaluation: Dataset) -> dict[str, float]:
        """No entity anywhere: the majority tag of every word, F1 0."""
        outside = self.labels.index("O")
        predictions = [[outside] * len(tags) for tags in column(evaluation, "tags")]
        return self.evaluate(predictions, evaluation).metrics


def _windows(words: Ragged, lengths: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray]:
    """Cuts sentences between words into windows of at most `room` tokens.

    Args:
        words: sentences as lists of words.
        lengths: [words] tokens of each word, at most `room`.

    Returns:
        Where the windows begin among all words [rows + 1], and the example offsets in rows.
    """
    ends = offsets_of(lengths)
    tokens = ends[words.offsets[1:]] - ends[words.offsets[:-1]]
    cuts: list[int] = []
    counts = np.ones(len(words), np.int64)
    for sentence in np.flatnonzero(tokens > room).tolist():
        begin, stop = int(words.offsets[sentence]), int(words.offsets[sentence + 1])
        while ends[stop] - ends[begin] > room:
            begin = int(np.searchsorted(ends, ends[begin] + room, side="right")) - 1
            cuts.append(begin)
            counts[sentence] += 1
    firsts = offsets_of(counts)
    windows = np.empty(firsts[-1] + 1, np.int64)
    windows[firsts] = words.offsets
    windows[np.setdiff1d(np.arange(len(windows)), firsts, assume_unique=True)] = cuts
    return windows, firsts
