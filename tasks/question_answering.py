"""Extractive question answering: the span of a context that answers a question."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tasks import metrics_squad
from tasks.answer_windows import windows
from tasks.batches import PlannedBatch, TokenBatch, evaluation_plan
from tasks.best_span import best_spans
from tasks.errors import DataError
from tasks.metrics_classification import same_length
from tasks.ragged import Part, Ragged, side_by_side
from tasks.task import Task, TokenSettings, classes, column, evaluating, model_inputs
from tasks.text_encoder import TextEncoder
from tasks.token_store import Grid, TokenStore, send

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast

MAX_QUESTION_LENGTH = 64  # tokens, and never more than half of a window
MAX_ANSWER_LENGTH = 30  # tokens of a predicted answer
_QUESTION_WORD = re.compile(r"\b(what|who|whom|whose|when|where|which|why|how)\b", re.IGNORECASE)


class QuestionAnswering(Task):
    """Start and end of the answer; SQuAD exact match and F1.

    Columns: id, question, context, title, answers {text, start}. A question is asked about every
    window of its context. Its loss is the mean over the windows of the mean of the start and end
    cross-entropy over all tokens of the window; the target of a window without the whole answer is
    its first token. The first gold answer is the target.
    """

    name = "question_answering"
    primary_metric = "f1"
    auto_class = "AutoModelForQuestionAnswering"
    token_settings = ("max_length", "doc_stride")

    def __init__(self, labels: list[str], settings: TokenSettings) -> None:
        super().__init__(labels, settings)
        if settings.doc_stride >= settings.max_length:
            expected = f"less than max_length, which is {settings.max_length}"
            fix = "doc_stride is the overlap of two windows, not their distance"
            raise DataError("tokens.doc_stride", str(settings.doc_stride), expected, fix)

    @classmethod
    def texts(cls, examples: Dataset) -> list[str]:
        pairs = zip(column(examples, "question"), column(examples, "context"), strict=True)
        return [f"{question} {context}" for question, context in pairs]

    @classmethod
    def tokenizer_texts(cls, examples: Dataset) -> list[str]:
        """Questions, and every context once."""
        return column(examples, "question") + list(dict.fromkeys(column(examples, "context")))

    def skew_labels(self, examples: Dataset, kind: str) -> tuple[np.ndarray, list[str]]:
        """question_type: the first question word (who stands for whom and whose), or "other"."""
        if kind != "question_type":
            return super().skew_labels(examples, kind)
        return classes([question_type(question) for question in column(examples, "question")])

    def encode(
        self, examples: Dataset, tokenizer: PreTrainedTokenizerFast, training: bool
    ) -> TokenStore:
        encoder = TextEncoder(tokenizer)
        before, between, after = encoder.pair
        contexts = column(examples, "context")
        distinct = {context: i for i, context in enumerate(dict.fromkeys(contexts))}
        tokens, begin, end = encoder.texts_with_places(list(distinct))
        which = np.array([distinct[context] for context in contexts], np.int64)
        answer = _answer_tokens(column(examples, "answers"), which, tokens, begin, end)

        budget = self.settings.max_length - len(before) - len(between) - len(after)
        asked = Part.heads(
            encoder.texts(column(examples, "question")), min(MAX_QUESTION_LENGTH, budget // 2)
        )
        cut = windows(
            tokens.lengths[which],
            budget - asked.lengths,
            # evaluation cannot look where the answer is, so any short one must be whole somewhere
            self.settings.doc_stride
            if training
            else max(self.settings.doc_stride, MAX_ANSWER_LENGTH - 1),
            answer,
            keep_answer=training,
        )
        example, count = cut.examples, len(cut.starts)
        first = tokens.offsets[which[example]] + cut.starts
        question = Part(asked.values, asked.starts[example], asked.lengths[example])
        rows = side_by_side(
            [
                Part.constant(before, count),
                question,
                Part.constant(between, count),
                Part(tokens.values, first, cut.lengths),
                Part.constant(after, count),
            ]
        )
        second = len(before) + question.lengths + len(between)
        span = np.where(cut.answer >= 0, cut.answer + second[:, None], 0)
        weight = np.repeat(1.0 / np.diff(cut.example_rows), np.diff(cut.example_rows))
        blank = _blank(list(distinct), tokens, begin, end)
        columns = {
            "second": second,  # place in the row where the window of the context begins
            "span": span,
            "window": np.stack([first, cut.lengths], axis=1),  # into char_start and char_end
            "char_start": begin,
            "char_end": np.where(blank, begin, end),
        }
        return TokenStore(
            tokens=torch.from_numpy(rows.values),
            row_offsets=torch.from_numpy(rows.offsets),
            example_rows=torch.from_numpy(cut.example_rows),
            row_weight=torch.from_numpy(weight.astype(np.float32)),
            columns={name: torch.from_numpy(values) for name, values in columns.items()},
            pad_id=encoder.pad_id,
            end_id=encoder.end_id,
            max_length=self.settings.max_length,
            segments=encoder.segments,
        )

    def add_targets(
        self, batch: TokenBatch, store: TokenStore, planned: PlannedBatch, grid: Grid
    ) -> None:
        if store.segments:
            place = torch.arange(planned.length, device=store.device)
            later = place >= store.columns["second"][grid.rows].unsqueeze(1)
            batch.inputs["token_type_ids"] = (later & grid.mask).long()
        batch.targets["span"] = store.columns["span"][grid.rows]

    def row_loss(self, model: Any, batch: TokenBatch) -> Tensor:
        start, end = self._logits(model, batch)
        span = batch.targets["span"]
        losses = [
            functional.cross_entropy(logits, target, reduction="none")
            for logits, target in ((start, span[:, 0]), (end, span[:, 1]))
        ]
        return (losses[0] + losses[1]) / 2

    def _logits(self, model: Any, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """Start and end logits [B, L] float32, the lowest number at padding."""
        output = model(**model_inputs(model, batch))
        padding = batch.inputs["attention_mask"] == 0
        lowest = torch.finfo(torch.float32).min
        start, end = output.start_logits.float(), output.end_logits.float()
        return start.masked_fill(padding, lowest), end.masked_fill(padding, lowest)

    def predict(
        self,
        model: Any,
        store: TokenStore,
        examples: Dataset,
        indices: np.ndarray,
        tokens_per_batch: int,
    ) -> list[str]:
        """The best span over all windows of a question, by the sum of its two logits.

        Never empty where the context has a visible character.
        """
        score = torch.full((store.rows,), -torch.inf, device=store.device)
        places = torch.zeros((store.rows, 2), dtype=torch.int64, device=store.device)
        with evaluating(model):
            for planned in evaluation_plan(store, indices, tokens_per_batch):
                start, end = self._logits(model, self.collate(store, planned))
                rows = send(planned.rows, store.device)
                token, allowed = _context_tokens(store, rows, planned.length)
                score[rows], first, last = best_spans(start, end, allowed, MAX_ANSWER_LENGTH)
                places[rows, 0] = store.columns["char_start"][token.gather(1, first[:, None])][
                    :, 0
                ].long()
                places[rows, 1] = store.columns["char_end"][token.gather(1, last[:, None])][
                    :, 0
                ].long()
        scores, spans = score.numpy(force=True), places.numpy(force=True)
        chosen = np.asarray(indices, np.int64)
        predictions = []
        for example, context in zip(
            chosen.tolist(), column(examples.select(chosen), "context"), strict=True
        ):
            begin, stop = store.first_rows[example : example + 2]
            best = begin + int(np.argmax(scores[begin:stop]))
            if np.isfinite(scores[best]):
                predictions.append(context[spans[best, 0] : spans[best, 1]].strip())
            else:  # no token to choose, or a model that has diverged
                predictions.append(next(iter(context.split()), ""))
        return predictions

    def compare(self, predictions: list[str], examples: Dataset) -> dict[str, np.ndarray]:
        golds = [answers["text"] for answers in column(examples, "answers")]
        same_length(predictions, golds)
        pairs = list(zip(predictions, golds, strict=True))
        return {
            "exact_match": np.array([metrics_squad.exact_match(p, g) for p, g in pairs]),
            "f1": np.array([metrics_squad.f1(p, g) for p, g in pairs]),
        }

    def floor(self, train: Dataset, evaluation: Dataset) -> dict[str, float]:
        """The whole context as the answer: what copying the input earns."""
        return self.evaluate(column(evaluation, "context"), evaluation).metrics


def question_type(question: str) -> str:
    """The first question word in lower case; "who" for whom and whose; "other" without one."""
    found = _QUESTION_WORD.search(question)
    if found is None:
        return "other"
    word = found.group().lower()
    return "who" if word.startswith("who") else word


def _answer_tokens(
    answers: list[dict], which: np.ndarray, tokens: Ragged, begin: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """First and last token of each first gold answer in its context: [examples, 2], or -1, -1.

    Args:
        which: [examples] number of the context.
        tokens: of the contexts; begin, end: [T] characters of each token.
    """
    start = np.array([a["start"][0] if a["text"] else 0 for a in answers], np.int64)
    stop = start + np.array([len(a["text"][0]) if a["text"] else 0 for a in answers], np.int64)
    # Contexts laid end to end on one line of characters: one sorted search serves all.
    stride = int(max(end.max(initial=0), stop.max(initial=0))) + 2
    line = np.repeat(np.arange(len(tokens)) * stride, tokens.lengths)
    begins = np.maximum.accumulate(line + begin)
    ends = np.maximum.accumulate(line + end)
    base = which * stride
    first = np.searchsorted(ends, base + start, side="right") - tokens.offsets[which]
    last = np.searchsorted(begins, base + stop, side="left") - 1 - tokens.offsets[which]
    found = (start < stop) & (first <= last) & (last < tokens.lengths[which])
    return np.where(found[:, None], np.stack([first, last], axis=1), -1)


def _blank(contexts: list[str], tokens: Ragged, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Whether a token [T] covers white space only, so that no answer may begin or end there."""
    characters = np.cumsum([0, *map(len, contexts)])[:-1]
    visible = np.fromiter((not c.isspace() for text in contexts for c in text), np.int64)
    before = np.concatenate([[0], np.cumsum(visible)])
    line = np.repeat(characters, tokens.lengths)
    return before[line + end] == before[line + begin]


def _context_tokens(store: TokenStore, rows: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Number of the context token at every place of rows [B], and whether an answer may use it."""
    first, count = store.columns["window"][rows].unbind(1)
    place = torch.arange(length, device=rows.device) - store.columns["second"][rows].unsqueeze(1)
    inside = (place >= 0) & (place < count.unsqueeze(1))
    token = (first.unsqueeze(1) + place).mul_(inside)
    visible = store.columns["char_end"][token] > store.columns["char_start"][token]
    return token, inside & visible
