"""Methods over many data sets: the largest complete table of scores, and its mean ranks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from statistics import mean

from markupsafe import Markup

from fednlp.leaderboard.board import Benchmark, Board
from fednlp.leaderboard.rank_diagram import diagram
from fednlp.results.escaping import shown
from fednlp.results.gap import series
from fednlp.results.method_comparison import scores_by_seed
from fednlp.statistics import CriticalDifference, critical_difference
from fednlp.statistics.rules import ALPHA, DATA_SETS_FROM

LEAST_METHODS = 3  # of a table
MOST_SETS = 40  # of methods that a table is looked for
MOST_PAIRS = 300  # that are told

Scores = dict[str, float]  # method -> score, higher is better


@dataclass(frozen=True)
class Across:
    """reason: why there is no diagram, or "". shared: settings of all methods, left out of names.

    rows: method, mean rank, the bars that it is under. pairs: Wilcoxon's tests, in words.
    """

    reason: str
    found: CriticalDifference | None = None
    picture: Markup | None = None
    shared: str = ""
    rows: tuple[tuple[str, float, str], ...] = ()
    pairs: tuple[str, ...] = ()


def across(board: Board) -> Across | None:
    """The mean ranks of the methods that are together on most data sets; None with one line.

    A data set counts once, with the mean score over its benchmarks; splits, seeds and models of
    one text are no further data sets. Scores are federated ones: no reference, right or wrong,
    changes a rank.
    """
    if len(board.lines) < 2:
        return None
    data: dict[str, list[Scores]] = {}
    names: dict[str, str] = {}  # of data by fingerprint: the same data may have two names
    for benchmark in board.benchmarks:
        told = benchmark.lines[0].runs[0].result.data
        name = names.setdefault(told.fingerprint, told.name)
        data.setdefault(name, []).append(scores(benchmark))
    methods = _most_complete(list(data.values()))
    if len(methods) < LEAST_METHODS:
        return Across(f"Fewer than {LEAST_METHODS} methods are on one benchmark: no diagram.")
    table = [row for known in data.values() if (row := _row(known, methods)) is not None]
    found = critical_difference(table, methods)
    if isinstance(found, str):
        return Across(f"{found[0].upper()}{found[1:]}.")
    return _told(found)


def scores(benchmark: Benchmark) -> Scores:
    """Mean federated test score over seeds; lines that differ in their reference are one."""
    by_series: dict[str, dict[int, float]] = {}
    names: dict[str, tuple[str, str]] = {}
    for line in benchmark.lines:
        key = series(line.runs[0])
        by_series.setdefault(key, {}).update(scores_by_seed(line.runs))
        names.setdefault(key, (f"{line.gap.algorithm} [{line.gap.client}]", line.gap.method))
    short = [name for name, _ in names.values()]
    return {
        # with the settings that tell two lines apart, where two have one name
        long if short.count(name) > 1 else name: mean(by_series[key].values())
        for key, (name, long) in names.items()
    }


def _most_complete(data: list[list[Scores]]) -> list[str]:
    """The methods whose table over data sets is the largest, of those with data sets enough.

    What is there decides, and no score.
    """
    known = [frozenset(scores) for benchmarks in data for scores in benchmarks]
    sets = sorted(set(known), key=lambda s: (-known.count(s), -len(s), sorted(s)))[:MOST_SETS]
    candidates = {*sets, *(a & b for a, b in combinations(sets, 2))}

    def worth(methods: frozenset[str]) -> tuple[bool, bool, int, int, list[str]]:
        count = sum(any(methods <= scores.keys() for scores in own) for own in data)
        enough = count >= DATA_SETS_FROM
        several = len(methods) >= LEAST_METHODS
        return several, enough, count * (len(methods) if enough else 1), count, sorted(methods)

    best: frozenset[str] = max(candidates, key=worth)
    return sorted(best)


def _row(benchmarks: Iterable[Scores], methods: list[str]) -> list[float] | None:
    """Mean scores [methods] over the benchmarks that have all of them; None if none has."""
    complete = [scores for scores in benchmarks if scores.keys() >= set(methods)]
    return [mean(s[method] for s in complete) for method in methods] if complete else None


def _told(found: CriticalDifference) -> Across:
    endings = {name[name.rindex(" [") :] for name in found.ranks}
    shared = endings.pop() if len(endings) == 1 else ""
    names = {name: shown(name.removesuffix(shared), 60) for name in found.ranks}
    bars = list(enumerate(found.groups, start=1))
    rows = [
        (names[name], rank, ", ".join(str(n) for n, bar in bars if name in bar) or "–")
        for name, rank in found.ranks.items()
    ]
    pairs = [
        f"{names[a]} and {names[b]}: p = {p:.3g}{', told apart' if p < ALPHA else ''}"
        for (a, b), p in sorted(found.wilcoxon_p.items(), key=lambda item: item[1])
    ]
    return Across(
        "",
        found,
        diagram(found, names),
        shown(shared.strip(" []"), 60),
        tuple(rows),
        tuple(pairs[:MOST_PAIRS]),
    )
