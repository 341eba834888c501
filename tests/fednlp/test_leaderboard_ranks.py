"""Methods over many data sets: which scores count, and what the diagram draws."""

from __future__ import annotations

import re
from dataclasses import replace
from statistics import mean
from xml.etree import ElementTree

import pytest

from benchmarks.synthetic_runs import Made, write_pair
from fednlp.leaderboard.across import across, scores
from fednlp.leaderboard.build import board_of, build
from fednlp.leaderboard.rank_diagram import AXIS, LONGEST, WIDTH, axis, bar_levels, diagram
from fednlp.statistics import critical_difference

BASE = Made(rounds=3)
METHODS = {"FedAvg": 0.9, "FedProx": 0.6, "SCAFFOLD": 0.2}
NAMESPACE = "{http://www.w3.org/2000/svg}"


def written(folder, data, methods, **more):
    """A pair for each method on a data set."""
    for method, quality in methods.items():
        names = {"data": data}
        write_pair(folder, replace(BASE, method=method, quality=quality, names=names, **more))


@pytest.fixture
def ten(tmp_path):
    """Ten data sets."""
    folder = tmp_path / "runs"
    folder.mkdir()
    for number in range(10):
        written(folder, f"set-{number}", METHODS)
    return folder


def test_the_numbers_are_those_of_the_statistics(ten):
    board = board_of([ten])
    methods = sorted(METHODS)
    table = [
        [
            mean(run.result.selected.test["accuracy"] for run in line.runs)
            for method in methods
            for line in benchmark.lines
            if line.algorithm == method
        ]
        for benchmark in board.benchmarks
    ]
    plain, told = critical_difference(table, methods), across(board)
    assert told.found.data_sets == plain.data_sets == 10
    assert [(name, rank) for name, rank, _ in told.rows] == list(plain.ranks.items())
    assert (told.found.friedman_p, told.found.critical) == (plain.friedman_p, plain.critical)
    assert told.shared == "adamw 0.001" and told.rows[0][0] == "FedAvg"
    assert len(told.pairs) == 3


def test_nine_data_sets_have_no_diagram(ten, tmp_path):
    sources = [p for p in sorted(ten.iterdir()) if "set-9" not in (p / "result.json").read_text()]
    told = across(board_of(sources))
    assert told.picture is None
    assert told.reason == "Fewer than 10 independent data sets (9): no diagram."
    build(sources, tmp_path / "site")
    overview = (tmp_path / "site/index.html").read_text()
    assert told.reason in overview and 'class="diagram"' not in overview


def test_splits_seeds_and_names_of_one_text_are_one_data_set(tmp_path):
    for number in range(5):
        for alpha in (0.1, 1.0):
            for seed in (0, 1):
                written(tmp_path, f"set-{number}", METHODS, alpha=alpha, seed=seed)
    assert "data sets (5)" in across(board_of([tmp_path])).reason


def test_a_method_is_compared_on_benchmarks_that_all_have(ten):
    """A method's easier split, on which the others are not, gives it no better rank."""
    before = across(board_of([ten])).rows
    written(ten, "set-0", {"SCAFFOLD": 5.0}, alpha=9.0)
    assert across(board_of([ten])).rows == before


def test_data_sets_of_a_stranger_take_the_diagram_from_nobody(ten):
    before = across(board_of([ten]))
    for number in range(4):
        written(ten, f"mine-{number}", {"Mine": 0.9, "FedAvg": 0.1})
    after = across(board_of([ten]))
    assert after.rows == before.rows and after.found.data_sets == 10


def test_a_reference_changes_no_rank(ten):
    """Scores are federated ones, and lines that differ in their reference are one method."""
    board = board_of([ten])
    (benchmark, *_) = board.benchmarks
    doubled = replace(benchmark, lines=(*benchmark.lines, *benchmark.lines))
    assert scores(doubled) == scores(benchmark)


def test_seeds_of_a_method_that_are_in_several_lines_are_put_together(tmp_path):
    for seed in (0, 1):
        written(tmp_path, "a", METHODS, seed=seed)
    (benchmark,) = board_of([tmp_path]).benchmarks
    apart = [
        replace(line, gap=replace(line.gap, pairs=(pair,)))
        for line in benchmark.lines
        for pair in line.gap.pairs
    ]
    assert scores(replace(benchmark, lines=tuple(apart))) == scores(benchmark)


