"""Checks on what a caller asks for, before anything is drawn. Every failure is one line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeGuard

import numpy as np

from .errors import PartitionError


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number: of Python or numpy, and no boolean."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number: of Python or numpy, and no boolean."""
    return is_whole(value) or isinstance(value, (float, np.floating))


def require_alpha(alpha: object) -> float:
    """`alpha` as a float; PartitionError unless it is a finite number above 0."""
    if not is_number(alpha) or not math.isfinite(alpha) or alpha <= 0:
        fix = "1e-3 is one class per client, 1e3 is nearly IID"
        if isinstance(alpha, str):
            fix = "text is no number: some YAML readers want 0.001 for 1e-3"
        raise PartitionError("partition.alpha", repr(alpha), "a finite number above 0", fix)
    return float(alpha)


def require_count(name: str, value: object, low: int = 1) -> int:
    """`value` as an int; PartitionError unless it is a whole number of at least `low`."""
    if not is_whole(value) or value < low:
        raise PartitionError(f"partition.{name}", repr(value), f"a whole number of at least {low}")
    return int(value)


def require_room(examples: int, clients: object, min_size: object = 1) -> tuple[int, int]:
    """Checked `(clients, min_size)`; PartitionError unless every client can have `min_size`."""
    clients, min_size = require_count("clients", clients), require_count("min_size", min_size)
    if clients * min_size > examples:
        raise PartitionError(
            "partition.clients",
            f"{clients} clients of at least {min_size} need {clients * min_size} examples, "
            f"the training split has {examples}",
            fix=f"use at most {examples // min_size} clients"
            + (" or a smaller min_size" if min_size > 1 else ""),
        )
    return clients, min_size


def require_generator(generator: object) -> None:
    """PartitionError for a seed, or anything else that is no generator."""
    if not isinstance(generator, np.random.Generator):
        raise PartitionError(
            "generator", repr(generator)[:40], "a generator", "np.random.default_rng(0) for seed 0"
        )


def require_labels(labels: object, name: str = "labels") -> np.ndarray:
    """`labels` as [N] int64; PartitionError unless they are a 1-D array of whole numbers."""
    array = np.asarray(labels)
    if array.ndim != 1 or not (np.issubdtype(array.dtype, np.integer) or array.size == 0):
        raise PartitionError(
            name, f"{array.dtype} array of shape {array.shape}", "one whole number per example"
        )
    return array.astype(np.int64, copy=False)


def require_features(features: object, name: str = "features") -> np.ndarray:
    """`features` as a float array [N, D]; PartitionError for other shapes, NaN or infinity."""
    array = np.asarray(features)
    if array.ndim != 2 or array.shape[1] == 0 or array.dtype.kind not in "fiu":
        raise PartitionError(
            name, f"{array.dtype} array of shape {array.shape}", "numbers of shape [N, D]"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise PartitionError(name, "NaN or infinity", "finite numbers")
    return array


def require_rows(name: str, values: Sequence | np.ndarray | None, rows: int) -> None:
    """PartitionError unless `values` is absent or has one entry per example."""
    if values is not None and len(values) != rows:
        raise PartitionError(name, f"{len(values)} rows", f"{rows}, one per example")
