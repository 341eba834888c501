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
    sizes = {len(values) for run in (*first, *second) for values in run.values()}
    if len(first) != len(second) or not first or len(sizes) != 1 or sizes == {0}:
        found = f"{len(first)} and {len(second)} runs of {sorted(sizes)} examples"
        raise UserError("paired bootstrap", found, "the same seeds and examples on both sides")
    count = sizes.pop()

    def difference(drawn: np.ndarray) -> float:
        scores = [[_score(run, drawn, metric) for run in runs] for runs in (first, second)]
        return float(np.mean(scores[0]) - np.mean(scores[1]))

    observed = difference(np.arange(count))
    if count < EXAMPLES_FROM:
        return ExampleDifference(count, observed, None, None, None)
    from scipy.stats import bootstrap

    found = bootstrap(
        (np.arange(count),),
        difference,
        n_resamples=EXAMPLE_RESAMPLES,
        batch=1,  # a batch would be held in memory whole
        vectorized=False,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(BOOTSTRAP_SEED),
    )
    values = found.bootstrap_distribution
    if np.ptp(values) <= 1e-12:
        return ExampleDifference(count, observed, None, None, None)
    # draws beyond 0, and one more, so that no finite number of draws says p = 0
    beyond = 1 + min((values <= 0).sum(), (values >= 0).sum())
    p = min(1.0, 2 * float(beyond) / (EXAMPLE_RESAMPLES + 1))
    low, high = found.confidence_interval
    interval = float(low), float(high)
    return ExampleDifference(count, observed, float(found.standard_error), interval, p)


def _score(run: PerExample, drawn: np.ndarray, metric: Metric) -> float:
    score = metric({name: values[drawn] for name, values in run.items()})
    if not math.isfinite(score):
        raise UserError("metric of drawn examples", f"found {score}", "a finite number")
    return score
