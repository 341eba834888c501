"""The table of a benchmark: its columns, a row per line, a row per seed below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from fednlp.leaderboard import intervals
from fednlp.leaderboard.axes import Scale
from fednlp.leaderboard.board import Benchmark, Line
from fednlp.leaderboard.charts import swatch
from fednlp.leaderboard.digest import BoardRun
from fednlp.leaderboard.links import Links
from fednlp.leaderboard.numbers import duration, half_width, percent, quantity, rank_text, signed
from fednlp.leaderboard.spread import spread
from fednlp.results.escaping import shown
from fednlp.results.floor import FLOOR_MARK, marked, run_is_below
from fednlp.results.gap import SHARES
from fednlp.results.tables import human_bytes


@dataclass(frozen=True)
class Column:
    """kind: classes of its head: n for numbers, p for a picture, two for a head of two lines.

    sort: whether it has a value.
    """

    index: int
    key: str
    label: str
    kind: str
    title: str = ""

    @property
    def sort(self) -> bool:
        return self.kind != "p"


@dataclass(frozen=True)
class Cell:
    """value: what is sorted and compared by; None is none."""

    label: str
    text: str | Markup
    kind: str = "n"
    value: float | str | None = None
    link: str = ""


@dataclass(frozen=True)
class SeedRow:
    seed: int
    link: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Row:
    line: Line
    rank: str
    rank_value: float
    swatch: Markup
    cells: Sequence[Cell]
    spread: Sequence[tuple[str, str]]
    seeds: Sequence[SeedRow]


_SHARES = [f"{round(100 * share)}" for share in SHARES]
_COLUMNS = (
    ("rank", "Rank", "n", "best to worst rank that the shown differences allow"),
    ("method", "Method", "t", ""),
    ("seeds", "Seeds", "n", ""),
    ("gap", "Gap", "n", "centralized minus federated on test, ± half of the 95 % t-interval"),
    ("picture", "Gap, drawn", "p", "with its interval; the thin line is zero"),
    ("std", "Std", "n", "standard deviation of the gap over seeds"),
    ("error", "Test error", "n two", "standard error of one run's score over test examples"),
    ("relative", "Relative", "n", "gap / (centralized - floor)"),
    ("federated", "Federated", "n", "test score of the round that validation selected"),
    ("centralized", "Centralized", "n", ""),
    ("last", "Last", "n", "gap between the models of the last round"),
    ("sent", "Sent", "n", "bytes up and down"),
    ("time", "Time", "n", "of devices: local training and aggregation"),
    *(
        (f"to{share}", f"{share} %", "n", f"rounds to {share} % of centralized on validation")
        for share in _SHARES
    ),
)
_TOLD = {
    "budget": ("Budget", "of the centralized reference"),
    "tuning": ("Tuning", ""),
    "from": ("From", "where the runs of its seeds come from"),
}


def columns(benchmark: Benchmark) -> list[Column]:
    """The columns of a benchmark's table; what all lines share is among its facts instead."""
    differing = [(key, *_TOLD[key]) for key in told_apart(benchmark)]
    extra = [(key, label, "t", title) for key, label, title in differing]
    return [Column(index, *column) for index, column in enumerate([*_COLUMNS, *extra])]


def told_apart(benchmark: Benchmark) -> list[str]:
    """The optional columns, in which the lines differ."""
    sources = {source for line in benchmark.lines for source in line.sources}
    differing = {key for key in _TOLD if len({_told(line, key) for line in benchmark.lines}) > 1}
    return [key for key in _TOLD if key in differing or (key == "from" and len(sources) > 1)]


def _told(line: Line, key: str) -> str:
    if key == "from":
        return _places(line.sources)
    return line.gap.budget if key == "budget" else line.tuning


def _places(sources: Sequence[str]) -> str:
    """The last part of each place, three at most."""
    more = f" and {len(sources) - 3} more" if len(sources) > 3 else ""
    return ", ".join(shown(Path(source).name, 40) for source in sources[:3]) + more


def short_rows(lines: Sequence[Line], links: Links) -> list[tuple[str, str, list[tuple[int, str]]]]:
    """Lines in short: method, gap, and its seeds with their pages."""
    return [
        (
            line.method,
            marked(
                f"{signed(line.gap.gap.mean)} {half_width(line.gap_summary.t_interval)}".strip(),
                line.gap.below_floor,
            ),
            [(run.result.seed, links.run(run)) for run in line.runs],
        )
        for line in lines
    ]


