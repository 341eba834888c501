"""A hash over all that a partition is, by which a file tells that it was damaged or edited."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from .partition import Partition


def seal(partition: Partition) -> str:
    """sha256 (hex) over shares, provenance, held-out clients, hashes and histogram.

    `checksum` covers the shares and held-out clients only. Raises TypeError or ValueError for a
    provenance that is no plain JSON.
    """
    histogram = partition.histogram
    names = list(histogram.names) if histogram else None
    provenance = json.loads(json.dumps(partition.provenance, allow_nan=False))  # keys are text now
    plain = [partition.checksum, provenance, names]
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True, allow_nan=False).encode())
    arrays = [(name, split.hashes) for name, split in sorted(partition.splits.items())]
    if histogram:
        arrays += [("offsets", histogram.offsets), ("labels", histogram.labels)]
        arrays += [("counts", histogram.counts)]
    for name, array in arrays:
        if array is not None and len(array):  # no hashes of no examples is as good as none
            digest.update(f"{name}:{len(array)};".encode())
            digest.update(np.ascontiguousarray(array, dtype=f"<{array.dtype.kind}8").tobytes())
    return digest.hexdigest()
