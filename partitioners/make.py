"""From a name and its settings to a whole partition: train, matched test, held-out, measured.

Every step has its own random stream of the one seed, so asking for held-out clients, say, does
not move a single training example.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from .arguments import require_count, require_labels, require_room, require_rows
from .cluster import ClusterParameters, cluster_labels
from .dirichlet import dirichlet
from .effective_alpha import effective_alpha
from .errors import PartitionError
from .held_out import choose_held_out, require_fraction
from .histogram import LabelHistogram
from .legacy_fednlp import LegacyFednlpParameters, original_draw, original_generator
from .partition import Partition, Split
from .skew import measure_skew
from .specs import find_partitioner
from .streams import stream
from .test_share import share_by_key, share_by_label

VERSION = 3  # raised by hand when the same settings give another split


def make_partition(
    name: str,
    parameters: Mapping[str, Any],
    *,
    clients: int | None,
    seed: int,
    train_labels: np.ndarray,
    test_labels: np.ndarray,
    train_features: np.ndarray | None = None,
    test_features: np.ndarray | None = None,
    train_keys: Sequence[str] | np.ndarray | None = None,
    test_keys: Sequence[str] | np.ndarray | None = None,
    label_names: Sequence[str] | None = None,
    min_size: int = 1,
    held_out: float = 0.0,
    data_fingerprint: str = "",
    skew_kind: str = "",
) -> Partition:
    """Partition [N] training and [M] test examples among clients.

    train_labels, test_labels: int64 skew labels, which every partitioner needs (to measure, and
    to match the test shares). features: [N, D] and [M, D] for `cluster`, whose clusters then are
    the skew labels. keys: strings for `natural`. clients: may be None for `natural` only.
    Raises PartitionError for anything that cannot be done, naming the key.
    """
    spec = find_partitioner(name)
    settings = spec.read(parameters)
    held_out = require_fraction(held_out)
    train_labels = require_labels(train_labels, "train_labels")
    test_labels = require_labels(test_labels, "test_labels")
    names = tuple(label_names or ())
    for key, values, rows in (
        ("train_features", train_features, len(train_labels)),
        ("test_features", test_features, len(test_labels)),
        ("train_keys", train_keys, len(train_labels)),
        ("test_keys", test_keys, len(test_labels)),
    ):
        require_rows(key, values, rows)
    generator = stream(require_count("seed", seed, low=0), "partition")
    test, share = None, "skew_label"
    if isinstance(settings, ClusterParameters):
        room, min_size = require_room(len(train_labels), clients, min_size)
        if train_features is None or test_features is None:
            raise PartitionError("train_features, test_features", f"missing; {name} needs them")
        train_labels, test_labels = cluster_labels(
            train_features, test_features, settings.clusters, stream(seed, "clusters")
        )
        names = tuple(f"cluster {i}" for i in range(settings.clusters))
        skew_kind = "cluster"
        train = dirichlet(train_labels, room, generator, alpha=settings.alpha, min_size=min_size)
    elif isinstance(settings, LegacyFednlpParameters):
        original = original_generator(seed)
        train = spec.split(train_labels, clients, original, min_size=min_size, **asdict(settings))
        test = original_draw(test_labels, train.clients, original, settings.alpha)
        share = "independent"
    else:
        data = _input(name, spec.needs, train_labels, train_keys)
        train = spec.split(data, clients, generator, min_size=min_size, **asdict(settings))

    owners = train.owners(len(train_labels))
    histogram = LabelHistogram.count(train_labels, owners, train.clients, names)
    if "keys" in spec.needs and train_keys is not None:
        test = share_by_key(train_keys, train, test_keys)
        share = "natural_key" if test is not None else share
    if test is None:
        test = share_by_label(test_labels, histogram, stream(seed, "test_share"))
    provenance = {
        "partitioner": name,
        "parameters": asdict(settings),
        "clients": train.clients,
        "seed": int(seed),
        "min_size": int(min_size),
        "held_out": held_out,
        "version": VERSION,
        "data_fingerprint": data_fingerprint,
        "skew": skew_kind,
        "test_share": share,
        "achieved": achieved(histogram, train, test, len(train_labels), len(test_labels), seed),
    }
    held = choose_held_out(train.clients, held_out, stream(seed, "held_out"))
    return Partition({"train": train, "test": test}, provenance, held, histogram)


def achieved(
    histogram: LabelHistogram, train: Split, test: Split, rows: int, test_rows: int, seed: int
) -> dict[str, Any]:
    """What a partition of `rows` and `test_rows` examples came out as: JSON-plain measures."""
    return {
        **measure_skew(histogram, stream(seed, "skew_pairs")),
        "effective_alpha": effective_alpha(histogram),
        "train_examples": len(train.indices),
        "train_unassigned": rows - len(train.indices),
        "test_examples": len(test.indices),
        "test_unassigned": test_rows - len(test.indices),
    }


def remeasured(
    partition: Partition,
    train_labels: np.ndarray,
    test_labels: np.ndarray,
    label_names: Sequence[str],
    skew_kind: str,
) -> Partition:
    """The same shares, measured by these skew labels ([N] and [M] int64, which indices count)."""
    train, test = partition.splits["train"], partition.splits["test"]
    owners = train.owners(len(train_labels))
    histogram = LabelHistogram.count(train_labels, owners, train.clients, tuple(label_names))
    measures = achieved(histogram, train, test, len(train_labels), len(test_labels), 0)
    provenance = {**partition.provenance, "skew": skew_kind, "achieved": measures}
    return Partition(partition.splits, provenance, partition.held_out, histogram)


def _input(
    name: str,
    needs: frozenset[str],
    labels: np.ndarray,
    keys: Sequence[str] | np.ndarray | None,
) -> np.ndarray | Sequence[str] | int:
    """The first argument of the partitioner's function."""
    if "keys" in needs:
        if keys is None:
            raise PartitionError("train_keys", f"missing; {name} needs the client keys")
        return keys
    return labels if "labels" in needs else len(labels)
