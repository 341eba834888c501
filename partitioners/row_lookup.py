"""Where rows of one list lie in another: by their number, or by what is in them."""

from __future__ import annotations

import numpy as np


def places_by_number(wanted: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """[n] int64: where each of [n] `wanted` lies among [m] different `numbers`; -1: nowhere."""
    if not len(numbers):
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.argsort(numbers, kind="stable")
    near = np.minimum(np.searchsorted(numbers[order], wanted), len(order) - 1)
    return np.where(numbers[order][near] == wanted, order[near], -1)


def places_by_content(
    wanted: np.ndarray, order_wanted: np.ndarray, known: np.ndarray, order_known: np.ndarray
) -> np.ndarray:
    """[n] int64: where each of [n] `wanted` hashes lies among [m] `known` ones; -1: nowhere.

    The k-th of several equal hashes, by its number in `order_wanted`, is the k-th of them by
    `order_known`: each place is taken once.
    """
    theirs, mine = np.lexsort((order_wanted, wanted)), np.lexsort((order_known, known))
    sought, have = wanted[theirs], known[mine]
    if not len(have):
        return np.full(len(wanted), -1, dtype=np.int64)
    rank = np.arange(len(sought)) - np.searchsorted(sought, sought)
    places = np.searchsorted(have, sought) + rank
    inside = np.minimum(places, len(have) - 1)
    found = (places < len(have)) & (have[inside] == sought)
    positions = np.full(len(wanted), -1, dtype=np.int64)
    positions[theirs] = np.where(found, mine[inside], -1)
    return positions
