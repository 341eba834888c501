"""What a line's seeds and test examples say of its error, in words."""

from __future__ import annotations

from fednlp.leaderboard.board import Line
from fednlp.leaderboard.numbers import counted, quantity, signed
from fednlp.statistics.rules import BOOTSTRAP_FROM, INTERVAL_FROM
from fednlp.statistics.summary import Interval


def spread(line: Line) -> list[tuple[str, str]]:
    """Pairs of a name and a text: the mean of the gap, its deviation and intervals, the test error.

    What too few seeds do not give is told with the number that would.
    """
    numbers = line.gap_summary
    few = f"none: {counted(numbers.seeds, 'seed')}, needs {{}}"
    equal = f"none: the same gap in all {numbers.seeds} seeds"
    deviation = quantity(numbers.std) if numbers.std is not None else few.format(INTERVAL_FROM)
    by_t = equal if numbers.seeds >= INTERVAL_FROM else few.format(INTERVAL_FROM)
    by_bootstrap = equal if numbers.seeds >= BOOTSTRAP_FROM else few.format(BOOTSTRAP_FROM)
    return [
        ("mean gap", signed(numbers.mean)),
        ("standard deviation over seeds", deviation),
        ("95 % t-interval", ends(numbers.t_interval) or by_t),
        ("95 % BCa bootstrap interval", ends(numbers.bootstrap_interval) or by_bootstrap),
        ("standard error over test examples", f"{quantity(line.test_stderr)} (score of one run)"),
    ]


def ends(interval: Interval | None) -> str:
    """For example `[+0.012, +0.034]`; "" for none."""
    return f"[{signed(interval[0])}, {signed(interval[1])}]" if interval else ""
