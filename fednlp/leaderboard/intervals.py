"""Small pictures in a line of a table: a mean with its interval, a distribution as a box."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from fednlp.leaderboard.axes import Scale, span
from fednlp.leaderboard.charts import COLOURS, mark
from fednlp.leaderboard.digest import QUANTILES

WIDTH, HEIGHT = 104, 18
EDGE = 6  # pixels left free on both sides


def scale(values: Sequence[float]) -> Scale:
    """One scale for all lines of a table."""
    low, high = span(values, 0.0)
    return Scale(low, high, EDGE, WIDTH - EDGE)


def interval(value: float, half: float | None, style: int, x: Scale) -> Markup:
    """A mean with its interval; the thin line is zero: as good as centralized."""
    middle = HEIGHT / 2
    zero = f"M{x(0):.1f} 0V{HEIGHT}" if x.low <= 0 <= x.high else ""
    whisker = ""
    if half is not None:
        low, high = (min(max(x(value + s * half), 1), WIDTH - 1) for s in (-1, 1))
        whisker = f"M{low:.1f} {middle}H{high:.1f}"
    return _drawn(
        style,
        Markup('<path class="zero" d="{}"/><path class="line" d="{}"/><path class="mark" d="{}"/>')
        .format(zero, whisker, mark(style, x(value), middle)),
    )  # fmt: skip


def box(quantiles: Sequence[float], style: int, x: Scale) -> Markup:
    """5 to 95 % as a line, 25 to 75 % as a box, the median as a gap in it.

    quantiles: at `digest.QUANTILES`.
    """
    at = dict(zip(QUANTILES, (x(value) for value in quantiles), strict=True))
    middle = HEIGHT / 2
    return _drawn(
        style,
        Markup(
            '<path class="line" d="M{:.1f} {}H{:.1f}"/>'
            '<rect class="mark" x="{:.1f}" y="3" width="{:.1f}" height="{}"/>'
            '<path class="median" d="M{:.1f} 2V{}"/>'
        ).format(
            at[0.05],
            middle,
            at[0.95],
            at[0.25],
            max(at[0.75] - at[0.25], 1.0),
            HEIGHT - 6,
            at[0.5],
            HEIGHT - 2,
        ),
    )


def _drawn(style: int, inside: Markup) -> Markup:
    return Markup(
        '<svg class="spark" viewBox="0 0 {0} {1}" width="{0}" height="{1}" aria-hidden="true">'
        '<g class="series c{2}">{3}</g></svg>'
    ).format(WIDTH, HEIGHT, style % COLOURS, inside)