def test_settings_that_the_short_name_does_not_tell_tell_two_methods_apart(ten):
    (benchmark, *_) = board_of([ten]).benchmarks
    line = benchmark.lines[0]
    ((run, reference),) = line.gap.pairs
    other = replace(run, identity={**run.identity, "clip": 1})
    gap = replace(line.gap, method=f"{line.gap.method} clip=1", pairs=((other, reference),))
    found = scores(replace(benchmark, lines=(line, replace(line, gap=gap))))
    assert list(found) == [line.gap.method, gap.method]


def test_the_largest_table_is_taken(ten):
    """Four methods on ten data sets rather than three on eleven, but three rather than none."""
    for number in range(9):
        written(ten, f"set-{number}", {"FedAdam": 0.4})
    assert len(across(board_of([ten])).rows) == 3  # nine data sets have all four
    written(ten, "set-9", {"FedAdam": 0.4})
    written(ten, "more", METHODS)
    told = across(board_of([ten]))
    assert (len(told.rows), told.found.data_sets) == (4, 10)


def test_two_settings_of_a_method_are_two_methods(ten):
    for number in range(10):
        written(ten, f"set-{number}", {"FedAvg": 0.1}, client_lr=3e-3)
    told = across(board_of([ten]))
    assert len(told.rows) == 4 and told.shared == ""


def test_one_line_says_nothing_and_two_methods_a_sentence(tmp_path):
    written(tmp_path, "a", {"FedAvg": 0.5})
    assert across(board_of([tmp_path])) is None
    written(tmp_path, "a", {"FedProx": 0.5})
    assert "Fewer than 3 methods" in across(board_of([tmp_path])).reason


# the picture ------------------------------------------------------------------------------------


def drawn(found, names=None):
    text = str(diagram(found, names or {name: name for name in found.ranks}))
    return ElementTree.fromstring(text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '))


def of(picture, kind):
    return [p.get("d") for p in picture.iter(f"{NAMESPACE}path") if p.get("class") == kind]


@pytest.fixture
def found():
    """Four methods, of which the first two and the last two are not told apart."""
    table = [[0.9, 0.89 + 0.02 * (n % 2), 0.3, 0.29 + 0.02 * (n % 2)] for n in range(16)]
    return critical_difference(table, ["a", "b", "c", "d"])


def test_methods_stand_at_their_mean_rank_and_bars_join_what_is_not_told_apart(found):
    picture = drawn(found)
    x = axis(list(found.ranks))
    assert found.groups == (("a", "b"), ("c", "d"))
    starts = [float(re.match(r"M([\d.]+) ", path)[1]) for path in of(picture, "lead")]
    order = [*list(found.ranks)[:2], *reversed(list(found.ranks)[2:])]
    assert starts == pytest.approx([x(found.ranks[name]) for name in order], abs=0.06)
    bars = [tuple(map(float, re.findall(r"[\d.]+", path))) for path in of(picture, "bar")]
    for (low, y, high), group in zip(bars, found.groups, strict=True):
        ends = [x(found.ranks[name]) for name in group]
        assert (low, high) == pytest.approx((ends[0] - 4, ends[1] + 4), abs=0.06) and y > AXIS
    texts = ["".join(text.itertext()) for text in picture.iter(f"{NAMESPACE}text")]
    assert f"critical difference {found.critical:.2f}" in texts
    assert all(f"{name} {rank:.2f}" in texts for name, rank in found.ranks.items())


def test_the_critical_difference_is_drawn_to_scale(found):
    x = axis(list(found.ranks))
    path = of(drawn(found), "axis")[1]
    assert f"26H{x(1 + found.critical):.1f}" in path


def test_nothing_of_many_methods_leaves_the_picture():
    methods = [f"method {n}" for n in range(25)]
    table = [[(7 * n + m) % 25 / 25 for m in range(25)] for n in range(12)]
    picture = drawn(critical_difference(table, methods))
    width, height = map(float, picture.get("viewBox").split()[2:])
    assert width == WIDTH
    for text in picture.iter(f"{NAMESPACE}text"):
        assert 0 <= float(text.get("x")) <= width and 0 < float(text.get("y")) < height
    assert len(of(picture, "lead")) == 25


def test_overlapping_bars_are_on_levels_of_their_own():
    assert bar_levels([(1, 4), (3, 6), (5, 7), (8, 9)]) == [0, 1, 0, 0]
    assert bar_levels([(1, 2), (2, 3)]) == [0, 1] and bar_levels([]) == []


def test_names_of_strangers_are_text_and_short(found):
    evil = "</text><script>alert(1)</script>" + "x" * 500
    picture = drawn(found, {name: evil for name in found.ranks})
    assert not list(picture.iter(f"{NAMESPACE}script"))
    for text in picture.iter(f"{NAMESPACE}text"):
        assert len("".join(text.itertext())) < LONGEST + 10
