"""Methods in pairs, against published analyses and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from fednlp.errors import UserError
from fednlp.statistics import compare
from fednlp.statistics.comparison import holm, signed_rank

pytestmark = pytest.mark.filterwarnings("error")
# Darwin's maize: height of the crossed minus the self-fertilised plant of a pair, eighths of inches
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]


def by_seed(values):
    return {seed: float(value) for seed, value in enumerate(values)}


def one(first, second):
    (found,) = compare({"A": by_seed(first), "B": by_seed(second)})
    return found


def test_darwins_maize():
    """Fisher (1935): t = 2.148 with 14 degrees; R's wilcox.test: V = 96, p = 0.04126."""
    found = one(np.add(MAIZE, 100), [100] * 15)
    assert found.difference.mean == pytest.approx(20.933, abs=1e-3)
    assert found.t_p == pytest.approx(0.0497, abs=1e-4)
    assert found.wilcoxon_p == pytest.approx(0.04126, abs=1e-5)
    assert found.shown and found.better == "A" and found.family == 1


def test_students_sleep_with_its_zero():
    """t = 4.0621, p = 0.002833 (R); nine differences of one sign: 2 / 2^9 without the zero."""
    found = one([0] * 10, SLEEP)
    assert found.t_p == pytest.approx(0.002833, abs=1e-6)
    assert found.wilcoxon_p == pytest.approx(2 / 2**9)
    assert found.better == "B" and found.difference.mean == pytest.approx(-1.58)


def test_six_of_one_sign_is_the_least_that_wilcoxon_can_show():
    found = one([0.81, 0.82, 0.83, 0.84, 0.85, 0.86], [0.70, 0.72, 0.71, 0.75, 0.70, 0.73])
    assert found.wilcoxon_p == pytest.approx(2 / 2**6) and found.shown
    assert "A is better" in found.words and "Wilcoxon p = 0.031" in found.words


def test_five_seeds_claim_nothing_however_large_the_difference():
    found = one([0.9, 0.91, 0.92, 0.93, 0.94], [0.1, 0.12, 0.11, 0.1, 0.13])
    assert found.t_p is found.wilcoxon_p is found.better is None and not found.shown
    assert found.difference.t_interval is not None and found.needed.seeds == 6
    assert "fewer than 6 seeds: no claim" in found.words and found.family == 0


def test_only_common_seeds_count():
    """Seed 9 of A and seed 8 of B meet nobody; unpaired, they would."""
    first, second = by_seed([0.5, 0.6]) | {9: 100.0}, by_seed([0.4, 0.45]) | {8: -100.0}
    (found,) = compare({"A": first, "B": second})
    assert found.seeds == (0, 1) and found.difference.mean == pytest.approx(0.125)


def test_no_common_seed():
    (found,) = compare({"A": {0: 0.5}, "B": {1: 0.4}})
    assert found.difference is found.needed is None and found.seeds == ()
    assert found.words == "A and B: no seed in common, not compared"


def test_one_common_seed():
    (found,) = compare({"A": {0: 0.5}, "B": {0: 0.4}})
    assert found.words == "A minus B: +0.100 over one common seed; fewer than 6 seeds: no claim"
    assert found.needed is None


@pytest.mark.parametrize("methods", [0, 1])
def test_fewer_than_two_methods_are_no_pair(methods):
    assert compare({str(n): {0: 0.5} for n in range(methods)}) == []


def test_the_same_scores_are_no_difference():
    found = one([0.1, 0.7, 0.3, 0.2, 0.9, 0.4], [0.1, 0.7, 0.3, 0.2, 0.9, 0.4])
    assert (found.t_p, found.wilcoxon_p, found.needed) == (1.0, 1.0, None)
    assert found.difference.mean == found.difference.std == 0.0
    assert found.words.startswith("A minus B: no difference in each of 6 common seeds")


def test_rounding_is_no_difference_and_breaks_no_tie():
    """0.1 + 0.2 is not 0.3, and 0.8 - 0.7 not 0.4 - 0.3, in binary numbers."""
    assert one([0.1 + 0.2] * 8, [0.3] * 8).t_p == 1.0
    found = one([0.8, 0.4, 0.9, 0.3, 0.6, 0.2], [0.7, 0.3, 0.8, 0.2, 0.5, 0.1])
    assert found.difference.std == 0.0 and found.difference.mean == pytest.approx(0.1)


def test_a_difference_without_variation_is_no_evidence():
    """Runs in which the seed changes nothing are one run, however often they are copied."""
    found = one([0.8] * 12, [0.7] * 12)
    assert found.t_p is None and not found.shown and found.needed is None
    assert found.wilcoxon_p == pytest.approx(2 / 2**12)
    assert found.words.endswith("no variation between seeds: no claim")


