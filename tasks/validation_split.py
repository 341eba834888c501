"""Cuts a server-held validation set from train, where a data set has none.

The cut is made before partitioning, once per data set: its seed belongs to the card. It never
separates what belongs together: questions of one document, references of one input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.errors import DataError


def validation_size(examples: int, fraction: float, maximum: int) -> int:
    """`fraction` of the examples, rounded, at least 1, at most `maximum`."""
    return min(max(round(fraction * examples), 1), maximum)


def stratified_cut(strata: Sequence[Any] | np.ndarray, size: int, seed: int) -> np.ndarray:
    """Indices [size] int64, sorted: from each stratum its share, by largest remainder.

    Args:
        strata: [N] the class of each example (any values that can be compared).

    Raises:
        DataError: nothing would be left to train on.
    """
    values, codes = np.unique(np.asarray(strata), return_inverse=True)
    if size >= len(codes):
        raise DataError("validation", f"{len(codes)} training examples", f"more than {size}")
    counts = np.bincount(codes, minlength=len(values))
    exact = counts * (size / len(codes))
    take = np.floor(exact).astype(np.int64)
    missing = size - int(take.sum())
    take[np.argsort(take - exact, kind="stable")[:missing]] += 1
    rng = _generator(seed)
    chosen = [
        rng.permutation(np.flatnonzero(codes == code))[: take[code]] for code in range(len(values))
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def grouped_cut(groups: Sequence[Any] | np.ndarray, size: int, seed: int) -> np.ndarray:
    """Indices int64, sorted, of whole groups in seeded order, at most `size` examples.

    A group that would exceed `size` is passed over; when every group is larger than `size`, the
    smallest one is taken. At least one group is left to train on.

    Raises:
        DataError: there are fewer than two groups.
    """
    values, codes = np.unique(np.asarray(groups), return_inverse=True)
    if len(values) < 2:
        raise DataError("validation", f"{len(values)} document in train", "at least 2")
    counts = np.bincount(codes, minlength=len(values))
    chosen: list[int] = []
    left = size
    for group in _generator(seed).permutation(len(values)):
        if counts[group] <= left and len(chosen) < len(values) - 1:
            chosen.append(int(group))
            left -= int(counts[group])
    if not chosen:
        chosen = [int(np.argmin(counts))]
    return np.flatnonzero(np.isin(codes, chosen)).astype(np.int64)


def subsample(examples: int, limit: int, seed: int, stream: int) -> np.ndarray:
    """Indices [min(limit, examples)] int64, sorted; a larger limit contains a smaller one's.

    Args:
        stream: number of the split, so that splits draw independently.
    """
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 2, stream])))
    return np.sort(rng.permutation(examples)[:limit]).astype(np.int64)


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 1])))
