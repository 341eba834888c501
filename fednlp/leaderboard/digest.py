"""What the pages need of one run folder, in little space: thousands of runs fit into memory.

A folder is read and checked once (`load_run`); what is kept of its rounds are columns of numbers.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from array import array
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from fednlp.errors import UserError
from fednlp.results.bounds import METRIC
from fednlp.results.files import NO_FILE, START_AGAIN, not_read, stands
from fednlp.results.reading import FinishedRun, load_run
from fednlp.results.schema import SUMMED, Result
from tasks.plain_files import read_plain

VERSION = 4  # raise when `Digest` changes, so that caches are made again
FILES = {  # what is read, and the most bytes of each: a file from a stranger may be of any size
    "result.json": 4_000_000,
    "identity.json": 4_000_000,
    "rounds.jsonl": 64_000_000,
    "checkpoints/manifest.json": 64_000_000,
    "config.yaml": 4_000_000,
    "environment.json": 4_000_000,
    "clients.csv": 64_000_000,
}
OPTIONAL = ("config.yaml", "environment.json", "clients.csv")  # of results without sums of files
PARTITION = "partition.npz"
UNREAD = ("predictions.parquet", PARTITION)  # nothing is shown of them, but they belong to the run
LONGEST_TEXT = 60_000  # characters of a configuration or environment that a page shows
QUANTILES = tuple(q / 100 for q in (0, 5, 10, 25, 50, 75, 90, 95, 100))


@dataclass(frozen=True)
class Curves:
    """One value per round.

    sent: bytes up and down so far. seconds: of devices so far, empty where the rounds do not tell.
    loss: nan where there is none. validated: rounds; validation: their primary metric.
    """

    sent: array[int]
    seconds: array[float]
    loss: array[float]
    validated: array[int]
    validation: array[float]

    def as_json(self) -> dict[str, list[float | None]]:
        return {
            name: [None if value != value else value for value in column]
            for name, column in vars(self).items()
        }

    @classmethod
    def from_json(cls, data: dict[str, list[float | None]]) -> Curves:
        def column(name: str) -> list[float]:
            return [np.nan if value is None else value for value in data[name]]

        def counts(name: str) -> array[int]:
            return array("q", map(int, column(name)))

        def numbers(name: str) -> array[float]:
            return array("d", column(name))

        return cls(
            counts("sent"),
            numbers("seconds"),
            numbers("loss"),
            counts("validated"),
            numbers("validation"),
        )


@dataclass(frozen=True)
class BoardRun(FinishedRun):
    """A finished run without its round records: `rounds` is empty, the curves hold what is drawn.

    key: hash of the files it was read from. source: the directory it lies in, as it was given.
    quantiles: of the clients' scores, at `QUANTILES`; empty where none was scored.
    notes: what could not be read of the files that no table is made from.
    submission_note: what the submitter says of the submission that it came in.
    """

    curves: Curves = field(kw_only=True)
    key: str = field(kw_only=True)
    source: str = field(kw_only=True)
    config: str = field(kw_only=True)
    environment: list[dict[str, Any]] = field(kw_only=True)
    quantiles: list[float] = field(kw_only=True)
    notes: list[str] = field(kw_only=True)
    submission_note: str = field(kw_only=True, default="")

    def validation_curve(self) -> list[tuple[int, float]]:
        return list(zip(self.curves.validated, self.curves.validation, strict=True))

    def cumulative_bytes(self) -> list[int]:
        return self.curves.sent.tolist()

    def as_json(self) -> dict[str, Any]:
        """Plain data for the cache; where the folder lies and came in is not part of it."""
        return {
            "result": self.result.model_dump(mode="json"),
            "identity": self.identity,
            "curves": self.curves.as_json(),
            "config": self.config,
            "environment": self.environment,
            "quantiles": self.quantiles,
            "notes": self.notes,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], path: Path, source: str, key: str) -> BoardRun:
        return cls(
            path,
            Result.model_validate(data["result"]),
            data["identity"],
            [],
            curves=Curves.from_json(data["curves"]),
            key=key,
            source=source,
            **{name: data[name] for name in ("config", "environment", "quantiles", "notes")},
        )


def folder_key(path: Path) -> str:
    """Hash of all files that a digest is made from, and of which others are there.

    Equal keys, equal digests.

    Raises:
        UserError: a file cannot be read or is too large.
    """
    total = hashlib.sha256(f"{VERSION}".encode())
    for name in FILES:
        data = _bytes(path, name)
        total.update(f"{name} {len(data) if data is not None else None}\n".encode())
        total.update(data or b"")
    total.update(f"{[stands(path / name) for name in UNREAD]}\n".encode())
    return total.hexdigest()


def read_digest(folder: Path, path: Path, source: str, key: str) -> BoardRun:
    """Reads and checks one finished run folder.

    path: by which it is told, where the folder itself is a temporary one.

    Raises:
        UserError: a file is missing, damaged, or from a newer version.
    """
    run = load_run(folder)
    _require_own_files(run)
    notes: list[str] = []
    return BoardRun(
        path,
        run.result,
        run.identity,
        [],
        curves=_curves(run),
        key=key,
        source=source,
        config=_text(folder, "config.yaml", notes),
        environment=_environment(folder, notes),
        quantiles=_quantiles(folder, notes),
        notes=notes,
    )


def _require_own_files(run: FinishedRun) -> None:
    """The folder has all files that the result has a sum of, and those shown are the same.

    Raises:
        UserError: names the file that is missing or another.
    """
    files = run.result.files
    partition = [PARTITION] if files and run.result.partition is not None else []
    for name in [*(name for name in SUMMED if name in files), *partition]:
        if not stands(run.path / name):
            raise UserError(str(run.path / name), NO_FILE, fix=START_AGAIN)
    for name in OPTIONAL:
        told, data = files.get(name), _bytes(run.path, name)
        if told and data is not None and hashlib.sha256(data).hexdigest() != told:
            found = "is not the file that the result was written with"
            raise UserError(str(run.path / name), found, fix=START_AGAIN)


def _curves(run: FinishedRun) -> Curves:
    curve = run.validation_curve()
    told = all(isinstance(r.get("device_seconds"), int | float) for r in run.rounds)
    seconds = [float(record["device_seconds"]) for record in run.rounds] if told else []
    return Curves(
        array("q", run.cumulative_bytes()),
        array("d", accumulate(seconds)),
        array("d", [_number(record.get("train_loss")) for record in run.rounds]),
        array("q", [number for number, _ in curve]),
        array("d", [value for _, value in curve]),
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else np.nan


def _bytes(folder: Path, name: str) -> bytes | None:
    """The content of a file; None where it may be missing and is."""
    path = folder / name
    try:
        if os.path.getsize(path) > FILES[name]:
            raise UserError(str(path), f"has more than {FILES[name]:,} bytes", fix="leave it out")
        return read_plain(path)
    except FileNotFoundError as error:
        if name in OPTIONAL:
            return None
        raise not_read(path, error) from None
    except OSError as error:
        raise not_read(path, error) from None


def _text(folder: Path, name: str, notes: list[str]) -> str:
    data = _bytes(folder, name)
    if data is None:
        notes.append(f"{name} is missing")
        return ""
    text = data.decode("utf-8", errors="replace")
    if len(text) > LONGEST_TEXT:
        notes.append(f"{name} is cut after {LONGEST_TEXT:,} characters")
    return text[:LONGEST_TEXT]


def _environment(folder: Path, notes: list[str]) -> list[dict[str, Any]]:
    """The environments of the run, each a flat mapping: what is no plain value becomes text."""
    text = _text(folder, "environment.json", notes)
    if not text:
        return []
    try:
        entries = json.loads(text)
        return [{str(k): _plain(v) for k, v in entry.items()} for entry in entries]
    except (ValueError, RecursionError, AttributeError, TypeError):
        notes.append("environment.json does not hold environments")
        return []


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _quantiles(folder: Path, notes: list[str]) -> list[float]:
    """Quantiles of the scores of clients that were trained on and have enough test examples."""
    data = _bytes(folder, "clients.csv")
    if data is None:
        return []
    try:
        rows = csv.DictReader(io.StringIO(data.decode("utf-8")))
        scores = [
            float(row["score"])
            for row in rows
            if row["score"] and row["held_out"].lower() not in ("true", "1")
        ]
        if not all(METRIC[0] <= score <= METRIC[1] for score in scores):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error):
        notes.append("clients.csv does not hold scores of clients")
        return []
    return [float(value) for value in np.quantile(scores, QUANTILES)] if scores else []
