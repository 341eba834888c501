"""How far two partitions of the same rows are the same.

comparison = compare(Partition.load("a.npz"), Partition.load("b.npz"))
comparison.identical, comparison.splits["train"].adjusted_rand
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .agreement import adjusted_rand, normalized_mutual_information
from .errors import PartitionError
from .histogram import LabelHistogram
from .label_mixes import label_mixes, row_distances
from .matching import match_clients
from .overlap import compared_by, overlap
from .partition import Partition


@dataclass(frozen=True)
class SplitComparison:
    """One split of both partitions. The shares are None where no row is in both.

    compared_by: "row" (its number) or "content" (its hash). rows_a, rows_b, rows_shared: how many
    each gives out, and how many both do. same_client: share of the shared rows that the client of
    the same number has. matched_client: the same for the matched client. adjusted_rand,
    normalized_mutual_information: of the two assignments of the shared rows.
    """

    compared_by: str
    rows_a: int
    rows_b: int
    rows_shared: int
    same_client: float | None
    matched_client: float | None
    adjusted_rand: float | None
    normalized_mutual_information: float | None

    @property
    def same_rows(self) -> bool:
        """Whether both give out the same rows, to whomever."""
        return self.rows_a == self.rows_b == self.rows_shared


@dataclass(frozen=True)
class Matching:
    """Clients that share the most train rows; see `partitioners/matching.py`.

    exact: whether no other matching shares more. a, b: [m] clients, `a` ascending. rows: [m] train
    rows in both. size_differences: [m] train rows of the one in b minus those of the one in a.
    distances: [m] Jensen-Shannon distance of the two label mixes, or None where the two were
    measured by different labels or not at all.
    """

    exact: bool
    a: tuple[int, ...]
    b: tuple[int, ...]
    rows: tuple[int, ...]
    size_differences: tuple[int, ...]
    distances: tuple[float, ...] | None


@dataclass(frozen=True)
class Comparison:
    """What `compare` finds.

    identical: the same rows for the same client numbers in every split, and the same held-out
    clients. splits: those that both have.
    """

    identical: bool
    checksum_a: str
    checksum_b: str
    clients_a: int
    clients_b: int
    same_held_out: bool
    splits: dict[str, SplitComparison]
    matching: Matching

    def as_json(self) -> dict[str, Any]:
        """JSON-plain; the matching as columns."""
        plain = asdict(self)
        for name, split in self.splits.items():
            plain["splits"][name]["same_rows"] = split.same_rows
        plain["matching"] = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in plain["matching"].items()
        }
        return plain


def compare(a: Partition, b: Partition) -> Comparison:
    """Compare the clients' shares of two partitions of the same data.

    Raises:
        PartitionError: they count rows of different splits or data, or have no train row in common.
    """
    shared = overlap(a, b)
    if not shared.nnz:
        raise PartitionError(
            "compare",
            "the two partitions share no row of train",
            "two partitions of the same data",
            "look at the data set and fingerprint in both provenances",
        )
    first, second, exact = match_clients(shared)
    splits = {"train": _compare_split(a, b, "train", shared, (first, second))}
    for name in sorted((a.splits.keys() & b.splits.keys()) - {"train"}):
        splits[name] = _compare_split(a, b, name, overlap(a, b, name), (first, second))
    sizes_a, sizes_b = a.splits["train"].sizes(), b.splits["train"].sizes()
    matching = Matching(
        exact,
        tuple(first.tolist()),
        tuple(second.tolist()),
        tuple(_cells(shared, first, second).tolist()),
        tuple((sizes_b[second] - sizes_a[first]).tolist()),
        _mix_distances(a, b, first, second),
    )
    same_held_out = np.array_equal(a.held_out, b.held_out)
    whole = same_held_out and a.clients == b.clients and a.splits.keys() == b.splits.keys()
    return Comparison(
        whole and all(it.same_rows and it.same_client in (1, None) for it in splits.values()),
        a.checksum,
        b.checksum,
        a.clients,
        b.clients,
        same_held_out,
        splits,
        matching,
    )


def _compare_split(
    a: Partition, b: Partition, name: str, shared: Any, pairs: tuple[np.ndarray, np.ndarray]
) -> SplitComparison:
    rows = int(shared.sum())
    common = np.arange(min(a.clients, b.clients))
    measures: tuple[float | None, ...] = (None,) * 4
    if rows:
        measures = (
            int(_cells(shared, common, common).sum()) / rows,
            int(_cells(shared, *pairs).sum()) / rows,
            adjusted_rand(shared),
            normalized_mutual_information(shared),
        )
    rows_a, rows_b = len(a.splits[name].indices), len(b.splits[name].indices)
    return SplitComparison(compared_by(a, b, name), rows_a, rows_b, rows, *measures)


def _cells(table: Any, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """[m] entries of a sparse table; m may be 0."""
    return np.asarray(table[rows, columns]).ravel() if len(rows) else np.zeros(0, dtype=np.int64)


def _mix_distances(
    a: Partition, b: Partition, first: np.ndarray, second: np.ndarray
) -> tuple[float, ...] | None:
    """[m] Jensen-Shannon distances of the label mixes of matched clients."""
    if not _same_labels(a, b) or a.histogram is None or b.histogram is None:
        return None
    mixes, filled = label_mixes(_side_by_side(a.histogram, b.histogram))
    rows = np.full(a.clients + b.clients, -1)
    rows[filled] = np.arange(len(filled))
    left, right = rows[first], rows[second + a.clients]
    if min(left.min(), right.min()) < 0:
        return None
    return tuple(row_distances(mixes[left], mixes[right]).tolist())


def _same_labels(a: Partition, b: Partition) -> bool:
    """Whether both histograms count the same labels; clusters are new ones for every seed."""
    keys = ["skew"]
    if a.provenance.get("skew") == "cluster":
        keys += ["seed", "parameters", "features", "data_fingerprint"]
    return all(a.provenance.get(key) == b.provenance.get(key) for key in keys)


def _side_by_side(a: LabelHistogram, b: LabelHistogram) -> LabelHistogram:
    """The clients of a, then those of b; a label is known by its name where both have names."""
    labels = np.concatenate([a.labels, b.labels])
    if a.names and b.names:
        places = [np.unique(h.labels, return_inverse=True) for h in (a, b)]
        names = [a.name(label) for label in places[0][0].tolist()]
        names += [b.name(label) for label in places[1][0].tolist()]
        _, codes = np.unique(names, return_inverse=True)
        cut = len(places[0][0])
        labels = np.concatenate([codes[:cut][places[0][1]], codes[cut:][places[1][1]]])
    offsets = np.concatenate([a.offsets, b.offsets[1:] + a.offsets[-1]])
    return LabelHistogram(offsets, labels, np.concatenate([a.counts, b.counts]))
