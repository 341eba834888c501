"""Names on one short line: never two labels under one name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitioners.short_names import distinct, printable

LONG = [f"https://example.org/of/news/number-{i:02d}/articles-of-the-year" for i in range(39)]


def test_long_names_with_a_common_start_and_end_are_told_apart() -> None:
    assert len({printable(name) for name in LONG}) == 1
    short = distinct(LONG)
    assert len(set(short)) == 39 and max(map(len, short)) <= 28
    for number, name in enumerate(short):
        assert name.startswith("https:/...") and f"{number:02d}/" in name


def test_what_differs_at_its_end_shows_its_end() -> None:
    names = ["a" * 60 + end for end in ("first", "second")]
    assert [name[-6:] for name in distinct(names)] == ["afirst", "second"]


def test_other_names_stay_as_they_were() -> None:
    names = ["sport", "x" * 40, *LONG]
    assert distinct(names)[:2] == ["sport", printable("x" * 40)]


@pytest.mark.parametrize("names", [["a", "a"], ["a\n", "a "], ["z" * 50] * 3])
def test_names_that_look_the_same_are_numbered(names: list[str]) -> None:
    short = distinct(names)
    assert len(set(short)) == len(names) and short[1].endswith(" #2")


@given(st.lists(st.text("ab #12\n", max_size=60), max_size=30))
def test_one_name_for_each(names: list[str]) -> None:
    short = distinct(names)
    assert len(short) == len(set(short)) == len(names)
    assert all(len(name) <= 28 and "\n" not in name for name in short)
