from __future__ import annotations

import re

import numpy as np
import pytest

from partitioners import Partition, PartitionError, find_alpha, make_partition, parse_target
from partitioners.target_skew import MEASURES, STEPS

LABELS = np.random.default_rng(0).integers(0, 10, 10_000)


def maker(name: str, clients: int = 100, rows: int = 10_000):
    def make(alpha: float) -> Partition:
        return make_partition(
            name,
            {"alpha": alpha},
            clients=clients,
            seed=0,
            train_labels=LABELS[:rows],
            test_labels=LABELS[:50],
        )

    return make


@pytest.mark.parametrize("name", ["dirichlet", "dirichlet_per_class"])
@pytest.mark.parametrize(
    ("measure", "target"), [("JSD", 0.4), ("JSD", 0.7), ("TV", 0.3), ("missing", 0.25)]
)
def test_reaches_the_skew(name: str, measure: str, target: float) -> None:
    make = maker(name)
    alpha, partition = find_alpha(make, measure, target)
    achieved = partition.provenance["achieved"][MEASURES[measure]]
    assert abs(achieved - target) <= 0.005
    assert partition.provenance["parameters"]["alpha"] == alpha
    assert make(alpha).checksum == partition.checksum


def test_ends_of_the_range_are_reachable_and_what_is_beyond_names_the_range() -> None:
    make = maker("dirichlet")
    skew = {a: make(a).provenance["achieved"]["js_distance"] for a in (1e-3, 1e3)}
    assert find_alpha(make, "JSD", skew[1e-3])[0] < 0.11  # flat below
    assert find_alpha(make, "JSD", skew[1e3])[0] == 1e3
    for target in (0.05, 0.99):
        with pytest.raises(PartitionError) as caught:
            find_alpha(make, "JSD", target)
        message = str(caught.value)
        assert f"JSD={target}" in message and "\n" not in message
        low, high = map(float, re.findall(r"from (\S+) to (\S+),", message)[0])
        assert low == pytest.approx(skew[1e3], abs=1e-3)
        assert skew[1e-3] - 1e-3 < high < skew[1e-3] + 0.01  # the largest seen on the way down


def test_few_draws_and_the_nearest_where_no_partition_fits() -> None:
    calls: list[float] = []

    def make(alpha: float) -> Partition:
        calls.append(alpha)
        return maker("dirichlet", clients=3, rows=60)(alpha)

    with pytest.raises(PartitionError, match=r"within 1e-05 of TV=.*nearest has 0\.\d+, at"):
        find_alpha(make, "TV", 0.4321, tolerance=1e-5)
    assert len(calls) < STEPS  # it ends when alphas draw the same again
    calls.clear()
    nearest = find_alpha(make, "TV", 0.4321, tolerance=0.05)
    assert len(calls) < 16 and nearest[0] == calls[-1]


def test_where_skew_falls_again_the_larger_alpha_is_found() -> None:
    """Below alpha 0.1 most clients hold one donated example of the same few donors."""
    make = maker("dirichlet_per_class")
    assert make(1e-3).provenance["achieved"]["js_distance"] < 0.65
    alpha, _ = find_alpha(make, "JSD", 0.8)
    assert alpha > 0.1


@pytest.mark.parametrize("text", ["JSD=0.4", " JSD = 4e-1 "])
def test_text_form(text: str) -> None:
    assert parse_target(text) == ("JSD", 0.4)
    assert parse_target("missing=1") == ("missing", 1.0)
    assert parse_target("TV=0") == ("TV", 0.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("jsd=0.4", "did you mean JSD?"),
        ("JS=0.4", "did you mean JSD?"),
        ("mising=0.4", "did you mean missing?"),
        ("gini=0.4", "one of JSD=0.4, TV=0.4, missing=0.4"),
        ("0.4", "one of JSD=0.4"),
        ("", "one of JSD=0.4"),
        ("JSD", "from 0 to 1"),
        ("JSD=", "from 0 to 1"),
        ("JSD=high", "from 0 to 1"),
        ("JSD=nan", "from 0 to 1"),
        ("JSD=inf", "from 0 to 1"),
        ("JSD=1.5", "from 0 to 1"),
        ("JSD=-0.1", "from 0 to 1"),
        ("TV=0.4=0.5", "as in TV=0.4"),
    ],
)
def test_bad_text_is_one_line(text: str, told: str) -> None:
    with pytest.raises(PartitionError) as caught:
        parse_target(text)
    assert caught.value.where == "target_skew" and repr(text) in str(caught.value)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_bad_arguments_are_refused_before_anything_is_drawn() -> None:
    for measure, target in (("gini", 0.4), ("JSD", float("nan")), ("JSD", 1.01)):
        with pytest.raises(PartitionError, match="target_skew"):
            find_alpha(lambda alpha: pytest.fail("drawn"), measure, target)
