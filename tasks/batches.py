"""Which rows go together, in which order and padded to which length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from torch import Tensor

from tasks.errors import DataError
from tasks.ragged import offsets_of, ranges
from tasks.token_store import TokenStore

# (up to this length, multiples of): few shapes, little padding.
LENGTH_BUCKETS = ((256, 8),)
_LAST_STEP = 64


def bucket(lengths: np.ndarray, longest: int) -> np.ndarray:
    """Rounds lengths [n] (tokens) up to a bucket, at most `longest`: [n] int64."""
    step = np.full(len(lengths), _LAST_STEP)
    for limit, multiple in reversed(LENGTH_BUCKETS):
        step[lengths <= limit] = multiple
    return np.minimum(-(-lengths // step) * step, longest)


@dataclass(frozen=True)
class PlannedBatch:
    """rows: [B] int64; the last `fill` rows are there for the shape only and weigh nothing.

    length, target_length: tokens after padding (0 where there are no targets).
    real_tokens, padded_tokens: before and after padding, targets included.
    """

    rows: np.ndarray
    examples: int
    length: int
    target_length: int
    real_tokens: int
    padded_tokens: int
    fill: int = 0

    def with_rows(self, count: int) -> PlannedBatch:
        """The same batch with `count` >= B rows, for engines that need a fixed shape."""
        extra = count - len(self.rows)
        rows = np.concatenate([self.rows, np.repeat(self.rows[:1], extra)])
        padded = count * (self.length + self.target_length)
        return replace(self, rows=rows, fill=self.fill + extra, padded_tokens=padded)

    def passes(self, tokens: int) -> list[PlannedBatch]:
        """The rows in parts of at most `tokens` padded tokens (or one row), for a bounded memory.

        A long document has hundreds of windows, and a batch has all windows of its examples.
        """
        width = self.length + self.target_length
        most = max(1, tokens // max(width, 1))
        if len(self.rows) <= most:
            return [self]
        cuts, real = range(0, len(self.rows), most), len(self.rows) - self.fill
        parts = [(begin, self.rows[begin : begin + most]) for begin in cuts]
        return [
            replace(self, rows=rows, fill=min(len(rows), max(0, begin + len(rows) - real)))
            for begin, rows in parts
        ]


@dataclass
class TokenBatch:
    """What a model is given. row_weight: [B] float32.

    inputs: [B, L] int64 each, or [B, L, H] float32 where frozen layers have read the tokens.
    """

    inputs: dict[str, Tensor]
    targets: dict[str, Tensor]
    row_weight: Tensor
    examples: int


class Plan(Sequence[PlannedBatch]):
    """Planned batches, made from arrays when they are asked for.

    Attributes:
        order: [n] positions in the examples that were asked for, in the plan's order.
        rows: [R] int64 rows of the store; batch b takes rows[row_starts[b]:row_starts[b + 1]].
        examples, lengths, target_lengths, real_tokens: [batches] int64.
    """

    def __init__(
        self, store: TokenStore, asked: np.ndarray, order: np.ndarray, starts: np.ndarray
    ) -> None:
        """starts: [batches + 1] where the batches begin in `order`."""
        self.order = order
        self.examples = np.diff(starts)
        examples = asked[order]
        if store.rows == store.examples:
            self.rows, self.row_starts = examples, starts
        else:
            first = store.first_rows[examples]
            counts = store.first_rows[examples + 1] - first
            self.rows = ranges(first, counts)
            self.row_starts = offsets_of(counts)[starts]
        self.lengths, self.real_tokens = self._sizes(store.row_lengths, store.max_length)
        self.target_lengths = np.zeros_like(self.lengths)
        if store.target_lengths is not None:
            self.target_lengths, real = self._sizes(store.target_lengths, store.max_target_length)
            self.real_tokens = self.real_tokens + real

    def _sizes(self, lengths: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
        """Per batch: the padded length and the sum of the rows' lengths."""
        if len(self.rows) == 0:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        lengths, starts = lengths[self.rows], self.row_starts[:-1]
        longest_row = np.maximum.reduceat(lengths, starts)
        return bucket(longest_row, longest), np.add.reduceat(lengths, starts)

    @property
    def padded_tokens(self) -> np.ndarray:
        """[batches] int64: tokens after padding."""
        return np.diff(self.row_starts) * (self.lengths + self.target_lengths)

    def __len__(self) -> int:
        return len(self.examples)

    @overload
    def __getitem__(self, index: int) -> PlannedBatch: ...
    @overload
    def __getitem__(self, index: slice) -> list[PlannedBatch]: ...
    def __getitem__(self, index: int | slice) -> PlannedBatch | list[PlannedBatch]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        index %= len(self)
        rows = self.rows[self.row_starts[index] : self.row_starts[index + 1]]
        length, target = int(self.lengths[index]), int(self.target_lengths[index])
        real, padded = int(self.real_tokens[index]), len(rows) * (length + target)
        return PlannedBatch(rows, int(self.examples[index]), length, target, real, padded)

    def __iter__(self) -> Iterator[PlannedBatch]:
        return (self[index] for index in range(len(self)))


