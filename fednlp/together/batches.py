"""The batches of several clients as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.batches import PlannedBatch


@dataclass(frozen=True, eq=False)
class JointBatch:
    """The rows of K clients, client by client, all padded to one shape.

    planned: K * B rows. share: [K * B] float32, what a row's loss counts for in its client's mean:
    1 / the client's examples, 0 for rows that are there for the shape only.
    """

    planned: PlannedBatch
    share: np.ndarray
    batch: int  # B


def joint(
    batches: Sequence[PlannedBatch], most_tokens: int, shape: tuple[int, int]
) -> list[JointBatch]:
    """One batch of each client together, in passes of at most `most_tokens` or a row per client.

    shape: clients, and rows of each; what the batches do not fill weighs nothing.
    """
    length = max(batch.length for batch in batches)
    target_length = max(batch.target_length for batch in batches)
    clients, count = shape
    rows = np.full(shape, batches[0].rows[0], np.int64)
    share = np.zeros(shape, np.float32)
    for k, batch in enumerate(batches):
        own = len(batch.rows)
        rows[k, :own], rows[k, own:] = batch.rows, batch.rows[0]
        share[k, :own] = 1.0 / batch.examples
    most = max(1, most_tokens // (clients * max(length + target_length, 1)))
    passes = []
    for begin in range(0, count, most):
        part = rows[:, begin : begin + most]
        planned = PlannedBatch(part.reshape(-1), 0, length, target_length, 0, 0)
        passes.append(
            JointBatch(planned, share[:, begin : begin + most].reshape(-1), part.shape[1])
        )
    return passes


def padded_tokens(passes: Sequence[JointBatch]) -> int:
    """Tokens after padding that each client has in these passes."""
    return sum(p.batch * (p.planned.length + p.planned.target_length) for p in passes)
