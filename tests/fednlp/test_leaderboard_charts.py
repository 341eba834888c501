"""The pictures: what is drawn where, and that no name leaves its place."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from fednlp.leaderboard.axes import Scale, span, ticks
from fednlp.leaderboard.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    MARKS,
    POINTS,
    RIGHT,
    TOP,
    WIDTH,
    Chart,
    Level,
    Series,
    mark,
)
from fednlp.leaderboard.intervals import box, interval, scale

NAMESPACE = "{http://www.w3.org/2000/svg}"


def drawn(chart):
    text = str(chart.svg()).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return ElementTree.fromstring(text)


def points(path):
    return [tuple(map(float, pair)) for pair in re.findall(r"([\d.-]+) ([\d.-]+)", path)]


def test_a_line_goes_through_its_points():
    line = Series("k", "m", 0, [0, 5, 10], [0.0, 0.5, 1.0])
    chart = Chart("t", "round", "accuracy", [line], y_span=(0.0, 1.0))
    (path,) = [p for p in drawn(chart).iter(f"{NAMESPACE}path") if p.get("class") == "line"]
    middle = ((LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2)
    assert points(path.get("d")) == [
        (LEFT, HEIGHT - BOTTOM), pytest.approx(middle), (WIDTH - RIGHT, TOP),
    ]  # fmt: skip


def test_a_band_reaches_from_the_lowest_to_the_highest():
    line = Series("k", "m", 0, [0, 10], [0.5, 0.5], [0.4, 0.3], [0.6, 0.7])
    chart = Chart("t", "round", "accuracy", [line], y_span=(0.0, 1.0))
    (path,) = [p for p in drawn(chart).iter(f"{NAMESPACE}path") if p.get("class") == "band"]
    y = Scale(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    heights = [b for _, b in points(path.get("d"))]
    assert heights == pytest.approx([y(0.6), y(0.7), y(0.3), y(0.4)], abs=0.06)


def test_a_long_line_keeps_its_ends_and_has_few_points():
    line = Series("k", "m", 0, range(1, 2001), [0.1] * 1999 + [0.9])
    chart = Chart("t", "round", "accuracy", [line], y_span=(0.0, 1.0))
    (path,) = [p for p in drawn(chart).iter(f"{NAMESPACE}path") if p.get("class") == "line"]
    found = points(path.get("d"))
    assert len(found) == POINTS and found[-1] == (WIDTH - RIGHT, pytest.approx(TOP + 22, abs=0.1))


def test_values_that_are_not_finite_are_left_out():
    line = Series("k", "m", 0, [1, 2, 3], [0.1, float("nan"), 0.3])
    assert "nan" not in str(Chart("t", "x", "y", [line]).svg())


def test_names_are_text_in_a_picture():
    evil = '"><script>alert(1)</script>'
    line = Series("k", evil, 0, [1, 2], [0.1, 0.2])
    chart = Chart(evil, evil, evil, [line], [Level(evil, "floor", [0.1])])
    assert not list(drawn(chart).iter(f"{NAMESPACE}script")) and "<script" not in str(chart.svg())


def test_marks_and_dashes_tell_apart_what_shares_a_colour():
    assert len({mark(n, 0, 0) for n in range(7)}) == 7
    lines = [Series(str(n), "m", n, [1, 2], [0.1, 0.2]) for n in (0, 7, 14, 21)]
    chart = drawn(Chart("t", "x", "y", lines))
    dashes = [p.get("stroke-dasharray") for p in chart.iter(f"{NAMESPACE}path")
              if p.get("class") == "line"]  # fmt: skip
    assert len(set(dashes)) == 4


def test_scales_are_never_empty():
    for values in ([], [0.0], [0.5, 0.5], [1e-300]):
        low, high = span(values)
        assert low < high
    assert ticks(0.0, 1.0) == pytest.approx((0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
    assert all(value == round(value) for value in ticks(0.0, 8.0, 6, whole=True))


def test_an_interval_is_drawn_to_scale():
    x = scale([0.0, 1.0])
    picture = str(interval(0.5, 0.25, 0, x))
    assert f"M{x(0.25):.1f} 9.0H{x(0.75):.1f}" in picture
    assert 'class="line" d=""' in str(interval(0.5, None, 0, x))
    quantiles = [0.0, 0.1, 0.15, 0.25, 0.5, 0.75, 0.85, 0.9, 1.0]
    assert f'x="{x(0.25):.1f}"' in str(box(quantiles, 0, x))


@pytest.mark.parametrize(("points", "marks"), [(1, 1), (8, 8), (12, 12), (13, 6), (300, 11)])
def test_every_point_of_a_short_line_has_its_mark(points, marks):
    series = Series("a", "a", 0, range(1, points + 1), [0.5] * points)
    drawn_marks = re.search(r'class="mark" d="([^"]*)"', str(Chart("t", "x", "y", [series]).svg()))[
        1
    ]
    assert drawn_marks.count("M") == marks <= MARKS
