"""Whether two partitions of the same shares say the same of themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from partitioners import LabelHistogram, Partition

RELATIVE = 1e-6  # other libraries round otherwise
SAMPLED = 8  # standard errors that two means over sampled pairs may be apart


def first_difference(told: Any, found: Any, name: str = "") -> str:
    """Where two plain values differ, in a few words; "" where they do not."""
    if isinstance(told, Mapping) and isinstance(found, Mapping):
        inside = (
            first_difference(told.get(key), found.get(key), f"{name}.{key}" if name else str(key))
            for key in sorted({*told, *found})
        )
        return next(filter(None, inside), "")
    numbers = [v for v in (told, found) if isinstance(v, (int, float)) and not isinstance(v, bool)]
    near = len(numbers) == 2 and math.isclose(*numbers, rel_tol=RELATIVE, abs_tol=1e-12)
    return "" if near or told == found else f"{name} is {found}, told {told}"


def unlike_measures(told: Any, found: Mapping[str, Any]) -> str:
    """Where `provenance["achieved"]` differs from what is measured now, perhaps by other pairs."""
    if not isinstance(told, Mapping):
        return "achieved is missing"
    told, found = dict(told), dict(found)
    errors = [plain.pop("js_distance_stderr", 0) for plain in (told, found)]
    if all(errors):
        distances = [plain.pop("js_distance", math.nan) for plain in (told, found)]
        if not abs(distances[0] - distances[1]) <= SAMPLED * max(errors):
            return f"js_distance is {distances[1]}, told {distances[0]}"
    return first_difference(told, found, "achieved")


def unlike_histograms(told: LabelHistogram | None, found: LabelHistogram | None) -> str:
    """How two label histograms differ, whatever numbers their labels have; "" if they do not."""
    if told is None or found is None:
        return "" if told is found else "there is no label histogram"
    (names, *ours), (other_names, *others) = _cells(told), _cells(found)
    if names != other_names:
        return "the label histogram counts other labels"
    if any(len(a) != len(b) or (a != b).any() for a, b in zip(ours, others, strict=True)):
        return "the label histogram counts otherwise"
    return ""


def _cells(histogram: LabelHistogram) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Names of the labels held, ascending; of each entry client, place among them, and count."""
    labels, places = np.unique(histogram.labels, return_inverse=True)
    names = [histogram.name(label) for label in labels.tolist()]
    ranks = np.empty(len(names), dtype=np.int64)
    ranks[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    holders, ranked = histogram.holders(), ranks[places]
    order = np.lexsort((ranked, holders))
    return sorted(names), holders[order], ranked[order], histogram.counts[order]


def unlike_provenance(stored: Partition, made: Partition) -> Iterator[str]:
    """Keys of a partition drawn again that the stored one tells otherwise."""
    for key, value in made.provenance.items():
        if key != "made_with":  # it is what was followed; an older one may lack a key
            said = first_difference(stored.provenance.get(key), value, key)
            if said:
                yield said
