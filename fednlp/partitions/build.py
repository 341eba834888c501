"""From the `partition` section of a configuration to a `Partition` of a corpus.

What a partitioner needs comes from the task: skew labels, texts for clusters, client keys. The
partition's seed is its own, so all run seeds share one split unless a suite varies it.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from fednlp import places
from fednlp.cards import model_card
from fednlp.config_schema import PartitionConfig
from fednlp.errors import UserError, nearest
from fednlp.partitions.rows import fitted
from fednlp.random_streams import generator
from partitioners import (
    PartitionerSpec,
    cluster_labels,
    find_partitioner,
    make_partition,
    remeasured,
    text_features,
)
from partitioners.partition import Partition
from partitioners.ranges import ranges
from partitioners.streams import stream
from partitioners.test_share import share_by_label
from tasks.data import Corpus
from tasks.dataset_card import DatasetCard
from tasks.plain_files import kind_of
from tasks.schema import SKEW_KINDS
from tasks.task import Task

FILE = "partition.npz"  # in a partition folder or a run folder
CLUSTERS = 10  # where clusters are the skew label of another partitioner


def check_partition(config: PartitionConfig, card: DatasetCard) -> PartitionerSpec | None:
    """Checks the section against a data set's card; None for a stored partition.

    Raises:
        UserError, PartitionError: unknown partitioner, parameter or skew label, a value out of
            range, or a key without effect.
    """
    if config.name is None:
        if config.parameters:
            key = next(iter(config.parameters))
            raise UserError(f"partition.{key}", "has no effect with partition.file", fix="drop it")
        return None
    spec = find_partitioner(config.name)
    spec.read(config.parameters)
    if "keys" in spec.needs and not card.has_clients:
        fix = "use another partitioner"
        raise UserError("partition.name", f"{card.name} has no natural clients", fix=fix)
    kind, known = config.skew or card.skew, [*SKEW_KINDS[card.task], "cluster"]
    if kind not in known:
        raise UserError(
            "partition.skew", f"{card.task} has no skew label '{kind}'", fix=nearest(kind, known)
        )
    if config.encoder is not None:
        if kind != "cluster" and "features" not in spec.needs:
            raise UserError(
                "partition.encoder",
                f"has no effect on {config.name} by {kind}, which clusters nothing",
                fix="drop it, or set partition.skew: cluster",
            )
        if model_card(config.encoder, "partition.encoder").scratch is not None:
            raise UserError(
                "partition.encoder",
                f"{config.encoder} starts from scratch",
                "a pretrained encoder",
                "use another card",
            )
    return spec


def build_partition(config: PartitionConfig, corpus: Corpus, task: Task) -> Partition:
    """Makes or loads the partition.

    Raises:
        UserError: unknown partitioner, parameter or skew label, or a file for other data.
    """
    spec = check_partition(config, corpus.card)
    if spec is None:
        return _stored(stored_file(Path(str(config.file))), corpus, task)
    train, test = corpus.splits["train"], corpus.splits["test"]
    inputs: dict[str, Any] = {}
    kind = config.skew or corpus.card.skew
    if kind == "cluster" or "features" in spec.needs:
        inputs["train_features"], inputs["test_features"] = features = _features(
            config, task.texts(train), task.texts(test)
        )
    if kind == "cluster":
        train_labels, test_labels, names = *_clusters(features, config.seed), None
    else:
        train_labels, test_labels, names = _skew_labels(task, train, test, kind)
    if "keys" in spec.needs:
        inputs["train_keys"], inputs["test_keys"] = (
            np.array(train["client"]),
            np.array(test["client"]),
        )
        missing = int(np.sum(inputs["train_keys"] == ""))
        if missing:
            found = f"{missing} of {len(train)} training examples of {corpus.name} have no client"
            fix = "leave them out of the data, or use another partitioner"
            raise UserError("partition.name", found, "a natural client each", fix)
    partition = make_partition(
        str(config.name),
        config.parameters,
        clients=config.clients,
        seed=config.seed,
        train_labels=train_labels,
        test_labels=test_labels,
        label_names=names,
        min_size=config.min_size,
        held_out=config.held_out,
        data_fingerprint=corpus.fingerprint,
        skew_kind=kind,
        **inputs,
    )
    if "train_features" in inputs:
        partition.provenance["features"] = (
            model_card(config.encoder).name if config.encoder else "TF-IDF and truncated SVD"
        )
    if kind == "cluster" and len(train) < CLUSTERS:
        partition.provenance["skew_clusters"] = len(train)
    return partition


def stored_file(path: Path) -> Path:
    """The partition file of a partition folder or a run folder, or the file itself."""
    if kind_of(path) != "directory":
        return path
    if kind_of(path / FILE) != "file":
        raise UserError(str(path), f"holds no {FILE}", "a partition folder or a run folder")
    return path / FILE


def _stored(path: Path, corpus: Corpus, task: Task) -> Partition:
    """A partition from a file or folder, measured anew where it lost examples."""
    stored = Partition.load(path)
    found = fitted(stored, corpus, str(path))
    _require_examples(found.partition, stored, str(path))
    if not found.lost:
        return found.partition
    partition = measured(found.partition, corpus, task)
    partition.provenance["lost"] = asdict(found.lost)
    return partition


def _require_examples(partition: Partition, stored: Partition, where: str) -> None:
    """Raises UserError unless every client can train on something."""
    empty = np.flatnonzero(partition.splits["train"].sizes() == 0)
    if not len(empty):
        return
    who = f"client {empty[0]} has" if len(empty) == 1 else f"clients {ranges(empty, 10)} have"
    fix = "load the data that it was made for: the same card, cuts and limits"
    if stored.splits["train"].sizes()[empty[0]] == 0:
        fix = "number the clients without gaps from 0"
        if "exported" in stored.provenance:
            fix = "export it again without --clients"
    raise UserError(where, f"{who} no train example", "at least one for each in a run", fix)


def skew_kind(partition: Partition, corpus: Corpus) -> str:
    """What counts as the class: what the partition was measured by, else what the card says."""
    known = partition.provenance.get("skew")
    return known if known in (*SKEW_KINDS[corpus.task], "cluster") else corpus.card.skew


def measured(partition: Partition, corpus: Corpus, task: Task) -> Partition:
    """The same shares of loaded examples, measured by their skew labels.

    Where nothing of `test` is given out, every client gets the share that its train labels ask for.
    """
    train, test = corpus.splits["train"], corpus.splits["test"]
    kind = skew_kind(partition, corpus)
    if kind == "cluster":
        texts = _features(PartitionConfig(), task.texts(train), task.texts(test))
        train_labels, test_labels, names = *_clusters(texts, 0), None
    else:
        train_labels, test_labels, names = _skew_labels(task, train, test, kind)
    partition = remeasured(partition, train_labels, test_labels, names or (), kind)
    if len(partition.splits["test"].indices) or partition.histogram is None:
        return partition
    share = share_by_label(test_labels, partition.histogram, stream(0, "test_share"))
    filled = replace(partition, splits={**partition.splits, "test": share})
    return remeasured(filled, train_labels, test_labels, names or (), kind)


def _clusters(features: tuple[np.ndarray, np.ndarray], seed: int) -> tuple[np.ndarray, np.ndarray]:
    clusters = min(CLUSTERS, len(features[0]))
    return cluster_labels(*features, clusters, generator(seed, "skew clusters"))


def _features(
    config: PartitionConfig, train: list[str], test: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Texts as vectors [N, D] and [M, D]: TF-IDF and SVD, or the encoder that is asked for."""
    if config.encoder is None:
        return text_features(train, test, seed=config.seed)
    from tasks.text_embeddings import text_embeddings

    card = model_card(config.encoder, "partition.encoder")
    rows = text_embeddings(card, [*train, *test], places.cache_dir(), places.data_root())
    return rows[: len(train)], rows[len(train) :]


def _skew_labels(
    task: Task, train: Any, test: Any, kind: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Skew labels of both splits over one vocabulary."""
    (first, first_names), (second, second_names) = (
        task.skew_labels(split, kind) for split in (train, test)
    )
    names = sorted({*first_names, *second_names})
    index = {name: number for number, name in enumerate(names)}
    return (
        np.array([index[n] for n in first_names], dtype=np.int64)[first],
        np.array([index[n] for n in second_names], dtype=np.int64)[second],
        names,
    )
