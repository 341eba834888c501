"""What a partition is and holds, and what a comparison found, as plain rows for a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .comparison import Comparison
from .errors import PartitionError
from .partition import Partition

_ASKED = (  # provenance key, its name in a table
    ("file", "read from"),
    ("format", "format"),
    ("method", "method in the file"),
    ("rows_by", "rows known by"),
    ("dataset", "data set"),
    ("clients", "clients"),
    ("seed", "seed"),
    ("min_size", "smallest size allowed"),
    ("held_out", "share of clients held out"),
    ("skew", "skew measured by"),
    ("features", "features"),
    ("test_share", "test share follows"),
    ("data_fingerprint", "data fingerprint"),
)
_TEST_SHARES = {
    "skew_label": "the labels held in train",
    "natural_key": "the natural clients",
    "independent": "nothing: an independent draw",
}
_ACHIEVED = {
    "labels": "labels held",
    "js_distance": "mean pairwise JS distance",
    "total_variation": "mean total variation to all",
    "missing_labels": "share of missing labels",
    "train_examples": "train examples given out",
    "train_unassigned": "train examples left",
    "test_examples": "test examples given out",
    "test_unassigned": "test examples left",
}


def method(partition: Partition) -> str:
    """The partitioner and its parameters: `dirichlet, alpha=0.1`."""
    parameters = partition.provenance.get("parameters")
    settings = parameters.items() if isinstance(parameters, Mapping) else ()
    name = partition.provenance.get("partitioner") or "unknown partitioner"
    return ", ".join([str(name), *(f"{key}={_value(value)}" for key, value in settings)])


def summary(partition: Partition) -> list[tuple[str, str]]:
    """(what, value): what was asked, then what came out; what is not known is left out."""
    known = partition.provenance
    rows = [("partitioner", method(partition))]
    for key, name in _ASKED:
        value = known.get(key)
        if key == "test_share" and isinstance(value, str):
            value = _TEST_SHARES.get(value, value)
        if value not in (None, ""):
            rows.append((name, str(value) if key == "seed" else _value(value)))
    sizes = partition.splits["train"].sizes()
    spread = f"{sizes.min():,} to {sizes.max():,}, mean {sizes.mean():,.1f}"
    rows += [
        ("train examples per client", spread),
        ("held-out clients", f"{len(partition.held_out):,}"),
    ]
    achieved = known.get("achieved")
    achieved = achieved if isinstance(achieved, Mapping) else {}
    for key, value in achieved.items():
        if key == "sizes" and isinstance(value, Mapping):
            rows.append(("Gini coefficient of sizes", _measure(value.get("gini"))))
        elif key == "js_distance" and achieved.get("js_distance_stderr"):
            error = _measure(achieved["js_distance_stderr"])
            rows.append((_ACHIEVED[key], f"{_measure(value)} (standard error {error})"))
        elif key == "effective_alpha" and value is None:
            rows.append(("effective alpha", "- (one label in all, or one example per client)"))
        elif key != "js_distance_stderr":
            rows.append((_ACHIEVED.get(key, key.replace("_", " ")), _measure(value)))
    return [*rows, ("checksum", partition.checksum)]


def client_rows(
    partition: Partition, clients: Iterable[int] | None = None, top: int = 5
) -> list[dict[str, Any]]:
    """JSON-plain, one per client: `client`, `held_out`, `sizes` by split, `labels`, `top`.

    labels: different labels in train; top: its `top` largest as [name, count], ties by name. Both
    are None where the partition has no label histogram.
    Raises PartitionError for a client that does not exist.
    """
    sizes = {name: split.sizes() for name, split in partition.splits.items()}
    held_out = set(partition.held_out.tolist())
    rows = []
    for k in range(partition.clients) if clients is None else clients:
        if not 0 <= k < partition.clients:
            last = partition.clients - 1
            raise PartitionError("clients", f"client {k}", f"numbers from 0 to {last}")
        held = None if partition.histogram is None else partition.histogram.client(k)
        largest = None if held is None else sorted(held.items(), key=lambda i: (-i[1], i[0]))[:top]
        rows.append(
            {
                "client": k,
                "held_out": k in held_out,
                "sizes": {name: int(counts[k]) for name, counts in sizes.items()},
                "labels": None if held is None else len(held),
                "top": None if largest is None else [list(item) for item in largest],
            }
        )
    return rows


def comparison_rows(comparison: Comparison) -> list[tuple[str, str]]:
    """(what, value) of a comparison."""
    matching = comparison.matching
    rows = [
        ("the same partition", "yes" if comparison.identical else "no"),
        ("checksums", f"{comparison.checksum_a[:12]} and {comparison.checksum_b[:12]}"),
        ("clients", f"{comparison.clients_a:,} and {comparison.clients_b:,}"),
        ("the same held-out clients", "yes" if comparison.same_held_out else "no"),
    ]
    for name, split in comparison.splits.items():
        told = "number" if split.compared_by == "row" else "content"
        rows += [
            (
                f"{name} rows, by {told}",
                f"{split.rows_a:,} and {split.rows_b:,}, {split.rows_shared:,} in both",
            ),
            (f"{name} rows with the client of the same number", _share(split.same_client)),
            (f"{name} rows with the matched client", _share(split.matched_client)),
            (f"{name} adjusted Rand index", _value(split.adjusted_rand)),
            (f"{name} mutual information, normalized", _value(split.normalized_mutual_information)),
        ]
    way = "best" if matching.exact else "greedy, too large for the best"
    sizes = np.abs(matching.size_differences)
    rows += [
        ("matched clients", f"{len(matching.a):,} ({way})"),
        ("difference of their sizes", f"mean {sizes.mean():,.1f}, at most {sizes.max():,}"),
    ]
    if matching.distances is not None:
        values = matching.distances
        text = f"mean {np.mean(values):.3f}, at most {max(values):.3f}"
        rows.append(("JS distance of their label mixes", text))
    return rows


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _measure(value: object) -> str:
    """A number that was measured: without an exponent."""
    if isinstance(value, float) and 0 < value < 1e-4:
        return "below 0.0001"
    return f"{value:,.0f}" if isinstance(value, float) and value >= 1e4 else _value(value)


def _value(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
