"""The alpha of Dir(alpha * p) that fits best what the clients hold, however the split was made.

Minka 2000, "Estimating a Dirichlet distribution": client k holds n_k examples, n_kc of label c, of
the pooled shares p; under the Dirichlet-multinomial, up to a constant,

    log L(alpha) = sum_k [log G(alpha) - log G(alpha + n_k)]
                 + sum_kc [log G(alpha p_c + n_kc) - log G(alpha p_c)],    G the gamma function

Only entries above 0 count, and equal entries of a label are taken together, so the cost is that of
sorting the entries once. The best of a grid is refined by a bounded search between its neighbours.

    effective_alpha(partition.histogram)     # 0.1 for `dirichlet` with alpha 0.1, about
"""

from __future__ import annotations

import numpy as np

from .histogram import LabelHistogram

LOWEST, HIGHEST = 1e-6, 1e6
GRID = np.geomspace(LOWEST, HIGHEST, 25)
ROUNDING = 1e-9  # of log L: what beats a bound by less does not beat it


def effective_alpha(histogram: LabelHistogram) -> float | None:
    """Maximum-likelihood alpha within [LOWEST, HIGHEST].

    LOWEST stands for 0: every client holds one label. HIGHEST stands for infinity: clients are no
    further apart than chance makes them. None where alpha means nothing: one label in all, or no
    client with two examples.
    """
    from scipy.optimize import minimize_scalar

    labels, columns = np.unique(histogram.labels, return_inverse=True)
    holders = histogram.holders()
    sizes = np.bincount(holders, histogram.counts, histogram.clients).astype(np.int64)
    if len(labels) < 2 or sizes.max() < 2:
        return None
    pooled = np.bincount(columns, histogram.counts) / sizes.sum()
    width = int(histogram.counts.max()) + 1
    cells, cell_times = np.unique(columns * width + histogram.counts, return_counts=True)
    share, count = pooled[cells // width], cells % width
    totals, total_times = np.unique(sizes[sizes > 0], return_counts=True)

    def cost(alpha: float) -> float:
        gained = cell_times @ _log_rising(alpha * share, count)
        return float(total_times @ _log_rising(alpha, totals) - gained)

    costs = [cost(alpha) for alpha in GRID]
    best = int(np.argmin(costs))
    around = GRID[max(best - 1, 0)], GRID[min(best + 1, len(GRID) - 1)]
    found = minimize_scalar(
        lambda log_alpha: cost(np.exp(log_alpha)),
        bounds=np.log(around),
        method="bounded",
        options={"xatol": 1e-6},
    )
    at_bound = best in (0, len(GRID) - 1)
    if at_bound and found.fun >= costs[best] - ROUNDING * abs(costs[best]):
        return float(GRID[best])
    return float(np.exp(found.x))


def _log_rising(start: np.ndarray | float, steps: np.ndarray) -> np.ndarray:
    """log of start (start + 1) ... (start + steps - 1); exact also where start is far larger."""
    from scipy.special import betaln, gammaln

    return gammaln(steps) - betaln(start, steps)
