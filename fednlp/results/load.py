"""Reading finished run folders back; whatever is not one is named and skipped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fednlp.errors import UserError
from fednlp.results.files import START_AGAIN, entries, read_json, stands
from fednlp.results.run_folder import read_manifest, read_rounds
from fednlp.results.schema import SCHEMA_VERSION, Result
from tasks.plain_files import kind_of


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
        return [(r["round"], r["validation"][key]) for r in self.rounds if "validation" in r]

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
    result = read_result(path / "result.json")
    identity = read_identity(path / "identity.json")
    if identity["id"] != result.id:
        where = str(path / "result.json")
        raise UserError(where, "is of another run than identity.json", fix=START_AGAIN)
    rounds = read_rounds(path, read_manifest(path / "checkpoints" / "manifest.json"))
    run = FinishedRun(path, result, identity["content"], rounds)
    problem = _disagreement(run)
    if problem is not None:
        found = f"{problem} is not that of rounds.jsonl"
        raise UserError(str(path / "result.json"), found, fix=START_AGAIN)
    return run


def read_result(where: Path) -> Result:
    """Reads `result.json`, whose checksum is that of its content.

    Raises:
        UserError: it is missing, damaged, or from a newer version.
    """
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
    try:
        result = Result.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where}: {key}", first["msg"].lower(), fix=START_AGAIN) from None
    if result.checksum != result.content_checksum():
        found = "its content is not that of its checksum" if result.checksum else "has no checksum"
        raise UserError(str(where), found, fix=f"it was damaged or edited; {START_AGAIN}")
    return result


def read_identity(path: Path) -> dict[str, Any]:
    """Reads `identity.json`, whose id is the hash of its content.

    Raises:
        UserError: it is damaged, or of something else.
    """
    data = read_json(path)
    try:
        content = {**data["content"], "rounds": data["rounds"]}
        made = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        whole = data["id"] == made and isinstance(data["trajectory"], str)
    except (KeyError, TypeError):
        whole = False
    if not whole:
        raise UserError(str(path), "its content is not that of its id", fix=START_AGAIN)
    return dict(data)


def _disagreement(run: FinishedRun) -> str | None:
    """What the result says otherwise than the records of the rounds that it was made from."""
    result, rounds = run.result, run.rounds
    if result.costs.rounds != len(rounds):
        return "costs.rounds"
    for key in ("examples", "steps", "real_tokens", "padded_tokens", "bytes_up", "bytes_down"):
        if getattr(result.costs, key) != sum(record.get(key, 0) for record in rounds):
            return f"costs.{key}"
    for name, score in (("selected", result.selected), ("last", result.last)):
        if not 1 <= score.round <= len(rounds):
            return f"{name}.round"
        record = rounds[score.round - 1]
        if record.get("validation") != score.validation:
            return f"{name}.validation"
        if record.get("weights_sha256") != score.weights_sha256:
            return f"{name}.weights_sha256"
    return None


def load_runs(directory: Path, problems: list[str] | None = None) -> list[FinishedRun]:
    """All finished runs directly in a directory, by folder name; problems are appended as lines.

    Raises:
        UserError: there is no such directory.
    """
    if kind_of(directory) != "directory":
        raise UserError(str(directory), "no such directory", "a directory of run folders")
    return list(_each(directory, problems if problems is not None else []))


def _each(directory: Path, problems: list[str]) -> Iterator[FinishedRun]:
    for path in entries(directory):
        try:
            if stands(path / "result.json"):
                yield load_run(path)
        except UserError as error:
            problems.append(str(error))