def table_rows(benchmark: Benchmark, links: Links, most: int) -> list[Row]:
    """At most so many rows of a benchmark's table, from the smallest gap on."""
    ends = [0.0]
    for line in benchmark.lines:
        ends += line.gap_summary.t_interval or (line.gap.gap.mean,)
    # an interval of two seeds can be wider than all there is: it is cut at the edge
    means = [line.gap.gap.mean for line in benchmark.lines]
    room = max(max(means, default=0), 0) - min(min(means, default=0), 0)
    ends = [min(max(end, min(means) - room), max(means) + room) for end in ends]
    x, extra = intervals.scale([0.0, *ends]), told_apart(benchmark)
    return [_row(line, x, extra, links) for line in benchmark.lines[:most]]


def _row(line: Line, x: Scale, extra: Sequence[str], links: Links) -> Row:
    gap, numbers = line.gap, line.gap_summary
    width = half_width(numbers.t_interval)
    half = (numbers.t_interval[1] - numbers.t_interval[0]) / 2 if numbers.t_interval else None
    text = Markup("<b>{}</b> <span class=pm>{}</span>").format(signed(gap.gap.mean), width)
    relative = gap.relative.mean if gap.relative else None
    cells = [
        Cell("Gap", text, value=gap.gap.mean),
        Cell("", intervals.interval(gap.gap.mean, half, line.style, x), "p"),
        Cell("Std", quantity(numbers.std), value=numbers.std),
        Cell("Test error", quantity(line.test_stderr), value=line.test_stderr),
        Cell("Relative", percent(relative), value=relative),
        Cell("Federated", _score(gap.federated, gap.below_floor), value=gap.federated),
        Cell("Centralized", quantity(gap.centralized), value=gap.centralized),
        Cell("Last", signed(gap.last.mean), value=gap.last.mean),
        Cell("Sent", human_bytes(gap.bytes), value=gap.bytes),
        Cell("Time", duration(gap.device_seconds), value=gap.device_seconds),
    ]
    for share in _SHARES:
        reached = gap.to_share.get(share)
        value = reached[0] if reached else None
        cells.append(Cell(f"To {share} %", str(value) if value else "–", value=value))
    cells += [Cell(_TOLD[key][0], _told(line, key), "t", _told(line, key)) for key in extra]
    seeds = [
        _seed(run, central, extra, links)
        for run, central in zip(line.runs, line.references, strict=True)
    ]
    placed = line.rank
    order = placed.best + placed.worst / 1e4 if placed else 0.0
    return Row(line, rank_text(placed), order, swatch(line.style), cells, spread(line), seeds)


def _score(value: float, below: bool) -> str | Markup:
    """A federated score, marked where it is below the floor."""
    if not below:
        return quantity(value)
    return Markup("{} <small class=below>{}</small>").format(quantity(value), FLOOR_MARK)


def _seed(run: BoardRun, central: BoardRun, extra: Sequence[str], links: Links) -> SeedRow:
    """The cells of one seed, below those of its line."""
    result, reference, key = run.result, central.result, run.result.primary_metric
    gap = reference.selected.test[key] - result.selected.test[key]
    scale = reference.selected.test[key] - result.floor["test"][key]
    last = reference.last.test[key] - result.last.test[key]
    cells = [
        Cell("Gap", signed(gap)),
        Cell("", "", "p"),
        Cell("", ""),
        Cell("Test error", quantity(result.selected.test_stderr)),
        Cell("Relative", percent(gap / scale if scale > 0 else None)),
        Cell("Federated", _score(result.selected.test[key], run_is_below(result))),
        Cell("Centralized", quantity(reference.selected.test[key]), link=links.run(central)),
        Cell("Last", signed(last)),
        Cell("Sent", human_bytes(result.costs.bytes_up + result.costs.bytes_down)),
        Cell("Time", duration(result.costs.device_seconds)),
        *(Cell("", "") for _ in _SHARES),
        *(Cell("", _places([run.source]) if key == "from" else "", "t") for key in extra),
    ]
    return SeedRow(result.seed, links.run(run), cells)
