"""A suite: a matrix of configuration keys over a common base.

    name: embedded
    base: {model: mini, rounds: 20}
    seeds: [0, 1, 2]
    matrix:
      benchmark:                       # an axis of named variants, each a set of overrides
        topics: {dataset: synthetic_topics, partition.alpha: 0.1}
        facts: {dataset: synthetic_facts}
      algorithm: [FedAvg, FedProx]     # an axis of values of one key

Every combination of one entry per axis and a seed is a run. Finished runs and shared centralized
references are reused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from fednlp import config as configuration
from fednlp.config import RunConfig
from fednlp.errors import UserError, nearest
from fednlp.yaml_files import load_mapping

MOST_RUNS = 10_000
_KEYS = ("name", "description", "base", "seeds", "matrix")


@dataclass(frozen=True)
class PlannedRun:
    """label: the chosen entry of every axis, then the seed."""

    label: str
    config: RunConfig


def load_suite(path: Path, overrides: list[str]) -> list[PlannedRun]:
    """All runs of a suite, validated before the first one starts.

    Raises:
        UserError: names the suite, the axis and the key.
    """
    data, places = load_mapping(path)
    for key in data:
        if key not in _KEYS:
            place = f"{places.get((str(key),), path)}: {key}"
            raise UserError(place, "unknown key", fix=nearest(str(key), list(_KEYS)))
    base = _base(data.get("base", {}), path)
    axes = [_axis(name, entries, path) for name, entries in _mapping(data, "matrix", path).items()]
    seeds = data.get("seeds", [0])
    if (
        not isinstance(seeds, list)
        or not seeds
        or not all(type(s) is int and s >= 0 for s in seeds)
    ):
        raise UserError(f"{path}: seeds", f"found {seeds!r}", "a list of whole numbers")
    count = math.prod(map(len, axes), start=len(seeds))
    if count > MOST_RUNS:
        raise UserError(f"{path}: matrix", f"asks for {count:,} runs", f"at most {MOST_RUNS:,}")
    runs = []
    for *chosen, seed in product(*axes, seeds):
        mapping = configuration.merged(base, {})
        for _, changes in chosen:
            for key, value in changes.items():
                configuration.override(mapping, key, configuration.whole(key, value, path.parent))
        mapping["seed"] = seed
        for text in overrides:
            configuration.apply_override(mapping, text)
        label = " / ".join([*(name for name, _ in chosen), f"seed {seed}"])
        runs.append(PlannedRun(label, configuration.build(mapping, f"{path} ({label})")))
    return runs


def _base(base: Any, path: Path) -> dict[str, Any]:
    if isinstance(base, str):
        return configuration.read(path.parent / base)[0]
    if not isinstance(base, dict):
        raise UserError(f"{path}: base", f"found {base!r}", "a mapping or a file name")
    return configuration.beside(base, path.parent)


def _axis(name: Any, entries: Any, path: Path) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(entries, list) and entries:
        _require_key(name, f"{path}: matrix")
        return [(f"{name} {_short(value)}", {name: value}) for value in entries]
    if isinstance(entries, dict) and entries:
        for label, changes in entries.items():
            if not isinstance(changes, dict):
                raise UserError(
                    f"{path}: matrix.{name}.{label}", f"found {changes!r}", "a mapping of overrides"
                )
            for key in changes:
                _require_key(key, f"{path}: matrix.{name}.{label}")
        return [(str(label), changes) for label, changes in entries.items()]
    raise UserError(f"{path}: matrix.{name}", f"found {entries!r}", "a list or named variants")


def _require_key(key: Any, where: str) -> None:
    if not isinstance(key, str):
        raise UserError(where, f"found the key {key!r}", "a key of the configuration, as text")


def _short(value: Any) -> str:
    return str(value.get("name", value)) if isinstance(value, dict) else str(value)


def _mapping(data: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, dict):
        raise UserError(f"{path}: {key}", f"found {value!r}", "a mapping of axes")
    return value
