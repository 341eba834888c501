"""Line charts as inline SVG, made when the site is built; colours come from the style sheet.

Small on purpose: 2,000 pages of them are made in seconds, they follow the reader's light or dark
theme, and they print. Marks and dashes say again what colours say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from fednlp.leaderboard.axes import Scale, span, ticks

WIDTH, HEIGHT = 400, 270
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 40
POINTS = 80  # of a line, at most
MARKS = 12  # on a line, at most: one at every point of a short one
COLOURS, SHAPES, DASHES = 7, 7, ("", "6 3", "2 3", "8 3 2 3")


@dataclass(frozen=True)
class Series:
    """A line. style: number that decides colour, mark and dash. low, high: its band, or empty."""

    key: str
    name: str
    style: int
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Level:
    """A horizontal line with a name, or with x a line of its own. kind: its class."""

    name: str
    kind: str
    y: Sequence[float]
    x: Sequence[float] = ()


@dataclass(frozen=True)
class Chart:
    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    levels: Sequence[Level] = ()
    whole: bool = False  # x counts rounds
    y_span: tuple[float, float] | None = None
    description: str = ""
    scale: float = field(default=1.0)  # x is divided by it: bytes to megabytes

    def svg(self) -> Markup:
        return Markup("\n").join(self._parts())

    def values(self) -> Iterator[float]:
        """All that the y axis must have room for."""
        for series in self.series:
            yield from (v for part in (series.y, series.low, series.high) for v in part)
        for level in self.levels:
            yield from level.y

    def _parts(self) -> Iterator[Markup]:
        low, high = self.y_span or span(v for v in self.values() if math.isfinite(v))
        columns = [*(s.x for s in self.series), *(level.x for level in self.levels)]
        last = max((max(column) for column in columns if len(column)), default=1.0)
        x = Scale(0.0, last / self.scale or 1.0, LEFT, WIDTH - RIGHT)
        y = Scale(low, high, HEIGHT - BOTTOM, TOP)
        yield Markup(
            '<svg class="chart" viewBox="0 0 {} {}" width="{}" height="{}" role="img" '
            'aria-label="{}">'
        ).format(WIDTH, HEIGHT, WIDTH, HEIGHT, f"{self.title}. {self.description}".strip())
        yield from self._axes(x, y)
        for level in self.levels:
            yield self._level(level, x, y)
        for series in self.series:
            yield self._line(series, x, y)
        yield Markup("</svg>")

    def _axes(self, x: Scale, y: Scale) -> Iterator[Markup]:
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        lines: list[str] = []
        texts: list[tuple[float, float, str, str]] = []
        for value in ticks(y.low, y.high):
            lines.append(f"M{LEFT} {y(value):.1f}H{right}")
            texts.append((LEFT - 6, y(value) + 4, "end", f"{value:.4g}"))
        for value in ticks(x.low, x.high, 6, self.whole):
            texts.append((x(value), bottom + 16, "middle", f"{value:.4g}"))
        yield Markup('<path class="grid" d="{}"/>').format("".join(lines))
        yield Markup('<path class="axis" d="M{} {}H{}"/>').format(LEFT, bottom, right)
        for at, height, anchor, text in texts:
            yield Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
                at, height, anchor, text.replace("-", "−")
            )
        yield Markup('<text class="label" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            (LEFT + right) / 2, HEIGHT - 5, self.x_label
        )

    def _level(self, level: Level, x: Scale, y: Scale) -> Markup:
        if not len(level.x):
            path = f"M{LEFT} {y(level.y[0]):.1f}H{WIDTH - RIGHT}"
        else:
            path = _path(_thinned(self._points(level.x, level.y, x, y)))
        return Markup('<path class="level {}" d="{}"><title>{}</title></path>').format(
            level.kind, path, level.name
        )

    def _line(self, series: Series, x: Scale, y: Scale) -> Markup:
        colour = f"c{series.style % COLOURS}"
        points = _thinned(self._points(series.x, series.y, x, y))
        parts = [Markup('<g class="series {}" data-series="{}">').format(colour, series.key)]
        parts.append(Markup("<title>{}</title>").format(series.name))
        if len(series.low):
            upper = _thinned(self._points(series.x, series.high, x, y))
            lower = _thinned(self._points(series.x, series.low, x, y))
            outline = _path(upper) + _path(lower[::-1]).replace("M", "L", 1) + "Z"
            parts.append(Markup('<path class="band" d="{}"/>').format(outline))
        dash = DASHES[series.style // COLOURS % len(DASHES)]
        dashed = Markup(' stroke-dasharray="{}"').format(dash) if dash else ""
        parts.append(Markup('<path class="line"{} d="{}"/>').format(dashed, _path(points)))
        step = max(1, math.ceil(len(points) / MARKS))
        shape = "".join(mark(series.style, *point) for point in points[step - 1 :: step])
        parts.append(Markup('<path class="mark" d="{}"/></g>').format(shape))
        return Markup("").join(parts)

    def _points(
        self, xs: Sequence[float], ys: Sequence[float], x: Scale, y: Scale
    ) -> list[tuple[float, float]]:
        pairs = zip(xs, ys, strict=True)
        return [(x(a / self.scale), y(b)) for a, b in pairs if math.isfinite(b)]


def swatch(style: int) -> Markup:
    """The line and mark of a series, for a legend."""
    dash = DASHES[style // COLOURS % len(DASHES)]
    return Markup(
        '<svg class="swatch" viewBox="0 0 28 12" width="28" height="12" aria-hidden="true">'
        '<g class="series c{}"><path class="line" d="M1 6H27"{}/>'
        '<path class="mark" d="{}"/></g></svg>'
    ).format(
        style % COLOURS,
        Markup(' stroke-dasharray="{}"').format(dash) if dash else "",
        mark(style, 14, 6),
    )


def mark(style: int, x: float, y: float) -> str:
    """The path of a mark around a point: circle, square, triangles, diamond, plus, cross."""
    shapes = (
        "m-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0-6.4 0z",
        "m-3-3h6v6h-6z",
        "m0-4l3.8 6.6h-7.6z",
        "m0-4.2l4.2 4.2l-4.2 4.2l-4.2-4.2z",
        "m0 4l3.8-6.6h-7.6z",
        "m-1.2-4h2.4v2.8h2.8v2.4h-2.8v2.8h-2.4v-2.8h-2.8v-2.4h2.8z",
        "m-2.9-4.3l2.9 2.9l2.9-2.9l1.4 1.4l-2.9 2.9l2.9 2.9l-1.4 1.4l-2.9-2.9l-2.9 2.9"
        "l-1.4-1.4l2.9-2.9l-2.9-2.9z",
    )
    return f"M{x:.1f} {y:.1f}{shapes[style % SHAPES]}"


def _path(points: Sequence[tuple[float, float]]) -> str:
    if not points:
        return ""
    first, *rest = (f"{x:.1f} {y:.1f}" for x, y in points)
    return f"M{first}" + "".join(f"L{point}" for point in rest)


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `POINTS` of them, evenly chosen, the first and the last among them."""
    count = len(points)
    if count <= POINTS:
        return points
    chosen = [round(k * (count - 1) / (POINTS - 1)) for k in range(POINTS)]
    return [points[k] for k in chosen]
