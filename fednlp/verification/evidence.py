"""What a finished run folder holds, read piece by piece as checks ask for it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from fednlp import config as configuration
from fednlp.config_schema import RunConfig
from fednlp.errors import UserError
from fednlp.results import files, own_names
from fednlp.results.manifest import Manifest, read_manifest
from fednlp.results.reading import FinishedRun, load_run, read_identity
from fednlp.submissions import layout
from fednlp.verification.check import NotPossible, Wrong
from fednlp.verification.untrusted import read_bounded, read_partition, read_predictions
from fednlp.yaml_files import load_mapping
from partitioners import Partition
from tasks.plain_files import kind_of


def _number(cell: str) -> float:
    return float(cell) if cell else float("nan")


def _flag(cell: str) -> bool:
    return {"True": True, "False": False}[cell]


_CELLS: dict[str, Callable[[str], Any]] = {
    "client": int,
    "train_examples": int,
    "test_examples": int,
    "held_out": _flag,
}


class Evidence:
    """The files of one finished run.

    Attributes raise whatever is wrong with their file when they are first read.
    """

    def __init__(self, run: FinishedRun) -> None:
        self.run, self.path, self.result = run, run.path, run.result
        self.content: dict[str, Any] = run.identity
        self.rounds: list[dict[str, Any]] = run.rounds

    @property
    def federated(self) -> bool:
        return self.result.kind == "federated"

    @cached_property
    def identity(self) -> dict[str, Any]:
        """The whole of `identity.json`."""
        return read_identity(self.path / "identity.json")

    @cached_property
    def manifest(self) -> Manifest:
        return read_manifest(self.path / own_names.MANIFEST)

    @cached_property
    def config(self) -> RunConfig:
        """`config.yaml` as it stands: it extends nothing."""
        path = self.path / "config.yaml"
        return configuration.build(load_mapping(path)[0], str(path))

    @property
    def third_party(self) -> bool:
        """Whether the method is a file of somebody's, and not one of the published."""
        return self.federated and ":" in self.config.algorithm.name

    @cached_property
    def partition(self) -> Partition:
        """In rows of the source."""
        return read_partition(self.path / "partition.npz")

    @cached_property
    def predictions(self) -> dict[str, Any]:
        """Columns of `predictions.parquet`, see `read_predictions`."""
        tests = self.result.data.examples["test"]
        return read_predictions(self.path / "predictions.parquet", tests)

    @cached_property
    def clients(self) -> pd.DataFrame:
        """`clients.csv`, its numbers to the last bit."""
        text = read_bounded(self.path / "clients.csv").decode()
        header, *rows = csv.reader(io.StringIO(text), strict=True)
        columns = zip(*rows, strict=True) if rows else ([] for _ in header)
        return pd.DataFrame(
            {
                name: [_CELLS.get(name, _number)(cell) for cell in column]
                for name, column in zip(header, columns, strict=True)
            }
        )

    @cached_property
    def stored(self) -> set[str]:
        """The weights and client states of the manifest, all of which are there.

        Raises:
            NotPossible: none of them is, as in a submission without weights.
            Wrong: some of them are not.
        """
        wanted = self.manifest.referenced()
        here = {name for name in wanted if files.stands(self.path / name)}
        if not here:
            raise NotPossible("no weights are stored here")
        if here != wanted:
            raise Wrong(f"{min(wanted - here)} is missing")
        return here


def finished_run(path: Path) -> FinishedRun:
    """`load_run`, where what is there may be anything.

    Raises:
        UserError: it is no folder, no run, unfinished or damaged.
    """
    require_finished(path)
    return load_run(path)


def require_finished(path: Path) -> None:
    """Raises UserError unless it is the folder of a finished run, whole or not."""
    if kind_of(path) != "directory":
        expected = "a run folder or a submission"
        raise UserError(str(path), "no such directory or file", expected, "check the path")
    if not files.stands(path / "identity.json"):
        expected, fix = "the folder of one run", "name one that `run` or `suite` has made"
        raise UserError(str(path), "is no run folder", expected, fix)
    if not files.stands(path / "result.json"):
        raise UserError(str(path), "holds no finished run", fix="finish it first")


def find_run(directory: Path, id: str, folder: str) -> Path | None:
    """The folder of a run in a directory, by its usual name or by its id."""
    if layout.NAME.fullmatch(folder) and folder.endswith(f"-{id[:12]}"):
        usual = directory / folder
        if files.stands(usual / "result.json"):
            return usual
    named = (p for p in files.entries(directory) if p.name.endswith(f"-{id[:12]}"))
    return next((p for p in named if files.stands(p / "result.json")), None)
