"""Who does what: jobs shared out over processes by what they are predicted to cost."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fednlp.engines.client import Assignment
from fednlp.engines.workers import PARTS, cuts
from fednlp.together.runner import groups
from tasks.batches import evaluation_plan

if TYPE_CHECKING:
    from fednlp.experiment import Experiment


def shared_out(costs: Sequence[int], size: int) -> list[list[int]]:
    """The jobs of each of `size` processes: the dearest first, to whoever has least so far."""
    loads, shares = [0] * size, [list[int]() for _ in range(size)]
    for job in sorted(range(len(costs)), key=lambda j: (-costs[j], j)):
        rank = min(range(size), key=lambda r: (loads[r], r))
        loads[rank] += costs[job]
        shares[rank].append(job)
    return [sorted(share) for share in shares]


def shares_of_clients(
    experiment: Experiment, cohort: Sequence[Assignment], size: int
) -> list[list[list[int]]]:
    """Per process its groups of positions in the cohort, which are trained together.

    The groups do not depend on the number of processes. A client costs the tokens of its examples.
    """
    lengths = experiment.stores["train"].example_lengths
    jobs = groups([len(a.examples) for a in cohort], experiment.together.clients)
    costs = [sum(int(lengths[cohort[k].examples].sum()) for k in job) for job in jobs]
    return [[jobs[j] for j in share] for share in shared_out(costs, size)]


def shares_of_examples(
    experiment: Experiment, split: str, indices: np.ndarray, size: int
) -> list[np.ndarray]:
    """Per process positions in `indices` [n], whole batches of one process's evaluation.

    A batch costs its tokens, padding included.
    """
    store, settings = experiment.stores[split], experiment.config.evaluation
    plan = evaluation_plan(store, indices, settings.tokens_per_batch)
    ends = np.concatenate([[0], np.cumsum(plan.examples)])
    bounds = list(pairwise(cuts(plan.padded_tokens, PARTS * size)))
    costs = [int(plan.padded_tokens[a:b].sum()) for a, b in bounds]
    none = np.zeros(0, np.int64)
    return [
        np.concatenate(
            [none, *(plan.order[ends[bounds[j][0]] : ends[bounds[j][1]]] for j in share)]
        )
        for share in shared_out(costs, size)
    ]
