"""A partition between a run, which counts the examples it loaded, and a file, which must last.

In a file an index is the example's row in the source, beside the hash of its content. So a split
still says the same after a new download, another validation cut or a smaller limit: `portable`
writes rows, `fitted` finds their examples again, and says which it left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fednlp.errors import UserError
from partitioners.partition import Partition, Split
from tasks.data import Corpus
from tasks.example_hash import example_hashes
from tasks.schema import SPLITS

SHARED = ("train", "test")  # the splits that clients have shares of


def source_split(corpus: Corpus, split: str) -> str:
    """The split of the source whose rows the examples of a split count."""
    return split if split in corpus.card.source_splits else "train"


def rows(corpus: Corpus, split: str) -> np.ndarray:
    """[N] int64: the source row of each loaded example."""
    return corpus.splits[split].data.column("row").to_numpy()


def source_sizes(corpus: Corpus) -> dict[str, int]:
    """Per split that clients have shares of: rows of its source split, up to the last one loaded.

    The examples of a test split cut from train count rows of train.
    """
    sizes: dict[str, int] = {}
    for split in SPLITS:
        of = source_split(corpus, split)
        sizes[of] = max(sizes.get(of, 0), int(rows(corpus, split).max()) + 1)
    return {name: sizes[source_split(corpus, name)] for name in SHARED}


def hashes(corpus: Corpus, split: str) -> np.ndarray:
    """[N] uint64: what is in each loaded example."""
    return example_hashes(corpus.task, corpus.splits[split], corpus.labels)


def portable(partition: Partition, corpus: Corpus) -> Partition:
    """The same shares of source rows, each with the hash of its content."""
    splits = {}
    for name, split in partition.splits.items():
        numbers, content = rows(corpus, name), hashes(corpus, name)
        splits[name] = Split(numbers[split.indices], split.offsets, content[split.indices])
    provenance = {
        **partition.provenance,
        "data_fingerprint": corpus.fingerprint,
        "rows_of": {name: source_split(corpus, name) for name in partition.splits},
        "source_sizes": source_sizes(corpus),
    }
    return Partition(splits, provenance, partition.held_out, partition.histogram)


@dataclass(frozen=True)
class Fitted:
    """A stored partition in terms of the loaded examples, and what it has lost of `train`.

    to_validation: examples that are in the validation split here; left_out: ones that a limit or
    `skip_bad` left out.
    """

    partition: Partition
    to_validation: int = 0
    left_out: int = 0


def fitted(stored: Partition, corpus: Corpus, where: str) -> Fitted:
    """The stored shares as indices of the loaded examples.

    Raises:
        UserError: the file counts other rows, holds an example that is not in the data, or leaves
            a client without one.
    """
    counted = stored.provenance.get("rows_of")
    if not isinstance(counted, dict) or set(SHARED) - set(stored.splits):
        raise UserError(
            where,
            "does not say which rows of which data its indices count",
            "a partition of train and test",
            "read it by `run_bench.py partition import`",
        )
    for name in SHARED:
        if counted.get(name) != source_split(corpus, name):
            raise UserError(
                where,
                f"its {name} shares count rows of {counted.get(name)}",
                f"rows of {source_split(corpus, name)}, as {corpus.name} has them",
            )
    same = stored.provenance.get("data_fingerprint") == corpus.fingerprint
    splits: dict[str, Split] = {}
    lost = (0, 0)
    for name in SHARED:
        positions = _positions(stored.splits[name], corpus, name, same, where)
        missing = np.flatnonzero(positions < 0)
        if name == "train":
            lost = _explained(stored.splits[name], missing, corpus, where)
        elif len(missing) and not corpus.limited:
            raise _foreign(stored.splits[name], missing[0], corpus, where)
        splits[name] = _kept(stored.splits[name], positions)
    empty = np.flatnonzero(splits["train"].sizes() == 0)
    if len(empty):
        raise UserError(
            where,
            f"client {empty[0]} has no example left"
            + (f", nor have {len(empty) - 1} more" if len(empty) > 1 else ""),
            "at least one for each",
            "load the data that it was made for: the same card, cuts and limits",
        )
    partition = Partition(splits, stored.provenance, stored.held_out, stored.histogram)
    return Fitted(partition, *lost)


def _positions(split: Split, corpus: Corpus, name: str, same: bool, where: str) -> np.ndarray:
    """[n] int64: where each stored example lies in the loaded split, -1 where it does not."""
    numbers = rows(corpus, name)
    order = np.argsort(numbers, kind="stable")
    places = np.searchsorted(numbers[order], split.indices)
    places = order[np.minimum(places, len(order) - 1)]
    found = numbers[places] == split.indices
    if same:
        if not found.all():
            raise UserError(
                where, f"{name} rows that its own data does not have", fix="make it anew"
            )
        return places
    if split.hashes is None:
        known = str(corpus.fingerprint)[:12]
        raise UserError(
            where,
            "was made for other data and holds no hashes of its examples",
            f"data of fingerprint {known}...",
            "use the same card, source and limits, or make the partition again",
        )
    ours = hashes(corpus, name)
    if (ours[places[found]] == split.hashes[found]).all():
        return np.where(found, places, -1)
    return _by_content(split, ours, numbers)


def _by_content(split: Split, ours: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Positions by content alone, for data in another order.

    The k-th of several equal examples, in row order, is the k-th of them there.
    """
    assert split.hashes is not None
    theirs = np.lexsort((split.indices, split.hashes))
    mine = np.lexsort((numbers, ours))
    wanted, have = split.hashes[theirs], ours[mine]
    rank = np.arange(len(wanted)) - np.searchsorted(wanted, wanted)
    places = np.searchsorted(have, wanted) + rank
    inside = np.minimum(places, len(have) - 1)
    found = (places < len(have)) & (have[inside] == wanted)
    positions = np.full(len(wanted), -1, dtype=np.int64)
    positions[theirs] = np.where(found, mine[inside], -1)
    return positions


def _explained(split: Split, missing: np.ndarray, corpus: Corpus, where: str) -> tuple[int, int]:
    """How many of the missing are in the validation split, and how many a limit left out."""
    if not len(missing):
        return 0, 0
    assert split.hashes is not None
    held = np.zeros(len(missing), dtype=bool)
    if source_split(corpus, "validation") == "train":
        held = np.isin(split.hashes[missing], hashes(corpus, "validation"))
    if not held.all() and not corpus.limited:
        raise _foreign(split, missing[~held][0], corpus, where)
    return int(held.sum()), int((~held).sum())


def _foreign(split: Split, place: int, corpus: Corpus, where: str) -> UserError:
    return UserError(
        where,
        f"was made for other data: the example of its row {split.indices[place]} is not in "
        f"{corpus.name}",
        f"data of fingerprint {corpus.fingerprint[:12]}...",
        "use the same card, source and limits, or make the partition again",
    )


def _kept(split: Split, positions: np.ndarray) -> Split:
    """The split without what has no place, ascending within a client."""
    holders = np.repeat(np.arange(split.clients), split.sizes())
    kept = positions >= 0
    order = np.lexsort((positions[kept], holders[kept]))
    sizes = np.bincount(holders[kept], minlength=split.clients)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return Split(positions[kept][order], offsets)
