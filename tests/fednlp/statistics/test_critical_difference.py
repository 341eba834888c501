"""The critical difference, against the example and the table of Demsar (2006)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fednlp.errors import UserError
from fednlp.statistics import critical_difference
from fednlp.statistics.critical_difference import nemenyi

pytestmark = pytest.mark.filterwarnings("error")
METHODS = ["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"]
# Demsar's Table 6, AUC on 14 data sets; voting's 0.975 and 0.975 are of ranks 2 and 3
DEMSAR = [
    [0.763, 0.768, 0.771, 0.798],
    [0.599, 0.591, 0.590, 0.569],
    [0.954, 0.971, 0.968, 0.967],
    [0.628, 0.661, 0.654, 0.657],
    [0.882, 0.888, 0.886, 0.898],
    [0.936, 0.931, 0.916, 0.931],
    [0.661, 0.668, 0.609, 0.685],
    [0.583, 0.583, 0.563, 0.625],
    [0.775, 0.838, 0.866, 0.875],
    [1.000, 1.000, 1.000, 1.000],
    [0.940, 0.962, 0.965, 0.962],
    [0.619, 0.666, 0.614, 0.669],
    [0.972, 0.981, 0.9752, 0.9751],
    [0.957, 0.978, 0.946, 0.970],
]


def test_the_example_of_the_paper():
    """Mean ranks 3.143, 2.000, 2.893, 1.964; chi-square 9.28 before ties; CD 1.25, none apart."""
    found = critical_difference(DEMSAR, METHODS)
    assert list(found.ranks) == ["C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"]
    assert list(found.ranks.values()) == pytest.approx([1.964, 2.000, 2.893, 3.143], abs=5e-4)
    corrected = 9.2786 / (1 - 78 / (14 * 60))  # ties of two (6 each), and mushroom's four (60)
    assert found.friedman_p == pytest.approx(stats.chi2.sf(corrected, 3), rel=1e-4)
    assert found.critical == pytest.approx(1.25, abs=0.005)
    assert found.groups == (tuple(found.ranks),)
    assert len(found.wilcoxon_p) == 6 and all(0 <= p <= 1 for p in found.wilcoxon_p.values())


@pytest.mark.parametrize(
    ("methods", "quantile"),
    [(3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (8, 3.031), (10, 3.164)],
)
def test_critical_values_are_those_of_the_paper(methods, quantile):
    unit = (methods * (methods + 1) / (6 * 20)) ** 0.5
    assert nemenyi(20, methods) == pytest.approx(quantile * unit, rel=3e-4)


def test_nine_data_sets_are_too_few_in_words():
    found = critical_difference(DEMSAR[:9], METHODS)
    assert found == "fewer than 10 independent data sets (9): no diagram"
    assert critical_difference([], METHODS).startswith("fewer than 10")


def test_two_methods_are_a_pair():
    found = critical_difference(np.ones((12, 2)).tolist(), ["A", "B"])
    assert found == "2 methods: compared in pairs, a diagram needs 3"


def test_an_order_on_every_data_set_is_told_apart():
    """Ranks 1, 2, 3, 4 everywhere, and a critical difference of 1.05: overlapping bars."""
    scores = [[4.0 + n, 3.0 + n, 2.0 + n, 1.0 + n] for n in range(20)]
    found = critical_difference(scores, "ABCD")
    assert found.critical == pytest.approx(1.049, abs=0.001) and found.friedman_p < 1e-6
    assert found.groups == (("A", "B"), ("B", "C"), ("C", "D"))
    wide = critical_difference([row for row in scores for _ in range(3)], "ABCD")
    assert wide.groups == () and wide.critical < 1


def test_equal_scores_are_one_bar():
    found = critical_difference([[0.5, 0.1 + 0.4, 0.5]] * 10, "ABC")
    assert found.friedman_p == 1.0 and set(found.ranks.values()) == {2.0}
    assert found.groups == (("A", "B", "C"),) and set(found.wilcoxon_p.values()) == {1.0}


def test_rounding_makes_no_ranks():
    found = critical_difference([[0.3, 0.1 + 0.2, 0.2]] * 12, "ABC")
    assert found.ranks == {"A": 1.5, "B": 1.5, "C": 3.0}


def test_without_a_friedman_difference_nothing_is_told_apart():
    scores = np.random.default_rng(1).random((30, 4))
    found = critical_difference(scores.tolist(), "ABCD")
    assert found.friedman_p > 0.05 and len(found.groups) == 1


def test_nemenyi_alone_claims_nothing():
    """Mean ranks 1.0 apart, over the critical 0.999; but chi-square is 5.64 of the 5.99 needed."""
    places = ["123", "123", "123", "132", "132", "132", "132", "213", "213", "213", "321"]
    found = critical_difference([[-float(n) for n in row] for row in places], "ABC")
    assert found.friedman_p == pytest.approx(stats.chi2.sf(62 / 11, 2))
    assert found.ranks["C"] - found.ranks["A"] > found.critical
    assert found.groups == (("A", "B", "C"),)


@pytest.mark.parametrize("rows", [[[1.0, 2.0]] * 10, [[1.0, float("nan"), 2.0]] * 10])
def test_what_is_not_a_table_is_refused(rows):
    with pytest.raises(UserError):
        critical_difference(rows, "ABC")
