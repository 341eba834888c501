"""A suite: a matrix of configuration keys over a common base.

    name: embedded
    base: {model: mini, rounds: 20}
    seeds: [0, 1, 2]
    matrix:
      benchmark:                       # an axis of named variants, each a set of overrides
        topics: {dataset: synthetic_topics, partition.alpha: 0.1}
        facts: {dataset: synthetic_facts}
      algorithm: [FedAvg, FedProx]     # an axis of values of one key
    tune:                              # see `fednlp.search`
      trials: 3
      seeds: [100]
      search: {client.lr: [1e-4, 1e-3, 1e-2]}

Every combination of one entry per axis is a cell, and with a seed a run. Finished runs and shared
centralized references are reused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from fednlp import config as configuration
from fednlp.axis_effects import Entry, require_effect, set_all
from fednlp.config import NotOneRun
from fednlp.config_schema import RunConfig
from fednlp.errors import UserError, nearest
from fednlp.search import Search, read_search, read_seeds
from fednlp.shown import printable
from fednlp.yaml_files import load_mapping

MOST_RUNS = 10_000
_KEYS = ("name", "description", "base", "seeds", "matrix", "tune")
_ENTRIES = "a non-empty list or named variants"
_SEED = ("sets the seed", "the list `seeds` of the suite")


@dataclass(frozen=True)
class PlannedRun:
    """label: the chosen entry of every axis, then the seed."""

    label: str
    config: RunConfig


@dataclass(frozen=True)
class Cell:
    """chosen: one entry per axis. mapping: the configuration without seed and overrides."""

    chosen: tuple[str, ...]
    mapping: dict[str, Any]

    @property
    def label(self) -> str:
        return _joined(self.chosen) or "the base"


@dataclass(frozen=True)
class Suite:
    """A suite as its file has it. overrides: of the command line, for all runs."""

    path: Path
    cells: list[Cell]
    seeds: list[int]
    overrides: list[str]
    search: Search | None

    def run(
        self, cell: Cell, seed: int, changes: Mapping[str, Any] | None = None, *more: str
    ) -> PlannedRun:
        """A run of a cell; changes: keys that are set last. more: further parts of its label.

        Raises:
            UserError: the configuration is none.
        """
        mapping = configuration.merged(cell.mapping, {"seed": seed})
        for text in self.overrides:
            configuration.apply_override(mapping, text)
        for key, value in (changes or {}).items():
            configuration.override(mapping, key, value)
        label = _joined([*cell.chosen, *more, f"seed {seed}"])
        return PlannedRun(label, configuration.build(mapping, f"{self.path} ({label})"))

    def runs(self) -> Iterator[tuple[Cell, PlannedRun]]:
        """The final runs with the settings of the file, each with its cell."""
        for cell in self.cells:
            for seed in self.seeds:
                yield cell, self.run(cell, seed)


def _joined(names: Iterable[str]) -> str:
    """Names of a file's entries as one label: a line, whatever they hold."""
    return printable(" / ".join(names))


def load_suite(path: Path, overrides: list[str]) -> list[PlannedRun]:
    """All runs of a suite with the settings of its file, validated before the first one starts.

    Raises:
        UserError: names the suite, the axis and the key.
    """
    return [run for _, run in read_suite(path, overrides).runs()]


def read_suite(path: Path, overrides: list[str]) -> Suite:
    """A suite whose file is whole; its configurations are validated as they are made.

    Raises:
        UserError: names the suite, the axis and the key.
    """
    data, places = load_mapping(path)
    if data and data.keys() <= {*RunConfig.model_fields, "extends"}:
        found = "is a configuration of one run"
        raise UserError(str(path), found, "a suite, with base and matrix", "use the command run")
    for key in data:
        if key not in _KEYS:
            place = f"{places.get((str(key),), path)}: {key}"
            raise UserError(place, "unknown key", fix=nearest(str(key), list(_KEYS)))
    base = _base(data.get("base", {}), path)
    matrix = _mapping(data, "matrix", path)
    axes = [_axis(name, entries, path) for name, entries in matrix.items()]
    seeds = read_seeds(data.get("seeds", [0]), f"{path}: seeds")
    search = None
    if data.get("tune") is not None:
        labels = [name for axis in axes for name, _ in axis]
        search = read_search(data["tune"], f"{path}: tune", labels)
    cells = math.prod(map(len, axes))
    count = cells * len(seeds) + (2 * cells * search.trials * len(search.seeds) if search else 0)
    if count > MOST_RUNS:
        raise UserError(f"{path}: matrix", f"asks for {count:,} runs", f"at most {MOST_RUNS:,}")
    for text in overrides:
        if text.partition("=")[0].strip() == "seed":
            raise UserError(f"override '{text:.80}'", *_SEED)
    suite, known = Suite(path, [], seeds, overrides, search), set[str]()
    combinations = list(product(*axes))
    for chosen in combinations:
        mapping = configuration.merged(base, {})
        for _, changes in chosen:
            set_all(mapping, changes)
        cell = Cell(tuple(name for name, _ in chosen), mapping)
        if cell.label in known:
            raise UserError(f"{path}: matrix", f"has '{cell.label}' twice", fix="drop one")
        known.add(cell.label)
        suite.cells.append(cell)
    cells_made = [(c, cell.mapping) for c, cell in zip(combinations, suite.cells, strict=True)]
    require_effect(f"{path}: matrix", [str(name) for name in matrix], base, cells_made)
    _require_different(suite)
    if search is not None:
        _check_search(suite, search)
    return suite


