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
from fednlp.results.files import not_read
from fednlp.results.load import FinishedRun, load_run
from fednlp.results.schema import Result
from tasks.plain_files import read_plain

VERSION = 1  # raise when `Digest` changes, so that caches are made again
FILES = (
    *("result.json", "identity.json", "rounds.jsonl", "checkpoints/manifest.json"),
    *("config.yaml", "environment.json", "clients.csv"),
)
OPTIONAL = ("config.yaml", "environment.json", "clients.csv")
LARGEST = 256_000_000  # bytes of one file that is read
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
        kinds = {"sent": "q", "validated": "q"}
        return cls(
            **{
                name: array(kinds.get(name, "d"), [np.nan if v is None else v for v in column])
                for name, column in data.items()
            }
        )


@dataclass(frozen=True)
class BoardRun(FinishedRun):
    """A finished run without its round records: `rounds` is empty, the curves hold what is drawn.

    key: hash of the files it was read from. source: the directory it lies in, as it was given.
    quantiles: of the clients' scores, at `QUANTILES`; empty where none was scored.
    notes: what could not be read of the files that no table is made from.
    """

    curves: Curves = field(kw_only=True)
    key: str = field(kw_only=True)
    source: str = field(kw_only=True)
    config: str = field(kw_only=True)
    environment: list[dict[str, Any]] = field(kw_only=True)
    quantiles: list[float] = field(kw_only=True)
    notes: list[str] = field(kw_only=True)

    def validation_curve(self) -> list[tuple[int, float]]:
        return list(zip(self.curves.validated, self.curves.validation, strict=True))

    def cumulative_bytes(self) -> list[int]:
        return self.curves.sent.tolist()

    def as_json(self) -> dict[str, Any]:
        """Plain data for the cache; where the folder lies is not part of it."""
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
    """Hash of all files that a digest is made from: equal keys, equal digests.

    Raises:
        UserError: a file cannot be read or is too large.
    """
    total = hashlib.sha256(f"{VERSION}".encode())
    for name in FILES:
        data = _bytes(path / name, optional=name in OPTIONAL)
        total.update(f"{name} {len(data) if data is not None else None}\n".encode())
        total.update(data or b"")
    return total.hexdigest()


def read_digest(path: Path, source: str, key: str) -> BoardRun:
    """Reads and checks one finished run folder.

    Raises:
        UserError: a file is missing, damaged, or from a newer version.
    """
    run = load_run(path)
    notes: list[str] = []
    return BoardRun(
        path,
        run.result,
        run.identity,
        [],
        curves=_curves(run),
        key=key,
        source=source,
        config=_text(path / "config.yaml", notes),
        environment=_environment(path / "environment.json", notes),
        quantiles=_quantiles(path / "clients.csv", notes),
        notes=notes,
    )


def _curves(run: FinishedRun) -> Curves:
    curve = run.validation_curve()
    seconds = [record.get("device_seconds") for record in run.rounds]
    told = all(isinstance(value, int | float) for value in seconds)
    return Curves(
        array("q", run.cumulative_bytes()),
        array("d", accumulate(seconds) if told else []),
        array("d", [_number(record.get("train_loss")) for record in run.rounds]),
        array("q", [number for number, _ in curve]),
        array("d", [value for _, value in curve]),
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else np.nan


def _bytes(path: Path, optional: bool) -> bytes | None:
    """The content of a file; None where it may be missing and is."""
    try:
        if os.path.getsize(path) > LARGEST:
            raise UserError(str(path), f"has more than {LARGEST:,} bytes", fix="leave it out")
        return read_plain(path)
    except FileNotFoundError as error:
        if optional:
            return None
        raise not_read(path, error) from None
    except OSError as error:
        raise not_read(path, error) from None


def _text(path: Path, notes: list[str]) -> str:
    data = _bytes(path, optional=True)
    if data is None:
        notes.append(f"{path.name} is missing")
        return ""
    text = data.decode("utf-8", errors="replace")
    if len(text) > LONGEST_TEXT:
        notes.append(f"{path.name} is cut after {LONGEST_TEXT:,} characters")
    return text[:LONGEST_TEXT]


def _environment(path: Path, notes: list[str]) -> list[dict[str, Any]]:
    """The environments of the run, each a flat mapping of texts and numbers."""
    text = _text(path, notes)
    if not text:
        return []
    try:
        entries = json.loads(text)
        return [{str(k): str(v) for k, v in entry.items()} for entry in entries]
    except (ValueError, RecursionError, AttributeError, TypeError):
        notes.append(f"{path.name} does not hold environments")
        return []


def _quantiles(path: Path, notes: list[str]) -> list[float]:
    """Quantiles of the scores of clients that were trained on and have enough test examples."""
    data = _bytes(path, optional=True)
    if data is None:
        return []
    try:
        rows = csv.DictReader(io.StringIO(data.decode("utf-8")))
        scores = [
            float(row["score"])
            for row in rows
            if row["score"] and row["held_out"].lower() not in ("true", "1")
        ]
        if not np.isfinite(scores).all():
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error):
        notes.append(f"{path.name} does not hold scores of clients")
        return []
    return [float(value) for value in np.quantile(scores, QUANTILES)] if scores else []
