"""Names of pages: made of ids and hashes alone, never of what somebody called a thing."""

from __future__ import annotations

from collections.abc import Iterable

from fednlp.leaderboard.board import Benchmark, Board, Line
from fednlp.leaderboard.digest import BoardRun


class Links:
    """Paths of pages from the root of the site, and where a run is found."""

    def __init__(self, board: Board) -> None:
        self._twins = {run.key for conflict in board.conflicts for run in conflict.runs}
        self._lines: dict[str, list[tuple[Benchmark, Line]]] = {}
        for benchmark in board.benchmarks:
            for line in benchmark.lines:
                for run in (*line.runs, *line.references):
                    self._lines.setdefault(run.key, []).append((benchmark, line))

    def name(self, run: BoardRun) -> str:
        """Of a run's page: a part of its id, which is a hash; two of one id are told apart."""
        told = run.result.id[:24]
        return f"{told}-{run.key[:8]}" if run.key in self._twins else told

    def run(self, run: BoardRun) -> str:
        return f"run/{self.name(run)}.html"

    def is_in_conflict(self, run: BoardRun) -> bool:
        return run.key in self._twins

    @staticmethod
    def benchmark(benchmark: Benchmark) -> str:
        return f"benchmark/{benchmark.key}.html"

    def found_in(self, run: BoardRun) -> list[tuple[Benchmark, Line]]:
        """The lines that a run is in, or is the reference of."""
        return self._lines.get(run.key, [])


def unique(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Links with their names, each once, in order."""
    return list(dict.fromkeys(pairs))
