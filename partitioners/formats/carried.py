"""What a file carries besides the shares, so that nothing is lost: one JSON object and a seal.

    {"fednlp_partition": 1, "clients": 100, "splits": ["test", "train"], "held_out": [3, 17],
     "provenance": {...}, "histogram": {"names": [...], "sizes": [...], "labels": [...],
     "counts": [...]} or null, "seal": "sha256"}

The seal covers shares, provenance, held-out clients, hashes and histogram: a file that was
damaged or edited after its export is refused instead of read wrongly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PartitionError
from ..histogram import LabelHistogram
from ..partition import Partition
from ..seal import seal
from .shares import MOST_CLIENTS, Rows, decoding, flat_numbers, make_splits

KEY = "fednlp_partition"
VERSION = 1


@dataclass(frozen=True)
class Carried:
    """The object above, read and checked by itself. `more`: keys of one format only."""

    where: str
    clients: int
    splits: list[str]
    held_out: np.ndarray
    provenance: dict[str, Any]
    histogram: LabelHistogram | None
    seal: str
    more: dict[str, Any]

    @classmethod
    def parse(cls, where: Path, form: str, text: bytes | str) -> Carried:
        """From JSON text; PartitionError says what is wrong with it."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            said = " ".join(str(error).split())[:120]
            found = f"the JSON of a {form} partition is damaged ({said})"
            raise PartitionError(str(where), found, fix="export it again") from None
        return cls.check(str(where), found)

    @classmethod
    def check(cls, where: str, found: Any) -> Carried:
        if not isinstance(found, dict) or KEY not in found:
            raise PartitionError(where, f"no {KEY} in it", "a file that this program exported")
        if found[KEY] != VERSION:
            raise PartitionError(where, f"{KEY} {str(found[KEY])[:20]}", f"version {VERSION}")
        kinds: dict[str, Any] = {
            "clients": int, "splits": list, "held_out": list, "provenance": dict,
            "histogram": (dict, type(None)), "seal": str,
        }  # fmt: skip
        for key, kind in kinds.items():
            value = found.get(key, ...)
            if not isinstance(value, kind) or isinstance(value, bool):
                raise PartitionError(
                    where, f"{key} is missing or of the wrong kind", fix="export it again"
                )
        clients, held_out = found["clients"], flat_numbers(where, "held_out", [found["held_out"]])
        if not 1 <= clients <= MOST_CLIENTS:
            raise PartitionError(where, f"{clients} clients", f"1 to {MOST_CLIENTS:,}")
        if not all(isinstance(name, str) for name in found["splits"]):
            raise PartitionError(where, "split names that are no text")
        if len(held_out) and not 0 <= held_out.min() <= held_out.max() < clients:
            raise PartitionError(where, "held-out clients that do not exist")
        more = {key: value for key, value in found.items() if key not in kinds}
        histogram = _histogram(where, found["histogram"], clients)
        provenance, splits = found["provenance"], found["splits"]
        return cls(where, clients, splits, held_out, provenance, histogram, found["seal"], more)

    def partition(self, shares: Mapping[str, Rows]) -> Partition:
        """With the shares of the file: the partition that was exported, or PartitionError."""
        if sorted(shares) != sorted(self.splits):
            found = f"splits {', '.join(shares)}"
            raise PartitionError(self.where, found, ", ".join(self.splits))
        splits = make_splits(self.where, shares, self.clients, keep_order=True)
        made = Partition(splits, self.provenance, self.held_out, self.histogram)
        with decoding(Path(self.where), "a partition"):  # NaN in the provenance, say
            found = seal(made)
        if found != self.seal:
            raise PartitionError(
                self.where,
                "its content does not match its seal",
                fix="it was damaged or edited: export it again",
            )
        return made


def carried(partition: Partition, **more: Any) -> str:
    """The JSON text for a file."""
    histogram = partition.histogram
    return json.dumps(
        {
            KEY: VERSION,
            "clients": partition.clients,
            "splits": sorted(partition.splits),
            "held_out": partition.held_out.tolist(),
            "provenance": partition.provenance,
            "histogram": histogram
            and {
                "names": list(histogram.names),
                "sizes": np.diff(histogram.offsets).tolist(),
                "labels": histogram.labels.tolist(),
                "counts": histogram.counts.tolist(),
            },
            "seal": seal(partition),
            **more,
        },
        allow_nan=False,
    )


def _histogram(where: str, found: Any, clients: int) -> LabelHistogram | None:
    if found is None:
        return None
    parts = [found.get(key) for key in ("sizes", "labels", "counts")]
    names = found.get("names")
    if not all(isinstance(part, list) for part in [*parts, names]):
        raise PartitionError(where, "a histogram without sizes, labels, counts or names")
    sizes, labels, counts = (flat_numbers(where, "histogram", [part]) for part in parts)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    histogram = LabelHistogram(offsets, labels, counts, tuple(names))
    fault = histogram.fault(clients)
    if fault:
        raise PartitionError(where, fault)
    return histogram


def hex_of(hashes: np.ndarray) -> str:
    """16 hexadecimal digits per hash, joined: JSON numbers above 2^53 do not survive everywhere."""
    return hashes.astype(">u8").tobytes().hex()


def hashes_of(where: str, text: Any) -> np.ndarray:
    """[n] uint64 from what `hex_of` wrote."""
    try:
        return np.frombuffer(bytes.fromhex(text), dtype=">u8").astype(np.uint64)
    except (TypeError, ValueError):
        raise PartitionError(where, "hashes that are not 16 hexadecimal digits each") from None
