"""The label split that FedNLP published, defects and all. Only for comparing old results with new.

Lin et al. 2022, "FedNLP: Benchmarking federated learning methods for natural language processing
tasks", as its script niid_label.py draws it. For a split of N examples with label shares p:

    every client gets floor(N / K) examples, the last one all that is left
    q_k ~ Dir(alpha * p), drawn again where numpy's old generator gives NaN
    client k takes round(q_k[l] * size) of label l, label by label, the last label what is missing
    a label that runs out is topped up from the others, in proportion to what they have left

Train and test are two such draws, one after the other, from one generator: `make_partition` does
that, and with the seed of the script and labels numbered in the order of its `label_vocab` the
clients are those of the script. What is wrong with them, and right in `dirichlet`:

- the last client can be many times as large: 325 examples beside 999 clients of 11;
- a client's test share has nothing to do with its train share, so no local score means anything;
- clients served late are fed what the others left, so skew depends on a client's number;
- for small alpha most mixes are NaN; the script then never ends, here that is an error.

Labels that a split lacks stop the script; here they are left out. The script stores a client's
examples sorted by label; a `Split` knows no order.

    generator = np.random.RandomState(0)
    split = legacy_fednlp(labels, 100, generator, alpha=0.1)
    split.sizes()            # equal but for the last
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .arguments import require_alpha, require_generator, require_labels, require_room
from .errors import PartitionError
from .partition import Split

REDRAWS = 10_000  # of one mix, before it is called hopeless


@dataclass(frozen=True)
class LegacyFednlpParameters:
    """alpha: concentration of a client's label mix, as in `dirichlet`."""

    alpha: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", require_alpha(self.alpha))


def legacy_fednlp(
    labels: np.ndarray,
    clients: int,
    generator: np.random.RandomState | np.random.Generator,
    *,
    alpha: float,
    min_size: int = 1,
) -> Split:
    """Split by `labels` ([N] int64); every example is given out.

    `generator` is a RandomState for the draw of the script; any other gives the same law.
    Raises PartitionError for a bad alpha or fewer than clients * min_size examples.
    """
    if not isinstance(generator, np.random.RandomState):
        require_generator(generator)
    alpha, labels = require_alpha(alpha), require_labels(labels)
    clients, _ = require_room(len(labels), clients, min_size)  # nobody gets less than N // clients
    return original_draw(labels, clients, generator, alpha)


def original_generator(seed: int) -> np.random.RandomState:
    """What `np.random.seed(seed)` starts; PartitionError for a seed that it does not take."""
    if seed >= 2**32:
        raise PartitionError("partition.seed", str(seed), "below 2**32 for legacy_fednlp")
    return np.random.RandomState(seed)


def original_draw(
    labels: np.ndarray,
    clients: int,
    generator: np.random.RandomState | np.random.Generator,
    alpha: float,
) -> Split:
    """One split; with fewer examples than clients the last client has them all."""
    owners = np.full(len(labels), clients - 1)
    if not len(labels):
        return Split.from_owners(owners, clients)
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
    for examples in rows:
        generator.shuffle(examples)
    concentration = alpha * (counts / len(labels))
    generator.dirichlet(concentration)  # the script draws one mix that nobody gets
    left = counts.tolist()
    for client in range(clients - 1):
        for label, count in _shares(_mix(concentration, generator), left, len(labels) // clients):
            end = counts[label] - left[label]
            owners[rows[label][end - count : end]] = client
    _mix(concentration, generator)  # of the last client, which changes no share but what follows
    return Split.from_owners(owners, clients)


def _mix(
    concentration: np.ndarray, generator: np.random.RandomState | np.random.Generator
) -> np.ndarray:
    for _ in range(REDRAWS):
        mix = generator.dirichlet(concentration)
        if not np.isnan(mix).any():
            return mix
    raise PartitionError(
        "partition.alpha",
        f"is so small that {REDRAWS} mixes of one client are all NaN",
        fix="use a larger alpha, or dirichlet, which has no such limit",
    )


def _shares(mix: np.ndarray, left: list[int], size: int) -> Iterator[tuple[int, int]]:
    """(label, count) of a client of `size` examples, in the order taken; lowers `left` [C]."""
    ends = np.minimum(np.cumsum(np.rint(mix * size).astype(np.int64)), size)
    ends[-1] = size
    for label, wish in enumerate(np.diff(ends, prepend=0).tolist()):
        count = min(wish, left[label])
        left[label] -= count
        yield label, count
        if count < wish:
            for other, extra in _top_up(left, wish - count):
                left[other] -= extra
                yield other, extra


def _top_up(left: list[int], missing: int) -> list[tuple[int, int]]:
    """(label, count) of `missing` examples in proportion to `left`, the scarcest label first."""
    total, room, given = sum(left), missing, []
    for label in sorted(range(len(left)), key=left.__getitem__):
        if left[label]:
            count = min(math.ceil(left[label] / total * missing), left[label], room)
            given.append((label, count))
            room -= count
    return given
