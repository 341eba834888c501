"""A search for learning rates and other settings of a method, part of a suite.

    tune:
      trials: 6                  # of every cell, and of its centralized reference: all the same
      seeds: [100]               # of every trial; none of the final seeds
      rounds: 10                 # of a trial, if fewer than the final runs have
      search:                    # key -> values to try
        client.lr: [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1]
      variants:                  # entry of an axis -> what is searched there instead or as well
        FedAdam: {client.lr: [1e-3, 3e-3, 1e-2], server.lr: [1e-3, 1e-2]}
      centralized:               # keys of `client`; by default those of `search`
        lr: [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1]

Every cell of the suite is searched by itself. Its trials are all combinations of its values, or a
drawn part of them where there are more; the draw is the same for equal values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

from fednlp.errors import UserError, nearest
from fednlp.results.schema import Trial, Tuning

_KEYS = ("trials", "seeds", "rounds", "reuse_seeds", "search", "variants", "centralized")
_SECTIONS = ("client", "server", "algorithm")
# They say what is compared or how much may be processed, not how well a method is set.
_FIXED = (
    *("algorithm.name", "client.epochs", "client.batch_size", "client.batch_tokens"),
    *("client.order", "client.on_nonfinite"),
)
MOST_SETTINGS = 100_000
Grid = dict[str, list[Any]]  # key -> values


@dataclass(frozen=True)
class Search:
    """trials: per cell and per reference. rounds: None for those of the final run.

    grid: of all cells. variants: entry of an axis -> what its cells have instead or as well.
    central: of the reference, keys of `client`.
    """

    trials: int
    seeds: tuple[int, ...]
    rounds: int | None
    reuse_seeds: bool
    grid: Grid
    variants: dict[str, Grid]
    central: Grid

    def every_key(self) -> set[str]:
        """Everything that is searched for somewhere, as keys of a configuration."""
        return {
            *self.grid,
            *(key for grid in self.variants.values() for key in grid),
            *(f"centralized.client.{key}" for key in self.central),
        }

    def of_cell(self, chosen: tuple[str, ...]) -> Grid:
        """What is searched in a cell with these entries."""
        grid = dict(self.grid)
        for name in chosen:
            grid |= self.variants.get(name, {})
        return grid

    def of_clients(self) -> list[str]:
        """The keys of `client` that differ between methods, without the section."""
        known = (key.split(".", 1) for key in self.every_key())
        return sorted(name for section, name in known if section == "client")


def settings(grid: Grid, trials: int) -> list[dict[str, Any]]:
    """The settings to try, in the order of the values: all, or `trials` drawn of them."""
    from fednlp.random_streams import generator

    count = math.prod(map(len, grid.values()))
    drawn = sorted(generator(0, "tuning").permutation(count)[:trials].tolist())
    found, every, position = [], product(*grid.values()), 0
    for number in drawn:
        (values,) = islice(every, number - position, number - position + 1)
        position = number + 1
        found.append(dict(zip(grid, values, strict=True)))
    return found


def select(
    grid: Grid,
    tried: list[dict[str, Any]],
    scores: list[list[float | None]],
    seeds: tuple[int, ...],
    rounds: int,
) -> Tuning | None:
    """The search as it ended; None where no trial stayed finite with every seed.

    Args:
        scores: validation of every trial, seed by seed; None where weights were not finite.
    """
    means = [
        math.fsum(known) / len(own) if len(known := [s for s in own if s is not None]) == len(own)
        else None
        for own in scores
    ]  # fmt: skip
    best = max((mean for mean in means if mean is not None), default=None)
    if best is None:
        return None
    chosen = means.index(best)
    trials = [Trial(values=v, validation=m) for v, m in zip(tried, means, strict=True)]
    return Tuning(
        seeds=list(seeds),
        rounds=rounds,
        trials=trials,
        chosen=chosen,
        tied=means.count(best) - 1,
        edges=[
            key
            for key, value in tried[chosen].items()
            # of what was drawn too: others can check no more than that
            if _at_an_edge(value, grid[key]) or _at_an_edge(value, [t[key] for t in tried])
        ],
    )


def _at_an_edge(value: Any, values: list[Any]) -> bool:
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    whole = len(numbers) == len(values)
    return whole and len({*numbers}) > 1 and value in (min(numbers), max(numbers))


# reading -----------------------------------------------------------------------------------------


def read_search(data: Any, where: str, labels: list[str]) -> Search:
    """The section `tune` of a suite.

    Args:
        labels: entries of its axes.

    Raises:
        UserError: names the key.
    """
    if not isinstance(data, dict):
        raise UserError(where, f"found {data!r}", "a mapping")
    for key in data:
        if key not in _KEYS:
            raise UserError(f"{where}.{key}", "unknown key", fix=nearest(str(key), list(_KEYS)))
    for key in ("trials", "seeds", "search"):
        if key not in data:
            raise UserError(f"{where}.{key}", "is missing", fix="add it")
    trials, rounds = data["trials"], data.get("rounds")
    for key, value in (("trials", trials), ("rounds", rounds)):
        if not (type(value) is int and value > 0) and (key, value) != ("rounds", None):
            raise UserError(f"{where}.{key}", f"found {value!r}", "a whole number above 0")
    reuse = data.get("reuse_seeds", False)
    if not isinstance(reuse, bool):
        raise UserError(f"{where}.reuse_seeds", f"found {reuse!r}", "true or false")
    grid = _grid(data["search"], f"{where}.search")
    variants = {}
    for label, own in _mapping(data.get("variants", {}), f"{where}.variants").items():
        if label not in labels:
            found = "is no entry of an axis"
            raise UserError(f"{where}.variants.{label}", found, fix=nearest(str(label), labels))
        variants[label] = _grid(own, f"{where}.variants.{label}")
    usual = {k.removeprefix("client."): v for k, v in grid.items() if k.startswith("client.")}
    central = _grid(data.get("centralized", usual), f"{where}.centralized", "client.")
    seeds = tuple(read_seeds(data["seeds"], f"{where}.seeds"))
    return Search(trials, seeds, rounds, reuse, grid, variants, central)


def require_enough(grid: Grid, trials: int, where: str) -> None:
    """An equal budget: every method has as many trials as the others.

    Raises:
        UserError: there are fewer combinations, or more than can be drawn from.
    """
    count = math.prod(map(len, grid.values())) if grid else 0
    if count < trials:
        found = f"has {count} combinations for {trials} trials"
        raise UserError(where, found, "as many trials for all", "add values, or lower tune.trials")
    if count > MOST_SETTINGS:
        raise UserError(where, f"has {count:,} combinations", f"at most {MOST_SETTINGS:,}")


def _grid(data: Any, where: str, inside: str = "") -> Grid:
    """inside: what goes before its keys in a configuration."""
    grid = {}
    for key, values in _mapping(data, where).items():
        place, whole = f"{where}.{key}", f"{inside}{key}"
        section, dot, name = whole.partition(".")
        if not (isinstance(key, str) and dot and name and section in _SECTIONS):
            raise UserError(place, "cannot be searched for", "a key of client, server or algorithm")
        if whole in _FIXED:
            raise UserError(place, "cannot be searched for: it changes what is compared")
        if not isinstance(values, list) or not values:
            raise UserError(place, f"found {values!r}", "a list of values")
        if any(value in values[:number] for number, value in enumerate(values)):
            raise UserError(place, f"found {values!r}", "different values")
        grid[key] = values
    return grid


def read_seeds(seeds: Any, where: str) -> list[int]:
    """A list of seeds, none twice."""
    expected = "a non-empty list of different whole numbers, none below 0"
    if not (isinstance(seeds, list) and seeds):
        raise UserError(where, f"found {seeds!r}", expected)
    bad = [seed for seed in seeds if type(seed) is not int or seed < 0]
    twice = [seed for number, seed in enumerate(seeds) if seed in seeds[:number]]
    if bad or twice:
        found = ", ".join(dict.fromkeys(map(repr, bad or twice)))
        raise UserError(where, f"found {found}{'' if bad else ' twice'}", expected)
    return list(seeds)


def _mapping(data: Any, where: str) -> dict[Any, Any]:
    if not isinstance(data, dict):
        raise UserError(where, f"found {data!r}", "a mapping")
    return data
