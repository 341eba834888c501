"""The critical-difference diagram (Demsar 2006, figure 1) as inline SVG."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from markupsafe import Markup

from fednlp.leaderboard.axes import Scale
from fednlp.results.escaping import shown
from fednlp.statistics import CriticalDifference

WIDTH = 760
AXIS, BAR, ROW = 62, 9, 22  # y of the axis; between bars; between names
LONGEST = 32  # characters of a name
_LETTER, _BESIDE = 6.6, 65  # pixels of a character, and of what stands beside a name


def diagram(found: CriticalDifference, names: Mapping[str, str]) -> Markup:
    """Mean ranks along an axis, the best on the left; a bar joins methods not told apart.

    names: of the methods of `found`, as they are written.
    """
    return Markup("").join(_parts(found, names))


def _parts(found: CriticalDifference, names: Mapping[str, str]) -> Iterator[Markup]:
    count, x = len(found.ranks), axis(names.values())
    groups = sorted(found.groups, key=lambda group: found.ranks[group[0]])
    levels = bar_levels([(found.ranks[g[0]], found.ranks[g[-1]]) for g in groups])
    below = AXIS + BAR * (max(levels, default=-1) + 2) + 8
    height = below + ROW * ((count + 1) // 2) + 4
    told = "; ".join(f"{names[name]} {rank:.2f}" for name, rank in found.ranks.items())
    yield Markup('<svg class="diagram" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
        WIDTH, height, f"Critical-difference diagram, mean ranks: {told}"
    )
    yield from _axis(x, count)
    yield from _critical(x, found.critical)
    for group, level in zip(groups, levels, strict=True):
        low, high = x(found.ranks[group[0]]) - 4, x(found.ranks[group[-1]]) + 4
        yield Markup('<path class="bar" d="M{:.1f} {}H{:.1f}"/>').format(
            low, AXIS + BAR * (level + 1) + 2, high
        )
    ordered = list(found.ranks.items())
    left = (count + 1) // 2
    for row, (name, rank) in enumerate(ordered[:left]):
        yield _method(names[name], rank, x, below + ROW * row, left=True)
    for row, (name, rank) in enumerate(reversed(ordered[left:])):
        yield _method(names[name], rank, x, below + ROW * row, left=False)
    yield Markup("</svg>")


def axis(names: Collection[str]) -> Scale:
    """From ranks to pixels, with room for the names left and right."""
    side = _BESIDE + _LETTER * min(max(map(len, names)), LONGEST)
    return Scale(1.0, float(len(names)), side, WIDTH - side)


def bar_levels(spans: Sequence[tuple[float, float]]) -> list[int]:
    """Per span [low, high] the first level where it overlaps no span before it."""
    taken: list[list[tuple[float, float]]] = []
    found = []
    for low, high in spans:
        level = 0
        while level < len(taken) and any(a <= high and low <= b for a, b in taken[level]):
            level += 1
        if level == len(taken):
            taken.append([])
        taken[level].append((low, high))
        found.append(level)
    return found


def _axis(x: Scale, count: int) -> Iterator[Markup]:
    ranks = range(1, count + 1)
    ticks = "".join(f"M{x(rank):.1f} {AXIS - 5}V{AXIS}" for rank in ranks)
    yield Markup('<path class="axis" d="M{:.1f} {}H{:.1f}{}"/>').format(x(1), AXIS, x(count), ticks)
    step = -(-count // 12)  # numbers need room
    for rank in ranks[::step]:
        yield Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            x(rank), AXIS - 9, rank
        )


def _critical(x: Scale, critical: float) -> Iterator[Markup]:
    """How far apart mean ranks must be, to scale, cut where it is wider than the axis."""
    end = min(x(1 + critical), WIDTH - 10)
    yield Markup('<path class="axis" d="M{0:.1f} 22V30M{0:.1f} 26H{1:.1f}M{1:.1f} 22V30"/>').format(
        x(1), end
    )
    yield Markup('<text x="{:.1f}" y="16">{}</text>').format(
        x(1), f"critical difference {critical:.2f}"
    )


def _method(name: str, rank: float, x: Scale, y: float, *, left: bool) -> Markup:
    away, anchor = (-1, "end") if left else (1, "start")
    edge = (x.start if left else x.end) + 10 * away
    return Markup(
        '<path class="lead" d="M{:.1f} {}V{}H{:.1f}"/>'
        '<text x="{:.1f}" y="{}" text-anchor="{}">{} <tspan class="rank">{:.2f}</tspan></text>'
    ).format(x(rank), AXIS, y, edge, edge + 5 * away, y + 4, anchor, shown(name, LONGEST), rank)
