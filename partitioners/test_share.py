"""Each client's share of the test split, so that a client is judged on data like its own.

By skew label: client k gets of the test examples of class c the part n_kc / N_c, with n_kc what
it *holds* of that class in train (the achieved histogram, not the drawn one). Fractions are
rounded at random and unbiased (draws.fair_counts): a client due 0.3 examples gets one in three
splits of ten. Classes that no client holds in train are like nobody's data: their test examples
belong to nobody.

By natural key: a test example goes to the client that holds its key in train; examples with an
unknown key belong to nobody.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .draws import deal, fair_counts
from .histogram import LabelHistogram
from .partition import Split


def share_by_label(
    test_labels: np.ndarray, histogram: LabelHistogram, generator: np.random.Generator
) -> Split:
    """Test split [M] matched to the achieved train histogram; classes held in train go out whole.

    For each class and client the count is within 1 of the exact proportion.
    """
    known = np.unique(histogram.labels)
    places = np.flatnonzero(np.isin(test_labels, known))
    codes = np.searchsorted(known, test_labels[places])
    wanted = np.bincount(codes, minlength=len(known))
    entry_class = np.searchsorted(known, histogram.labels)
    entry_client = histogram.holders()
    order = generator.permutation(len(entry_class))  # rounding must not tie neighbours together
    order = order[np.argsort(entry_class[order], kind="stable")]
    starts = np.searchsorted(entry_class[order], np.arange(len(known) + 1))
    holders, classes, counts = [], [], []
    for label in np.flatnonzero(wanted):
        entries = order[starts[label] : starts[label + 1]]
        given = fair_counts(histogram.counts[entries], int(wanted[label]), generator)
        holders.append(entry_client[entries[given > 0]])
        counts.append(given[given > 0])
        classes.append(np.full(len(counts[-1]), label))
    if not holders:
        return Split(np.zeros(0, np.int64), np.zeros(histogram.clients + 1, np.int64))
    parts = np.concatenate(holders), np.concatenate(classes), np.concatenate(counts)
    owners = np.full(len(test_labels), -1, np.int64)
    owners[places] = deal(codes, *parts, generator)
    return Split.from_owners(owners, histogram.clients)


def share_by_key(
    train_keys: Sequence[str] | np.ndarray,
    train: Split,
    test_keys: Sequence[str] | np.ndarray | None,
) -> Split | None:
    """Test split by natural key; None unless at least half of the different test keys are known.

    Keys may be "" (nobody's). `train` comes from `natural`: all examples of a key in one client.
    """
    found = {str(key) for key in test_keys} - {""} if test_keys is not None else set()
    owners = train.owners(len(train_keys)).tolist()
    client_of = {
        str(key): owner for key, owner in zip(train_keys, owners, strict=True) if owner >= 0
    }
    if test_keys is None or not found or 2 * len(found & client_of.keys()) < len(found):
        return None
    seats = (client_of.get(str(key), -1) for key in test_keys)
    return Split.from_owners(np.fromiter(seats, np.int64, len(test_keys)), train.clients)
