"""Pairs of methods over test examples: the paired bootstrap, from the predictions of the runs.

A run's scores on the draws are computed once and serve all its pairs; the cache keeps them under
the checksum of the predictions. A site has at most so many, see `MOST_RUNS`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fednlp.errors import UserError, one_line
from fednlp.leaderboard.board import Benchmark, Board, OverExamples
from fednlp.leaderboard.cache import Cache
from fednlp.leaderboard.sources import unpacked
from fednlp.results.example_comparison import EXAMPLE, PREDICTIONS, PREFIX, Primary
from fednlp.results.method_comparison import score
from fednlp.results.reading import FinishedRun
from fednlp.statistics.examples import ExampleScores, difference_over_examples, example_scores
from fednlp.statistics.rules import EXAMPLE_RESAMPLES

VERSION = 1  # raise when the scores of a run on the draws change
# of a site, known to the cache or not, so that a site does not depend on the ones before it
MOST_RUNS = 60  # a run takes a third of a second and more
MOST_EXAMPLES = 300_000  # of all these runs: 1,000 take a thirtieth
MOST_CLASSES = 100_000  # that predictions may name


@dataclass(frozen=True)
class _Drawn:
    """examples: what tells the test examples and their order apart."""

    scores: ExampleScores
    examples: str

    def as_json(self) -> dict[str, Any]:
        drawn = self.scores.drawn
        return {
            "count": self.scores.examples,
            "observed": self.scores.observed,
            "drawn": None if drawn is None else drawn.tolist(),
            "examples": self.examples,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> _Drawn:
        drawn = None if data["drawn"] is None else np.array(data["drawn"], np.float64)
        if drawn is not None and drawn.shape != (EXAMPLE_RESAMPLES,):
            raise ValueError
        scores = ExampleScores(int(data["count"]), float(data["observed"]), drawn)
        return cls(scores, str(data["examples"]))


def with_example_pairs(board: Board, cache: Cache) -> Board:
    """The board with the bootstrap over test examples of its pairs, or why there is none."""
    runs_left, examples_left = MOST_RUNS, MOST_EXAMPLES
    benchmarks, used = [], []
    for benchmark in board.benchmarks:
        runs = _runs(benchmark)
        sizes = [run.result.data.examples["test"] for run in runs if _checksum(run)]
        if len(sizes) > runs_left or sum(sizes) > examples_left:
            left_out = OverExamples(left_out=_large(sizes))
            benchmarks.append(replace(benchmark, over_examples=left_out))
            continue
        runs_left, examples_left = runs_left - len(sizes), examples_left - sum(sizes)
        used += [_key(run) for run in runs]
        benchmarks.append(replace(benchmark, over_examples=_compared(benchmark, runs, cache)))
    cache.keep_scores(used)
    return replace(board, benchmarks=tuple(benchmarks))


def _large(sizes: Sequence[int]) -> str:
    return (
        f"Not computed over test examples: a site has at most {MOST_RUNS} runs with "
        f"{MOST_EXAMPLES:,} test examples in all, and this benchmark would add {len(sizes)} runs "
        f"with {sum(sizes):,}. `gap RUNS_DIR --pairs` computes it."
    )


def _runs(benchmark: Benchmark) -> list[FinishedRun]:
    """The runs that are in a pair, once each."""
    found = {
        benchmark.compared[name][seed].path: benchmark.compared[name][seed]
        for pair in benchmark.comparisons
        for name in (pair.first, pair.second)
        for seed in pair.seeds
    }
    return list(found.values())


def _compared(benchmark: Benchmark, runs: Sequence[FinishedRun], cache: Cache) -> OverExamples:
    drawn = {run.path: cached for run in runs if (cached := _cached(cache, run)) is not None}
    missing = [run for run in runs if run.path not in drawn]
    outcomes = _made(missing)
    made = {path: own for path, own in outcomes.items() if isinstance(own, _Drawn)}
    cache.put_scores({_key(run): made[run.path].as_json() for run in missing if run.path in made})
    drawn |= made
    lacking = {path: own for path, own in outcomes.items() if isinstance(own, str)}
    differences, reasons = {}, {}
    for pair in benchmark.comparisons:
        names = pair.first, pair.second
        sides = [[benchmark.compared[name][seed] for seed in pair.seeds] for name in names]
        if why := _unfit([run for side in sides for run in side], drawn, lacking):
            reasons[names] = why
            continue
        first, second = ([drawn[run.path].scores for run in side] for side in sides)
        differences[names] = difference_over_examples(first, second)
    return OverExamples(differences, reasons)


def _unfit(runs: Sequence[FinishedRun], drawn: dict[Path, _Drawn], lacking: dict[Path, str]) -> str:
    """Why runs are not compared; "" where nothing speaks against it."""
    if not runs:
        return "no seed in common"
    for run in runs:
        if run.path in lacking:
            return f"seed {run.result.seed}: {lacking[run.path]}"
        found, told = drawn[run.path].scores.observed, score(run)
        if not abs(found - told) <= 1e-9:
            said = f"score {found:.6f}, not {told:.6f} as in result.json"
            return f"seed {run.result.seed}: the predictions {said}"
    if len({drawn[run.path].examples for run in runs}) > 1:
        return "their predictions are of other test examples"
    return ""


def _checksum(run: FinishedRun) -> str:
    return run.result.files.get(PREDICTIONS, "")


def _key(run: FinishedRun) -> str:
    result = run.result
    about = [VERSION, result.task, result.primary_metric, result.data.examples["test"]]
    return hashlib.sha256(json.dumps([*about, _checksum(run)]).encode()).hexdigest()


def _cached(cache: Cache, run: FinishedRun) -> _Drawn | None:
    data = cache.get_scores(_key(run)) if _checksum(run) else None
    try:
        return None if data is None else _Drawn.from_json(data)
    except (ValueError, LookupError, TypeError):  # another thing than we wrote
        return None


def _made(runs: Sequence[FinishedRun]) -> dict[Path, _Drawn | str]:
    """The scores of runs by path from their predictions, or why there are none."""
    told: dict[Path, _Drawn | str] = {
        run.path: "no predictions are stored" for run in runs if not _checksum(run)
    }
    waiting = [run for run in runs if run.path not in told]
    for place in dict.fromkeys(run.path.parent for run in waiting):
        inside = [run for run in waiting if run.path.parent == place]
        try:
            with unpacked(place) as folders:  # one submission at a time
                told |= {run.path: _drawn(run, folders.get(run.path, run.path)) for run in inside}
        except (UserError, OSError) as error:
            told |= {run.path: one_line(error) or str(error) for run in inside}
    return told


def _drawn(run: FinishedRun, folder: Path) -> _Drawn | str:
    """The scores of one run; its predictions may come from a stranger and hold anything."""
    from fednlp.verification.untrusted import read_bounded, read_predictions

    path = folder / PREDICTIONS
    try:
        if hashlib.sha256(read_bounded(path)).hexdigest() != _checksum(run):
            return "the predictions are not those that the result was written with"
        table = read_predictions(path, run.result.data.examples["test"])
        columns = {
            name.removeprefix(PREFIX): np.asarray(values)
            for name, values in table.items()
            if name.startswith(PREFIX) and name != f"{PREFIX}prediction"
        }
        if not all(np.issubdtype(c.dtype, np.number) for c in columns.values()):
            return "the predictions hold texts for numbers"
        for name in columns.keys() & {"gold", "predicted"}:
            if columns[name].min() < 0 or columns[name].max() > MOST_CLASSES:
                return f"the predictions hold {name} that cannot be"
        examples = hashlib.sha256(json.dumps(list(table[EXAMPLE])).encode()).hexdigest()
        metric = Primary(run.result.task)
        return _Drawn(example_scores(columns, metric), examples)
    except Exception as error:
        return f"the predictions cannot be read ({type(error).__name__})"
