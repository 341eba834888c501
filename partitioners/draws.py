"""The draws that partitioners are built from: Dirichlet rows, urns, fair rounding, dealing."""

from __future__ import annotations

import numpy as np

TINY = 1e-200  # a concentration below this draws the same one-hot row


def dirichlet_rows(
    concentration: np.ndarray, rows: int, generator: np.random.Generator
) -> np.ndarray:
    """[rows, C] float64, each row from Dir(concentration); entries of 0 stay 0.

    A Dirichlet row is normalised gamma draws, and Gamma(a) = Gamma(a + 1) U^(1/a) (Marsaglia
    and Tsang 2000). Taken in logarithms, so that a of 1e-6 cannot underflow to a row of zeros.
    """
    a = np.maximum(concentration, TINY)
    shape = (rows, len(a))
    with np.errstate(divide="ignore"):
        logs = np.log(generator.standard_gamma(a + 1, shape))
    logs -= generator.standard_exponential(shape) / a  # the logarithm of U^(1/a)
    logs[:, concentration == 0] = -np.inf
    logs -= logs.max(axis=1, keepdims=True)
    weights = np.exp(logs)
    return weights / weights.sum(axis=1, keepdims=True)


def urn_classes(
    alpha: float, supply: np.ndarray, sizes: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Classes of sizes[k] examples from q_k ~ Dir(alpha * p), p = supply / sum(supply), for each k.

    supply: [C] counts; sizes: [K]. Returns [sum(sizes)] int64, client after client. The mixes q_k
    are never formed: example i of a client is a new draw from p with probability
    alpha / (alpha + i), else a copy of one of its i predecessors. This Polya urn (Blackwell and
    MacQueen 1973) has exactly the law of Categorical(q_k) with q_k integrated out, and its cost
    does not depend on the number of classes.
    """
    total = int(sizes.sum())
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    places = np.arange(total)
    before = places - starts
    ticket = generator.random(total) * (alpha + before)
    new = ticket >= before
    classes = np.zeros(total, dtype=np.int64)
    picks = generator.integers(int(supply.sum()), size=int(new.sum()))
    classes[new] = np.repeat(np.arange(len(supply)), supply)[picks]
    copies = np.flatnonzero(~new)
    source = places
    source[copies] = starts[copies] + ticket[copies].astype(np.int64)
    while len(copies):  # copies of copies: each turn halves what is left of every path
        source[copies] = source[source[copies]]
        copies = copies[~new[source[copies]]]
    return classes[source]


def fair_counts(
    weights: np.ndarray, total: int | np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Whole numbers that add up to `total`, each within 1 of its share and unbiased.

    weights: [n] not negative, not all zero. Systematic rounding (Madow 1949): cut the cumulated
    shares at u, u + 1, u + 2, ... with one uniform u, so the expectation of every count is
    exactly its share, and a share of 0.3 gets one example three times in ten instead of never.
    """
    cumulated = np.cumsum(weights, dtype=np.float64)
    cuts = np.floor(cumulated / cumulated[-1] * total + generator.random())
    cuts[cumulated == cumulated[-1]] = total
    return np.diff(np.minimum(cuts, total), prepend=0).astype(np.int64)


def stable_order(codes: np.ndarray) -> np.ndarray:
    """[N] int64 that sorts whole numbers `codes` >= 0, equal ones as they come."""
    narrow = codes.size and codes.max() < 2**16  # 2 bytes: numpy has a radix sort for them
    return np.argsort(codes.astype(np.uint16) if narrow else codes, kind="stable")


def deal(
    codes: np.ndarray,
    holders: np.ndarray,
    classes: np.ndarray,
    counts: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """Give each holder `counts` random examples of `classes`; [N] int64 owner per example.

    codes: [N] class of each example. holders, classes, counts: [m]; the counts of a class must
    add up to its examples.
    """
    order = generator.permutation(len(codes))
    order = order[stable_order(codes[order])]
    by_class = stable_order(classes)
    owners = np.empty(len(codes), dtype=np.int64)
    owners[order] = np.repeat(holders[by_class], counts[by_class])
    return owners