def epoch_plan(
    store: TokenStore,
    examples: np.ndarray,
    batch_size: int,
    rng: np.random.Generator,
    window_batches: int = 16,
) -> Plan:
    """One epoch over `examples` [n] int64 in random order, with little padding.

    Shuffled; sorted by length inside a window of `batch_size * window_batches` examples; the order
    of a window's batches shuffled. `batch_size` counts examples: each comes exactly once, with all
    its rows. The last batch holds what is left over, drawn before the sorting: otherwise the
    longest examples would be the ones in a small batch, and weigh more.

    Raises:
        DataError: batch_size or window_batches below 1.
    """
    _at_least_one("batch_size", batch_size)
    _at_least_one("window_batches", window_batches)
    asked = np.asarray(examples, np.int64)
    order = rng.permutation(len(asked))
    batches = len(asked) // batch_size
    full = batches * batch_size
    lengths = store.example_lengths[asked[order[:full]]]
    if store.target_lengths is not None:
        lengths = lengths + store.target_lengths[asked[order[:full]]]
    window = np.arange(full) // (batch_size * window_batches)
    by_length = order[:full][np.lexsort((lengths, window))].reshape(batches, batch_size)
    shuffled = np.lexsort((rng.random(batches), np.arange(batches) // window_batches))
    order = np.concatenate([by_length[shuffled].reshape(-1), order[full:]])
    starts = np.append(np.arange(0, len(asked), batch_size), len(asked))
    return Plan(store, asked, order, starts)


def class_by_class_plan(
    store: TokenStore, examples: np.ndarray, batch_size: int, rng: np.random.Generator
) -> Plan:
    """One epoch over `examples` [n] int64 as unshuffled files have them: one class after another.

    Inside a class the order is random. A batch holds two classes only where one ends in it.

    Raises:
        DataError: batch_size below 1.
    """
    _at_least_one("batch_size", batch_size)
    asked = np.asarray(examples, np.int64)
    classes = store.columns["label"].numpy(force=True)[asked]
    order = np.lexsort((rng.random(len(asked)), classes))
    starts = np.append(np.arange(0, len(asked), batch_size), len(asked))
    return Plan(store, asked, order, starts)


def evaluation_plan(store: TokenStore, examples: np.ndarray, tokens_per_batch: int) -> Plan:
    """Batches of at most `tokens_per_batch` padded tokens, longest first; nothing is random.

    Targets count with their cap, for they are generated. An example beyond the limit is a batch of
    its own. Longest first: a memory that is too small shows at once.

    Raises:
        DataError: tokens_per_batch below 1.
    """
    _at_least_one("tokens_per_batch", tokens_per_batch)
    asked = np.asarray(examples, np.int64)
    lengths = store.example_lengths[asked]
    order = np.argsort(-lengths, kind="stable")
    padded = bucket(lengths[order], store.max_length) + store.max_target_length
    starts = [0, *_filled(padded, _row_counts(store, asked[order]), tokens_per_batch)]
    return Plan(store, asked, order, np.array(starts, np.int64))


def token_budget_plan(
    store: TokenStore,
    examples: np.ndarray,
    tokens_per_batch: int,
    rng: np.random.Generator,
    window_batches: int = 16,
) -> Plan:
    """One epoch over `examples` [n] int64 in batches of at most `tokens_per_batch` padded tokens.

    As `epoch_plan`, but short examples make large batches: shuffled; sorted by length, longest
    first, inside a window of `window_batches` batches' tokens; the order of a window's batches
    shuffled. An example beyond the limit is a batch of its own.

    Raises:
        DataError: tokens_per_batch or window_batches below 1.
    """
    _at_least_one("tokens_per_batch", tokens_per_batch)
    _at_least_one("window_batches", window_batches)
    asked = np.asarray(examples, np.int64)
    order = rng.permutation(len(asked))
    lengths, rows = store.example_lengths[asked], _row_counts(store, asked)
    padded, targets = bucket(lengths, store.max_length), np.zeros_like(lengths)
    if store.target_lengths is not None:
        targets = bucket(store.target_lengths[asked], store.max_target_length)
    spent = np.cumsum(((padded + targets) * rows)[order])
    window = spent // (tokens_per_batch * window_batches)
    order = order[np.lexsort((-lengths[order], window))]
    batches: list[np.ndarray] = []
    for part in np.split(order, np.flatnonzero(np.diff(window)) + 1):
        width = padded[part] + targets[part].max(initial=0)  # whichever targets come together
        cut = np.split(part, _filled(width, rows[part], tokens_per_batch)[:-1])
        batches += [cut[i] for i in rng.permutation(len(cut))]
    starts = np.cumsum([0, *(len(batch) for batch in batches)])
    return Plan(store, asked, np.concatenate(batches), starts)


def _row_counts(store: TokenStore, examples: np.ndarray) -> np.ndarray:
    """Rows of each example [n]: [n] int64."""
    return store.first_rows[examples + 1] - store.first_rows[examples]


def _filled(padded: np.ndarray, rows: np.ndarray, tokens: int) -> list[int]:
    """Ends of batches of at most `tokens`, or one example, in examples sorted longest first.

    padded: [n] tokens of an example's row. rows: [n] rows of each.
    """
    before, ends = np.concatenate([[0], np.cumsum(rows)]), [0]
    while ends[-1] < len(rows):
        begin = ends[-1]
        room = int(before[begin]) + max(1, tokens // int(padded[begin]))
        ends.append(max(begin + 1, int(np.searchsorted(before[1:], room, side="right"))))
    return ends[1:]


def _at_least_one(where: str, value: int) -> None:
    if value < 1:
        raise DataError(where, str(value), "a whole number of at least 1")