def test_ties_and_zeros_keep_wilcoxon_exact():
    """+1 +1 +1 -1 0 0: signs of four tied ranks; 3 or more alike in 10 of 16 ways."""
    found = one([1, 1, 1, -1, 0, 0], [0] * 6)
    assert found.wilcoxon_p == pytest.approx(10 / 16)


@pytest.mark.parametrize("seed", range(6))
def test_exact_with_ties_is_scipys(seed):
    values = np.random.default_rng(seed).integers(-2, 4, 7).astype(float)
    expected = stats.wilcoxon(values, method=stats.PermutationMethod()).pvalue
    assert signed_rank(values) == pytest.approx(expected)


def test_the_t_test_decides_where_the_two_disagree():
    """One seed of 30 among ones: Wilcoxon sees six of one sign, the t test sees one seed."""
    found = one([1, 1.1, 0.9, 1.05, 0.95, 30], [0] * 6)
    assert found.wilcoxon_p == pytest.approx(2 / 2**6) and found.t_p == pytest.approx(
        0.28, abs=0.01
    )
    assert not found.shown and "no difference shown" in found.words


def test_many_ties_in_a_large_sample_warn_nobody():
    found = one([1, 0, 1, -1] * 10, [0] * 40)
    assert 0 < found.wilcoxon_p < 1


def test_holm_by_hand():
    """0.01 x 3, 0.03 x 2, and 0.04 x 1 which may not be below it."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 1.0, 0.02]) == pytest.approx([1.0, 1.0, 0.06])
    assert holm([]) == []


@pytest.mark.parametrize("count", [1, 2, 7, 30])
def test_holm_is_that_of_statsmodels(count):
    p = np.random.default_rng(count).random(count) ** 4
    assert holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1])


def test_the_family_is_the_pairs_with_six_seeds():
    rng = np.random.default_rng(0)
    scores = {name: by_seed(rng.normal(size=8)) for name in "ABC"} | {"D": {0: 1.0, 1: 2.0}}
    found = compare(scores)
    assert [(pair.first, pair.second) for pair in found] == [
        ("A", "B"), ("A", "C"), ("A", "D"), ("B", "C"), ("B", "D"), ("C", "D"),
    ]  # fmt: skip
    assert {pair.family for pair in found} == {3}
    assert [pair.t_p is None for pair in found] == [False, False, True, False, True, True]
    alone = one(scores["A"].values(), scores["B"].values())
    assert found[0].t_p >= alone.t_p


def test_a_pair_without_variation_counts_in_the_family():
    """Left out because of its data, it would make the others' correction smaller than it is."""
    rng = np.random.default_rng(9)
    scores = {"A": by_seed(rng.normal(size=8)), "B": by_seed(rng.normal(1.5, size=8))}
    (alone,) = compare(scores)
    found = compare({**scores, "C": {seed: value + 1 for seed, value in scores["A"].items()}})
    assert [pair.t_p is None for pair in found] == [False, True, False]
    assert {pair.family for pair in found} == {3} and found[0].t_p > alone.t_p


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_named(score):
    with pytest.raises(UserError, match="score of B, seed 3"):
        compare({"A": {0: 1.0}, "B": {0: 1.0, 3: score}})


def test_under_no_difference_a_family_claims_in_5_of_100():
    """Four methods alike, with a common effect of the seed: six pairs, one family."""
    rng, times = np.random.default_rng(4), 400
    claimed = 0
    for _ in range(times):
        seed = rng.normal(size=6)
        scores = {name: by_seed(seed + rng.normal(size=6)) for name in "ABCD"}
        claimed += any(pair.shown for pair in compare(scores))
    assert claimed / times <= 0.05 + 3 * (0.05 * 0.95 / times) ** 0.5


def test_a_single_pair_claims_in_5_of_100_and_not_never():
    """Neither more nor far fewer: the t test spends its 5 %."""
    rng, times = np.random.default_rng(5), 1000
    claimed = np.mean([one(*rng.normal(size=(2, 8))).shown for _ in range(times)])
    assert claimed == pytest.approx(0.05, abs=3.5 * (0.05 * 0.95 / times) ** 0.5)


def test_true_differences_are_found_with_the_right_sign():
    rng, times = np.random.default_rng(6), 200
    better = [one(rng.normal(1.5, 1, 12), rng.normal(0, 1, 12)).better for _ in range(times)]
    assert better.count("A") > 0.8 * times and better.count("B") == 0
