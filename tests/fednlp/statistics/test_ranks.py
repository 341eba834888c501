"""Ranks with ties, against all orders of a few methods."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from fednlp.statistics import Comparison, Rank, Summary, compare, ranks


def pair(better, worse):
    """A difference shown, whichever way round the pair is written."""
    first, second = sorted([better, worse])
    mean = 1.0 if first == better else -1.0
    return Comparison(
        first, second, tuple(range(6)), Summary(6, mean, 0.1, None, None), 1, 0.01, 0.03, None
    )


def text(methods, *shown):
    found = ranks(methods, [pair(*two) for two in shown])
    return " ".join(str(found[method]) for method in methods)


def test_nothing_shown_is_one_tie():
    assert text("ABC") == "1-3 1-3 1-3"


def test_all_shown_is_an_order():
    assert text("ABC", "AB", "BC", "AC") == "1 2 3"


def test_no_difference_shown_is_not_transitive():
    """A before C; B like both. There is no group that B could be in without A or C."""
    assert text("ABC", "AC") == "1-2 1-3 2-3"


def test_what_follows_from_two_differences_counts_as_shown():
    """A before B before C, and A against C not shown (fewer common seeds, say)."""
    assert text("ABC", "AB", "BC") == "1 2 3"


def test_a_circle_is_ignored_and_what_is_outside_it_is_not():
    """What follows through the circle (B before C before A before D) is ignored with it."""
    assert text("ABC", "AB", "BC", "CA") == "1-3 1-3 1-3"
    assert text("ABCD", "AB", "BC", "CA", "AD") == "1-3 1-4 1-4 2-4"


def test_one_method_and_none():
    assert ranks(["A"], []) == {"A": Rank(1, 1)}
    assert ranks([], []) == {}


def test_a_pair_of_strangers_is_an_error():
    with pytest.raises(KeyError):
        ranks(["A"], [pair("A", "B")])


@pytest.mark.parametrize("seed", range(30))
def test_ranks_are_those_of_the_orders_that_agree(seed):
    """All 120 orders of five methods, less those against a difference shown."""
    rng = np.random.default_rng(seed)
    methods = list(rng.permutation(list("ABCDE")))
    shown = [two for two in combinations(methods, 2) if rng.random() < 0.3]
    orders = [
        order for order in permutations("ABCDE")
        if all(order.index(better) < order.index(worse) for better, worse in shown)
    ]  # fmt: skip
    found = ranks("ABCDE", [pair(*two) for two in shown])
    for method in "ABCDE":
        places = [1 + order.index(method) for order in orders]
        assert found[method] == Rank(min(places), max(places))


def test_true_ranks_are_inside_in_95_of_100():
    """All of them at once, by the correction of the family."""
    rng, times, inside = np.random.default_rng(7), 250, 0
    for _ in range(times):
        scores = {
            name: dict(enumerate(rng.normal(-level, 1.0, 8)))
            for name, level in zip("ABC", (0, 0.7, 2.5), strict=True)
        }
        found = ranks("ABC", compare(scores))
        inside += all(
            found[n].best <= r <= found[n].worst for n, r in zip("ABC", (1, 2, 3), strict=True)
        )
    assert inside / times >= 0.95 - 3 * (0.95 * 0.05 / times) ** 0.5
