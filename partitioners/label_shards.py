"""Exactly k labels per client: the pathological split.

McMahan et al. 2017, "Communication-efficient learning of deep networks from decentralized
data", section 3: sort by label, cut into K * k shards, give each client k of them. Sorted
shards straddle label borders and one client may draw two of the same label; here the shards are
laid out so that a client holds exactly k different labels:

    s_c shards of label c, in proportion to its examples, 1 <= s_c <= min(K, N_c), sum_c s_c = K k

and each client in turn takes k labels at random, weighted by the shards that are left; a label
with as many shards left as there are clients left must be taken. With more labels than shards
(articles as labels, say) whole labels are first bundled into K * k bundles of about equal size,
and a client holds k bundles.

    generator = np.random.default_rng(0)
    split = label_shards(labels, 100, generator, labels_per_client=2)
    np.unique(labels[split.client(0)])       # 2 labels
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from .arguments import require_count, require_generator, require_labels, require_room
from .draws import deal
from .errors import PartitionError
from .partition import Split
from .repair import repair

BLOCK = 2_000_000  # random weights drawn at once


@dataclass(frozen=True)
class LabelShardsParameters:
    """labels_per_client: different labels each client holds, at least 1."""

    labels_per_client: int = 2

    def __post_init__(self) -> None:
        each = require_count("labels_per_client", self.labels_per_client)
        object.__setattr__(self, "labels_per_client", each)


def label_shards(
    labels: np.ndarray,
    clients: int,
    generator: np.random.Generator,
    *,
    labels_per_client: int = 2,
    min_size: int = 1,
) -> Split:
    """Split by `labels` ([N] int64); every example is given out.

    A `min_size` above what the shards give is reached by repair, which may add labels to a
    client. Raises PartitionError when k different labels per client are impossible.
    """
    require_generator(generator)
    each, labels = require_count("labels_per_client", labels_per_client), require_labels(labels)
    clients, min_size = require_room(len(labels), clients, min_size)
    shards = clients * each
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    _require_feasible(sizes, clients, each)
    if len(sizes) > shards:
        codes = _bundles(sizes, shards, generator)[codes]
        sizes = np.bincount(codes)
    slots = _slots(sizes, clients, shards)
    classes = _choices(slots, clients, each, generator).ravel()
    holders = np.repeat(np.arange(clients), each)
    counts = _even_parts(sizes, slots, classes, generator)
    owners = deal(codes, holders, classes, counts, generator)
    return Split.from_owners(repair(owners, clients, min_size, generator), clients)


def _require_feasible(sizes: np.ndarray, clients: int, each: int) -> None:
    if each > len(sizes):
        raise PartitionError(
            "partition.labels_per_client",
            f"{each}, but the training split has {len(sizes)} different labels",
            f"at most {len(sizes)}",
        )
    room = int(np.minimum(sizes, clients).sum())
    if len(sizes) <= clients * each and room < clients * each:
        raise PartitionError(
            "partition.labels_per_client",
            f"{clients} clients with {each} different labels each need {clients * each} "
            f"(client, label) pairs, the examples allow {room}",
            fix="use fewer clients or fewer labels per client",
        )


def _bundles(sizes: np.ndarray, bundles: int, generator: np.random.Generator) -> np.ndarray:
    """[C] int64: the bundle of each label; largest label first, into the smallest bundle."""
    heap = [(0, int(bundle)) for bundle in generator.permutation(bundles)]
    heapq.heapify(heap)
    bundle_of = np.empty(len(sizes), dtype=np.int64)
    for label in np.argsort(-sizes, kind="stable"):
        held, bundle = heap[0]
        bundle_of[label] = bundle
        heapq.heapreplace(heap, (held + int(sizes[label]), bundle))
    return bundle_of


def _slots(sizes: np.ndarray, clients: int, shards: int) -> np.ndarray:
    """[C] int64: shards per label, in proportion to `sizes`, within [1, min(clients, size)]."""
    upper = np.minimum(sizes, clients)

    def at(scale: float) -> np.ndarray:
        return np.clip(np.floor(sizes * scale), 1, upper).astype(np.int64)

    low, high = 0.0, float(clients)  # at(low) gives too few or just enough, at(high) enough
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle).sum() <= shards else (low, middle)
    slots, more = at(low), np.flatnonzero(at(high) > at(low))
    missing = shards - int(slots.sum())
    slots[more[:missing]] += 1  # labels that reach their next shard at the same scale
    return slots


def _choices(
    slots: np.ndarray, clients: int, each: int, generator: np.random.Generator
) -> np.ndarray:
    """[clients, each] int64: different labels in a row, label c in `slots[c]` rows.

    A label never has more shards left than there are clients left, and those with exactly as
    many are taken now, so the last client cannot be stuck with two shards of one label.
    """
    if each == 1:  # then it is drawing shards without putting them back
        return generator.permutation(np.repeat(np.arange(len(slots)), slots))[:, None]
    left = slots.astype(np.float64)
    chosen = np.empty((clients, each), dtype=np.int64)
    weights = np.empty((0, len(slots)))
    step = max(1, BLOCK // len(slots))
    with np.errstate(divide="ignore", invalid="ignore"):  # no shards left: an infinite key
        for k in range(clients):
            if k % step == 0:
                weights = generator.standard_exponential((min(step, clients - k), len(slots)))
            keys = weights[k % step] / left  # smallest keys: a weighted draw of different labels
            keys[left == clients - k] = -1.0
            mine = keys.argpartition(each - 1)[:each]
            chosen[k] = mine
            left[mine] -= 1
    return generator.permutation(chosen)


def _even_parts(
    sizes: np.ndarray, slots: np.ndarray, classes: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """[m] int64: examples of each shard; the shards of a label differ by at most one."""
    order = generator.permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    rank = np.empty(len(classes), dtype=np.int64)
    rank[order] = np.arange(len(classes)) - np.repeat(np.cumsum(slots) - slots, slots)
    return sizes[classes] // slots[classes] + (rank < sizes[classes] % slots[classes])
