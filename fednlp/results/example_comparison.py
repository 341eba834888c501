"""Two methods on the same test examples, from the predictions that their runs stored."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from fednlp.errors import UserError
from fednlp.results.files import START_AGAIN, not_read
from fednlp.results.method_comparison import score
from fednlp.results.reading import FinishedRun
from fednlp.statistics import ExampleDifference, example_bootstrap
from tasks.plain_files import read_plain

PREDICTIONS = "predictions.parquet"
PREFIX = "selected_"
EXAMPLE = "content_sha256"


def example_difference(
    first: dict[int, FinishedRun], second: dict[int, FinishedRun]
) -> ExampleDifference:
    """The paired bootstrap over test examples of two methods, on the seeds that both have.

    Args:
        first, second: seed -> run, of one benchmark.

    Raises:
        UserError: no seed in common, or predictions that are missing, damaged, of other examples,
            or not those that the result was made from.
    """
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        raise UserError("paired bootstrap", "no seed in common")
    sides = [[_per_example(runs[seed]) for seed in seeds] for runs in (first, second)]
    examples = sides[0][0][1]
    for _, own in (*sides[0], *sides[1]):
        if not np.array_equal(own, examples):
            found = "their predictions are of other test examples"
            raise UserError(f"{first[seeds[0]].path} and {second[seeds[0]].path}", found)
    metric = Primary(first[seeds[0]].result.task)
    for runs, side in zip((first, second), sides, strict=True):
        for seed, (columns, _) in zip(seeds, side, strict=True):
            _same_score(runs[seed], metric(columns))
    return example_bootstrap([c for c, _ in sides[0]], [c for c, _ in sides[1]], metric)


class Primary:
    """The primary metric of a task on per-example arrays [n], computed as its evaluation does."""

    def __init__(self, name: str) -> None:
        from tasks import TASKS

        self.task = TASKS[name]

    def __call__(self, columns: dict[str, np.ndarray]) -> float:
        from tasks.task import TokenSettings

        # classes of a classification, whose names no metric reads
        numbers = [int(columns[n].max()) for n in ("gold", "predicted") if n in columns]
        task = self.task([str(n) for n in range(1 + max(numbers, default=0))], TokenSettings())
        return task.metrics(columns)[task.primary_metric]


def _per_example(run: FinishedRun) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The per-example arrays [n] of the selected model, and what tells the examples apart [n]."""
    import pandas as pd

    path = run.path / PREDICTIONS
    try:
        table = pd.read_parquet(io.BytesIO(read_plain(path)))
        columns = {
            name.removeprefix(PREFIX): table[name].to_numpy()
            for name in table.columns
            if name.startswith(PREFIX) and name != f"{PREFIX}prediction"
        }
        return columns, table[EXAMPLE].to_numpy()
    except OSError as error:
        raise not_read(path, error) from None
    except (ValueError, KeyError) as error:
        found = f"not readable as predictions ({str(error).splitlines()[0]})"
        raise UserError(str(path), found, fix=START_AGAIN) from None


def _same_score(run: FinishedRun, found: float) -> None:
    """The predictions are those of the result: their score is the one that it tells."""
    told = score(run)
    if not abs(found - told) <= 1e-9:
        path: Path = run.path / PREDICTIONS
        raise UserError(str(path), f"scores {found:.6f}", f"{told:.6f} as in result.json")
