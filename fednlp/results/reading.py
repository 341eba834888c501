"""Reading finished run folders back; whatever is not one is named and skipped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fednlp.errors import UserError
from fednlp.results.bounds import out_of_bounds
from fednlp.results.files import START_AGAIN, entries, read_json, stands
from fednlp.results.manifest import read_manifest, read_rounds
from fednlp.results.own_names import MANIFEST
from fednlp.results.schema import SCHEMA_VERSION, Result
from tasks.plain_files import kind_of

SUMS = ("examples", "steps", "real_tokens", "padded_tokens", "bytes_up", "bytes_down")


@dataclass(frozen=True)
class FinishedRun:
    """A run folder with a result: the result, the identity's content, the round records."""

    path: Path
    result: Result
    identity: dict[str, Any]
    rounds: list[dict[str, Any]]

    def validation_curve(self) -> list[tuple[int, float]]:
        """(round, primary metric on validation), where it was evaluated."""
        key = self.result.primary_metric
        return [(r["round"], r["validation"][key]) for r in self.rounds if r.get("validation")]

    def cumulative_bytes(self) -> list[int]:
        """Bytes up and down after each round."""
        total, values = 0, []
        for record in self.rounds:
            total += record["bytes_up"] + record["bytes_down"]
            values.append(total)
        return values


def load_run(path: Path) -> FinishedRun:
    """Reads one finished run folder.

    Raises:
        UserError: a file is missing, damaged, or from a newer version.
    """
    result, identity = read_result(path)
    rounds = read_rounds(path, read_manifest(path / MANIFEST))
    sums = {key: sum(record.get(key, 0) for record in rounds) for key in SUMS}
    refuse_disagreement(path, result, len(rounds), sums, lambda number: rounds[number - 1])
    key = result.primary_metric
    for number, record in enumerate(rounds, start=1):
        if key not in (record.get("validation") or {key: None}):
            raise without_primary(path, number, key)
    return FinishedRun(path, result, identity["content"], rounds)


def without_primary(path: Path, number: int, key: str) -> UserError:
    """The one line for a validated round of which the primary metric is not told."""
    found = f"validation has no '{key}', the primary metric"
    return UserError(f"{path / 'rounds.jsonl'}:{number}", found, fix=START_AGAIN)


def read_result(path: Path) -> tuple[Result, dict[str, Any]]:
    """The result of a run folder and its identity, each against its own hash and all bounds.

    Raises:
        UserError: one of them is missing, damaged, of another run, from a newer version, or holds
            what no run can have measured.
    """
    where = path / "result.json"
    data = read_json(where)
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int):
        raise UserError(str(where), "is no result", fix=START_AGAIN)
    if version > SCHEMA_VERSION:
        raise UserError(
            str(where),
            f"schema version {version!r}",
            f"at most {SCHEMA_VERSION}",
            "update this program",
        )
    problem = out_of_bounds(data)
    if problem is not None:
        raise UserError(str(where), problem, fix=START_AGAIN)
    try:
        result = Result.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where}: {key}", first["msg"].lower(), fix=START_AGAIN) from None
    if result.checksum != result.content_checksum():
        found = "its content is not that of its checksum" if result.checksum else "has no checksum"
        raise UserError(str(where), found, fix=f"it was damaged or edited; {START_AGAIN}")
    identity = read_identity(path / "identity.json")
    if identity["id"] != result.id:
        raise UserError(str(where), "is of another run than identity.json", fix=START_AGAIN)
    return result, identity


def read_identity(path: Path) -> dict[str, Any]:
    """Reads `identity.json`, whose id is the hash of its content.

    Raises:
        UserError: it is damaged, or of something else.
    """
    data = read_json(path)
    problem = out_of_bounds(data)
    if problem is not None:
        raise UserError(str(path), problem, fix=START_AGAIN)
    try:
        content = {**data["content"], "rounds": data["rounds"]}
        made = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        whole = data["id"] == made and isinstance(data["trajectory"], str)
    except (KeyError, TypeError):
        whole = False
    if not whole:
        raise UserError(str(path), "its content is not that of its id", fix=START_AGAIN)
    return dict(data)


def refuse_disagreement(
    path: Path,
    result: Result,
    rounds: int,
    sums: Mapping[str, int],
    record: Callable[[int], Mapping[str, Any]],
) -> None:
    """Holds a result against the records of the rounds that it was made from.

    Args:
        rounds: how many records there are.
        sums: of each of `SUMS` over them.
        record: the record of a round, from 1.

    Raises:
        UserError: the result says something else.
    """
    problem = _disagreement(result, rounds, sums, record)
    if problem is not None:
        found = f"{problem} is not that of rounds.jsonl"
        raise UserError(str(path / "result.json"), found, fix=START_AGAIN)


def _disagreement(
    result: Result,
    rounds: int,
    sums: Mapping[str, int],
    record: Callable[[int], Mapping[str, Any]],
) -> str | None:
    if result.costs.rounds != rounds:
        return "costs.rounds"
    for key in SUMS:
        if getattr(result.costs, key) != sums[key]:
            return f"costs.{key}"
    for name, score in (("selected", result.selected), ("last", result.last)):
        if not 1 <= score.round <= rounds:
            return f"{name}.round"
        told = record(score.round)
        if told.get("validation") != score.validation:
            return f"{name}.validation"
        if told.get("weights_sha256") != score.weights_sha256:
            return f"{name}.weights_sha256"
    return None


def load_runs(directory: Path, problems: list[str] | None = None) -> list[FinishedRun]:
    """All finished runs directly in a directory, by folder name; problems are appended as lines.

    Raises:
        UserError: there is no such directory.
    """
    if kind_of(directory) != "directory":
        expected = "a directory of run folders"
        raise UserError(str(directory), "no such directory", expected, "check the path")
    return list(_each(directory, problems if problems is not None else []))


def _each(directory: Path, problems: list[str]) -> Iterator[FinishedRun]:
    for path in entries(directory):
        try:
            if stands(path / "result.json"):
                yield load_run(path)
        except UserError as error:
            problems.append(str(error))
