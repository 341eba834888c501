"""Who trains in a round.

A cohort is the first k clients of one permutation per (seed, round), so larger cohorts contain
smaller ones. Non-uniform sampling orders clients by exponential clocks of rate n^gamma (Efraimidis
and Spirakis 2006): `proportional` is gamma 1, `activity` is the selection by client activity of
Dupuy et al. 2022 (arXiv 2202.03925), without replacement.

A client that is drawn more often because it is large must not also weigh more because it is
large: its aggregation weight is divided by its inclusion probability (Horvitz and Thompson 1952).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fednlp.config_schema import SamplingConfig
from fednlp.errors import UserError
from fednlp.random_streams import generator

FEW = 64  # clients up to which inclusion probabilities are integrated


@dataclass(frozen=True)
class Sampler:
    """Draws cohorts from the clients that have training examples.

    Attributes:
        clients: [K] ids of the clients that can be drawn.
        sizes: [K] their numbers of training examples.
        probability: [K] chance that a cohort contains them; exact for uniform sampling and for up
            to 64 clients, else 1 - exp(-t n^gamma) with t such that the sum is k (error O(1/K)).
    """

    seed: int
    per_round: int
    clients: np.ndarray
    sizes: np.ndarray
    rates: np.ndarray
    probability: np.ndarray

    def cohort(self, round: int) -> np.ndarray:
        """[k] positions into `clients`, in drawing order."""
        rng = generator(self.seed, "sampling", round)
        if np.all(self.rates == self.rates[0]):
            return rng.permutation(len(self.clients))[: self.per_round]
        clocks = rng.standard_exponential(len(self.clients)) / self.rates
        return np.argsort(clocks, kind="stable")[: self.per_round]

    def expected_examples(self) -> float:
        """Expected number of training examples of a cohort, one pass each."""
        return float(self.probability @ self.sizes)


def make_sampler(
    config: SamplingConfig, sizes: np.ndarray, held_out: np.ndarray, seed: int
) -> Sampler:
    """A sampler over all clients with examples that are not held out.

    Args:
        sizes: [clients] training examples per client.
        held_out: ids of clients that never train.

    Raises:
        UserError: the cohort is larger than the population.
    """
    trainable = sizes > 0
    trainable[held_out] = False
    clients = np.flatnonzero(trainable)
    k = config.clients_per_round
    if k > len(clients):
        raise UserError(
            "sampling.clients_per_round",
            f"{k} clients a round, but only {len(clients)} can train",
            f"at most {len(clients)}",
            "lower it, or make more clients in 'partition'",
        )
    gamma = {"uniform": 0.0, "proportional": 1.0, "activity": config.gamma}[config.name]
    counts = sizes[clients].astype(np.float64)
    rates = (counts / counts.mean()) ** gamma
    return Sampler(seed, k, clients, sizes[clients], rates, _inclusion(rates, k))


def _inclusion(rates: np.ndarray, k: int) -> np.ndarray:
    if k == len(rates):
        return np.ones(len(rates))
    if np.all(rates == rates[0]):
        return np.full(len(rates), k / len(rates))
    if len(rates) <= FEW:
        return _integrated_inclusion(rates, k)
    from scipy.optimize import brentq

    def excess(log_t: float) -> float:
        return float(-np.expm1(-np.exp(log_t) * rates).sum() - k)

    low = np.log(1e-12 / rates.max())
    high = np.log(700.0 / rates.min())
    return -np.expm1(-np.exp(brentq(excess, low, high, xtol=1e-12)) * rates)


def _integrated_inclusion(rates: np.ndarray, k: int) -> np.ndarray:
    """Client i is drawn if fewer than k other clocks ring before its own; integrated over its time.

    How many of the others have rung at a time is a sum of independent Bernoulli variables.
    """
    log_t = np.linspace(np.log(1e-9 / rates.max()), np.log(40.0 / rates.min()), 2000)
    rung = -np.expm1(-np.exp(log_t) * rates[:, None])  # [K, times]
    density = rates[:, None] * np.exp(log_t - np.exp(log_t) * rates[:, None])  # in log time
    chance = np.empty(len(rates))
    for i in range(len(rates)):
        counts = np.zeros((k, len(log_t)))  # chance that c others have rung, c < k
        counts[0] = 1.0
        for others in np.delete(rung, i, axis=0):
            counts[1:] = counts[1:] * (1.0 - others) + counts[:-1] * others
            counts[0] *= 1.0 - others
        chance[i] = density[i] @ counts.sum(0)
    return np.minimum(chance * (k / chance.sum()), 1.0)
