"""Whether a stored partition is what it says: sums, shares, data, and the draw made again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fednlp.config_schema import RunConfig
from fednlp.errors import is_user_error
from fednlp.experiment import Experiment
from fednlp.partitions import folder
from fednlp.partitions.build import FILE, measured, skew_kind, stored_file
from fednlp.partitions.measures import (
    first_difference,
    unlike_histograms,
    unlike_measures,
    unlike_provenance,
)
from fednlp.partitions.rows import fitted
from fednlp.partitions.source import rows, source_sizes
from partitioners import Partition
from tasks.plain_files import kind_of, read_plain


@dataclass(frozen=True)
class Finding:
    """One check: what was checked, whether it holds, and what was seen."""

    name: str
    holds: bool
    detail: str = ""


def verify(path: Path) -> Iterator[Finding]:
    """Checks a partition folder or file, the cheap checks first.

    Raises:
        UserError, PartitionError: it cannot be read at all.
    """
    file = stored_file(path)
    stored = Partition.load(file)
    yield Finding("checksum", True, stored.checksum[:12])
    if kind_of(file.parent / folder.READABLE) == "file":
        yield _readable(stored, file.parent / folder.READABLE)
    yield _disjoint(stored)
    yield _sums(stored)
    try:
        config = folder.made_with(stored, str(file))
        experiment = Experiment(config)
        corpus = experiment.corpus
    except ValueError as error:
        if not is_user_error(error):
            raise
        yield Finding("data", False, str(error))
        return
    same = stored.provenance.get("data_fingerprint") == corpus.fingerprint
    yield Finding("data fingerprint", same, corpus.fingerprint[:12])
    try:
        found = fitted(stored, corpus, str(file))
    except ValueError as error:
        if not is_user_error(error):
            raise
        yield Finding("examples", False, str(error))
        return
    shares = found.partition.splits
    given = ", ".join(f"{len(shares[s].indices)} of {len(rows(corpus, s))} {s}" for s in shares)
    told = f"{given} given out" + (f"; {found.lost}" if found.lost else "")
    yield Finding("examples", not found.lost, told)
    if stored.provenance["made_with"]["partition"] is not None:
        yield from _made_again(stored, config)
        return
    sizes = first_difference(
        stored.provenance.get("source_sizes"), source_sizes(corpus), "source_sizes"
    )
    yield Finding("sizes of the source", not sizes, sizes)
    yield _measured_again(stored, found.partition, experiment)
    yield Finding("draw", True, "not made here: there is nothing to draw again")


def _readable(stored: Partition, path: Path) -> Finding:
    try:
        told = json.loads(read_plain(path))
    except (OSError, ValueError) as error:
        return Finding(path.name, False, f"not readable ({error})")
    same = told == json.loads(json.dumps(stored.provenance))
    return Finding(path.name, same, "" if same else f"says other things than {FILE}")


def _disjoint(stored: Partition) -> Finding:
    """Between splits that count rows of the same source split; within one, reading checks it."""
    name, of = "shares do not overlap", stored.provenance.get("rows_of", {})
    if of.get("train") != of.get("test") or "test" not in stored.splits:
        return Finding(name, True)
    both = np.intersect1d(stored.splits["train"].indices, stored.splits["test"].indices)
    return Finding(name, not len(both), f"row {both[0]} is in train and test" if len(both) else "")


def _sums(stored: Partition) -> Finding:
    """Sizes, label counts and the measures told, against each other."""
    sizes = stored.splits["train"].sizes()
    clients = stored.provenance.get("clients", len(sizes))
    if clients != len(sizes):
        return Finding("sums", False, f"{len(sizes)} clients, told {clients}")
    told = stored.provenance.get("achieved", {})
    if stored.histogram is not None:
        counted = np.bincount(
            stored.histogram.holders(), stored.histogram.counts, stored.histogram.clients
        )
        if len(counted) != len(sizes) or (counted != sizes).any():
            return Finding("sums", False, "label counts do not add up to the sizes of the clients")
    expected = {
        "min": int(sizes.min()), "mean": float(sizes.mean()), "max": int(sizes.max())
    }  # fmt: skip
    measured = told.get("sizes", {})
    wrong = [k for k, v in expected.items() if k in measured and not np.isclose(measured[k], v)]
    if wrong:
        return Finding(
            "sums", False, f"sizes.{wrong[0]} is {expected[wrong[0]]}, told {measured[wrong[0]]}"
        )
    return Finding("sums", True, f"{sizes.sum()} examples, {len(sizes)} clients")


def _measured_again(stored: Partition, in_run: Partition, experiment: Experiment) -> Finding:
    """What an imported partition says of its shares. Clusters are others for every seed."""
    name = "measures"
    if skew_kind(stored, experiment.corpus) == "cluster":
        return Finding(name, True, "by clusters that are not made again")
    again = measured(in_run, experiment.corpus, experiment.task)
    told = stored.provenance.get("achieved")
    unlike = unlike_measures(told, again.provenance["achieved"])
    unlike = unlike or unlike_histograms(stored.histogram, again.histogram)
    return Finding(name, not unlike, unlike)


def _made_again(stored: Partition, config: RunConfig) -> Iterator[Finding]:
    made = folder.make(config)
    yield _drawn_again(stored, made)
    unlike = next(unlike_provenance(stored, made), "")
    yield Finding("provenance", not unlike, unlike)
    counts = unlike_histograms(stored.histogram, made.histogram)
    yield Finding("label counts", not counts, counts)


def _drawn_again(stored: Partition, made: Partition) -> Finding:
    if made.checksum == stored.checksum:
        return Finding("draw", True, "identical")
    if made.clients != stored.clients:
        return Finding("draw", False, f"{made.clients} clients, stored {stored.clients}")
    for name, split in made.splits.items():
        theirs = stored.splits[name]
        end = int(max(split.indices.max(initial=-1), theirs.indices.max(initial=-1))) + 1
        ours, other = split.owners(end), theirs.owners(end)
        differ = np.flatnonzero(ours != other)
        if len(differ):
            row = differ[0]
            return Finding(
                "draw", False,
                f"{len(differ)} {name} examples lie elsewhere, first row {row}: "
                f"client {ours[row]}, stored {other[row]}",
            )  # fmt: skip
    return Finding("draw", False, "other clients are held out")
