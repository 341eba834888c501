"""Which author, article or source each client of a natural partition is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fednlp.errors import is_user_error
from fednlp.experiment import Experiment
from fednlp.partitions.folder import made_with
from fednlp.partitions.source import located, source_table
from partitioners import Partition

MOST = 3  # keys named of a client that several were dealt or merged into


def natural_clients(stored: Partition, clients: Iterable[int], where: str) -> list[str] | None:
    """What the data call each of `clients`; None unless the partition is a natural one.

    Raises:
        UserError: the data cannot be read, or are others.
    """
    if stored.provenance.get("partitioner") != "natural":
        return None
    corpus = Experiment(made_with(stored, where)).corpus
    same = stored.provenance.get("data_fingerprint") == corpus.fingerprint
    train = stored.splits["train"]
    places = located(train, corpus, "train", same, where)
    keys = np.array(source_table(corpus, "train").column("client").to_pylist(), dtype=object)
    return [_told(keys, places[train.offsets[k] : train.offsets[k + 1]]) for k in clients]


def _told(keys: np.ndarray, places: np.ndarray) -> str:
    names = sorted(set(keys[places[places >= 0]]))
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more


def without_names(error: ValueError) -> str:
    """Why clients are not named: a partition can be looked at where its data are not."""
    if not is_user_error(error):
        raise error
    return f"natural clients are not named: {error}"