def _require_different(suite: Suite) -> None:
    """No two cells are the same runs."""
    contents: dict[str, str] = {}
    for cell in suite.cells:
        other = contents.setdefault(_content(cell.mapping), cell.label)
        if other != cell.label:
            found = f"'{other}' and '{cell.label}' are the same run"
            fix = "drop one; a later axis sets again what an earlier one has set"
            raise UserError(f"{suite.path}: matrix", found, fix=fix)


def _content(value: Any) -> str:
    """Equal for equal mappings, in whatever order and with whatever keys they were written."""
    if not isinstance(value, dict):
        return repr(value)
    return repr(sorted((repr(key), _content(inner)) for key, inner in value.items()))


def _check_search(suite: Suite, search: Search) -> None:
    """A setting that is searched for cannot also be given; final seeds are not those of trials."""
    for text in suite.overrides:
        key = text.partition("=")[0].strip()
        if key in search.every_key():
            raise UserError(f"override '{text:.80}'", "is searched for in 'tune'", fix="drop it")
    final = sorted({run.config.seed for _, run in suite.runs()} & set(search.seeds))
    if final and not search.reuse_seeds:
        raise UserError(
            f"{suite.path}: tune.seeds",
            f"{final[0]} is a seed of the final runs too, which would report what was selected for",
            "other seeds",
            "or say reuse_seeds: true",
        )


def _base(base: Any, path: Path) -> dict[str, Any]:
    if isinstance(base, str):
        try:
            return configuration.read(path.parent / base)[0]
        except NotOneRun as error:
            found, fix = f"{error.where} is a suite", "name its base, or write the keys here"
            raise UserError(f"{path}: base", found, error.expected, fix) from None
    if not isinstance(base, dict):
        raise UserError(f"{path}: base", f"found {base!r}", "a mapping or a file name")
    return configuration.beside(base, path.parent)


def _axis(name: Any, entries: Any, path: Path) -> list[Entry]:
    """The entries of an axis, their paths made whole."""

    def whole(changes: dict[str, Any]) -> dict[str, Any]:
        return {k: configuration.whole(k, value, path.parent) for k, value in changes.items()}

    if isinstance(entries, list) and entries:
        _require_key(name, f"{path}: matrix")
        short = [_short(value) for value in entries]
        labels = [
            word if short.count(word) == 1 else _long(value)
            for word, value in zip(short, entries, strict=True)
        ]
        named = zip(labels, entries, strict=True)
        return [(f"{name} {label}", whole({name: value})) for label, value in named]
    if isinstance(entries, dict) and entries:
        for label, changes in entries.items():
            if not isinstance(changes, dict):
                raise UserError(
                    f"{path}: matrix.{name}.{label}", f"found {changes!r}", "a mapping of overrides"
                )
            for key in changes:
                _require_key(key, f"{path}: matrix.{name}.{label}")
        return [(str(label), whole(changes)) for label, changes in entries.items()]
    raise UserError(f"{path}: matrix.{name}", f"found {entries!r}", _ENTRIES)


def _require_key(key: Any, where: str) -> None:
    if not isinstance(key, str):
        raise UserError(where, f"found the key {key!r}", "a key of the configuration, as text")
    if key == "seed":
        raise UserError(where, *_SEED)


def _short(value: Any) -> str:
    return str(value.get("name", value)) if isinstance(value, dict) else str(value)


def _long(value: Any) -> str:
    """Where two entries would have one label."""
    if not isinstance(value, dict):
        return str(value)
    rest = [f"{key}={part}" for key, part in value.items() if key != "name"]
    return " ".join([_short(value), *rest]) if "name" in value else str(value)


def _mapping(data: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, dict):
        raise UserError(f"{path}: {key}", f"found {value!r}", "a mapping of axes")
    return value
