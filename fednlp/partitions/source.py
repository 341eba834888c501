"""The rows that a stored partition counts: the data set's own splits, before cuts and limits.

A share of `train` counts rows of the source's train split; a share of `test` counts rows of its
test split, or where that was cut from train, rows of train.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fednlp.errors import UserError
from partitioners.partition import Split
from partitioners.row_lookup import places_by_content, places_by_number
from tasks.data import Corpus
from tasks.example_hash import example_hashes

if TYPE_CHECKING:
    import pyarrow

SHARED = ("train", "test")  # the splits that clients have shares of


def source_split(corpus: Corpus, split: str) -> str:
    """The split of the source whose rows the examples of a split count."""
    return split if split in corpus.card.source_splits else "train"


def source_sizes(corpus: Corpus) -> dict[str, int]:
    """Per split that clients have shares of: rows of its source split, whatever became of them."""
    sizes = {str(name): size for name, size in corpus.origin.sizes.items()}
    return {name: sizes[source_split(corpus, name)] for name in SHARED}


def source_table(corpus: Corpus, split: str) -> pyarrow.Table:
    """All examples that a share of a split may have: train before its cuts, test before a limit."""
    return corpus.origin.test if split == "test" else corpus.origin.tables["train"]


def source_rows(corpus: Corpus, split: str) -> np.ndarray:
    """[N] int64: the numbers of the rows of `source_table`, ascending; bad records leave gaps."""
    return source_table(corpus, split).column("row").to_numpy()


def source_hashes(corpus: Corpus, split: str) -> np.ndarray:
    """[N] uint64: what is in each row of `source_table`."""
    known, key = corpus.known_hashes, f"source {split}"
    if key not in known:
        known[key] = example_hashes(corpus.task, source_table(corpus, split), corpus.labels)
    return known[key]


def rows(corpus: Corpus, split: str) -> np.ndarray:
    """[N] int64: the source row of each loaded example."""
    return corpus.splits[split].data.column("row").to_numpy()


def hashes(corpus: Corpus, split: str) -> np.ndarray:
    """[N] uint64: what is in each loaded example of train or test."""
    known = corpus.known_hashes
    if split not in known and f"source {split}" in known:
        places = places_by_number(rows(corpus, split), source_rows(corpus, split))
        known[split] = source_hashes(corpus, split)[places]
    elif split not in known:
        known[split] = example_hashes(corpus.task, corpus.splits[split].data, corpus.labels)
    return known[split]


def located(split: Split, corpus: Corpus, name: str, same: bool, where: str) -> np.ndarray:
    """[n] int64: the place of each stored example in `source_table`, -1 where it is not in it.

    By number where every row there is holds what the hash says, else by content. Of several equal
    examples those that are loaded come first.

    Args:
        same: whether the fingerprint says that the data are the same.

    Raises:
        UserError: there are no hashes and the data are other data, or a hash is not that of the
            same data.
    """
    numbers = source_rows(corpus, name)
    places = places_by_number(split.indices, numbers)
    if split.hashes is None:
        if same:
            return places
        known = corpus.fingerprint[:12]
        raise UserError(
            where,
            "was made for other data and holds no hashes of its examples",
            f"data of fingerprint {known}...",
            "use the same card, source and limits, or make the partition again",
        )
    ours, found = source_hashes(corpus, name), places >= 0
    wrong = np.flatnonzero(ours[places[found]] != split.hashes[found])
    if not len(wrong):
        return places
    if same:
        raise UserError(
            where,
            f"the hash of {name} row {split.indices[found][wrong[0]]} is not that of the example",
            fix="it was edited or damaged: make it anew",
        )
    last = np.where(np.isin(numbers, rows(corpus, name)), 0, numbers[-1] + 1)
    return places_by_content(split.hashes, split.indices, ours, numbers + last)
