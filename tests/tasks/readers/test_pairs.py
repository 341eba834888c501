"""Neither side of a pair is empty."""

from __future__ import annotations

import pytest

from tasks.errors import DataError
from tasks.readers.pairs import check_pair, is_empty


def test_a_pair_with_text():
    check_pair("a", ["b", "c"], "x")
    assert not is_empty("a", ["b", "c"])


@pytest.mark.parametrize(("text", "targets", "message"), [
    ("", ["b"], "x: an empty input"),
    (" \u3000\n", ["b"], "x: an empty input"),
    ("a", [], "x: an empty target"),
    ("a", ["b", "\t"], "x: an empty target"),
    (None, ["b"], "x: None; expected text"),
    ("a", None, "x: None"),
    ("a", ["b", 3], "x: 3"),
    ("a", {"de": "b"}, "x: {'de': 'b'}"),
])  # fmt: skip
def test_a_side_without_text(text, targets, message):
    with pytest.raises(DataError) as error:
        check_pair(text, targets, "x")
    assert str(error.value).startswith(message)
