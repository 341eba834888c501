"""Two models on the same test examples: how much of their difference is the choice of examples."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fednlp.errors import UserError
from fednlp.statistics.rules import BOOTSTRAP_SEED, CONFIDENCE, EXAMPLE_RESAMPLES, EXAMPLES_FROM
from fednlp.statistics.summary import Interval

PerExample = Mapping[str, np.ndarray]  # name -> [n]: all that the metric of a subset needs
Metric = Callable[[dict[str, np.ndarray]], float]


@dataclass(frozen=True)
class ExampleDifference:
    """The difference of a metric, first minus second, with its error over test examples.

    stderr, interval (95 %) and p (two-sided): None below 20 examples, and where every resample
    has one and the same difference, as for two models that predict alike.
    """

    examples: int
    difference: float
    stderr: float | None
    interval: Interval | None
    p: float | None


@dataclass(frozen=True)
class ExampleScores:
    """The score of one run on its test examples, and on every draw of them.

    drawn: [EXAMPLE_RESAMPLES], in the order of the draws, which are the same for all runs of as
    many examples; None below 20 examples.
    """

    examples: int
    observed: float
    drawn: np.ndarray | None


def example_bootstrap(
    first: Sequence[PerExample], second: Sequence[PerExample], metric: Metric
) -> ExampleDifference:
    """Paired bootstrap over test examples (Efron and Tibshirani 1993; Dror et al. 2018).

    Whole examples are drawn, the same for both sides, and the metric is computed anew on each
    draw: for a metric that is no mean, as entity F1, from the counts of the drawn examples.

    Args:
        first: the runs of one method, one per seed; each holds [n] arrays in the order of the test.
        second: those of the other, of the same seeds; the difference is the mean over seeds.
        metric: from the [n] arrays of one run to its score.

    Raises:
        UserError: runs or examples do not pair up, or the metric is not a finite number.
    """
    sizes = [{len(values) for values in run.values()} for run in (*first, *second)]
    _require_pairs(len(first), len(second), set().union(*sizes))
    drawn = [[example_scores(run, metric) for run in runs] for runs in (first, second)]
    return difference_over_examples(*drawn)


def example_scores(run: PerExample, metric: Metric) -> ExampleScores:
    """The scores of one run: what its pairs with all others are made from, computed once.

    Raises:
        UserError: it has no example, or the metric is not a finite number.
    """
    (count,) = {len(values) for values in run.values()} or {0}
    if not count:
        raise UserError("scores of a run", "no test example")
    observed = _score(run, np.arange(count), metric)
    if count < EXAMPLES_FROM:
        return ExampleScores(count, observed, None)
    from scipy.stats import bootstrap

    found = bootstrap(
        (np.arange(count),),
        lambda drawn: _score(run, drawn, metric),
        n_resamples=EXAMPLE_RESAMPLES,
        batch=1,  # a batch would be held in memory whole
        vectorized=False,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(BOOTSTRAP_SEED),  # the same draws for every run
    )
    return ExampleScores(count, observed, found.bootstrap_distribution)


def difference_over_examples(
    first: Sequence[ExampleScores], second: Sequence[ExampleScores]
) -> ExampleDifference:
    """The paired bootstrap from the scores of runs, one per seed on each side.

    Raises:
        UserError: the sides have not as many runs, or the runs not as many examples.
    """
    sizes = {run.examples for run in (*first, *second)}
    _require_pairs(len(first), len(second), sizes)
    count = sizes.pop()
    means = [float(np.mean([run.observed for run in runs])) for runs in (first, second)]
    observed = means[0] - means[1]
    drawn = [[run.drawn for run in runs if run.drawn is not None] for runs in (first, second)]
    if not drawn[0]:
        return ExampleDifference(count, observed, None, None, None)
    values = np.mean(drawn[0], axis=0) - np.mean(drawn[1], axis=0)
    if np.ptp(values) <= 1e-12:
        return ExampleDifference(count, observed, None, None, None)
    # draws beyond 0, and one more, so that no finite number of draws says p = 0
    beyond = 1 + min((values <= 0).sum(), (values >= 0).sum())
    p = min(1.0, 2 * float(beyond) / (EXAMPLE_RESAMPLES + 1))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(values, [tail, 100 - tail])
    interval = float(low), float(high)
    return ExampleDifference(count, observed, float(np.std(values, ddof=1)), interval, p)


def _require_pairs(first: int, second: int, sizes: set[int]) -> None:
    if first != second or not first or len(sizes) != 1 or sizes == {0}:
        found = f"{first} and {second} runs of {sorted(sizes)} examples"
        raise UserError("paired bootstrap", found, "the same seeds and examples on both sides")


def _score(run: PerExample, drawn: np.ndarray, metric: Metric) -> float:
    score = metric({name: values[drawn] for name, values in run.items()})
    if not math.isfinite(score):
        raise UserError("metric of drawn examples", f"found {score}", "a finite number")
    return score
