"""What of a run is committed: the manifest, and the log as far as it counts."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from fednlp.errors import UserError
from fednlp.results import files
from fednlp.results.schema import Round
from tasks.plain_files import read_plain


def checkpoint_file(completed: int) -> str:
    """Of the state after so many rounds."""
    return f"checkpoints/round-{completed:06d}.safetensors"


@dataclass
class Manifest:
    """What is committed. Paths are relative to the run folder; `sha256` covers all of them."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    completed: int = 0  # rounds
    log_bytes: int = 0  # committed length of rounds.jsonl
    log_sha256: str = ""  # of that length; "" in files of older programs
    state: str | None = None  # the file to continue from
    best: str | None = None
    best_round: int | None = None
    best_metric: float | None = None
    best_clients: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)  # round -> file
    clients: dict[str, str] = field(default_factory=dict)  # client -> file
    sha256: dict[str, str] = field(default_factory=dict)

    def referenced(self) -> set[str]:
        names = {self.state, self.best, *self.kept.values()}
        names |= {*self.clients.values(), *self.best_clients.values()}
        return {name for name in names if name}

    def problem(self) -> str | None:
        """What keeps the fields from being those of one commit."""
        state = self.completed, self.state
        best = self.best_round or 0, self.best
        kept = [(int(key) if key.isdecimal() else -1, name) for key, name in self.kept.items()]
        for number, name in (state, best, *kept):
            if name != (checkpoint_file(number) if number else None):
                return f"round {number} is {name}"
        if not (0 <= best[0] <= self.completed and (self.best_metric is None) == (not best[0])):
            return f"the selected round is {self.best_round} of {self.completed}"
        if self.log_bytes < 0:
            return f"a log of {self.log_bytes} bytes"
        for client, name in (*self.clients.items(), *self.best_clients.items()):
            if not re.fullmatch(rf"clients/0*{re.escape(client)}-\d+\.safetensors", name):
                return f"the state of client {client} is {name}"
        missing = sorted(self.referenced() - set(self.sha256))
        return f"no checksum of {missing[0]}" if missing else None


_MANIFEST = TypeAdapter(Manifest)


def read_manifest(path: Path) -> Manifest:
    """Reads `checkpoints/manifest.json`.

    Raises:
        UserError: it is damaged or from a newer version.
    """
    data = files.read_json(path)
    try:
        manifest = _MANIFEST.validate_json(json.dumps(data))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        problem: str | None = f"{key}: {first['msg'].lower()}" if key else first["msg"].lower()
    else:
        problem = manifest.problem()
    if problem is not None:
        found = f"not a manifest of this version ({problem})"
        raise UserError(str(path), found, fix=files.UPDATE)
    return manifest


def read_rounds(folder: Path, manifest: Manifest) -> list[dict[str, Any]]:
    """The committed records of `rounds.jsonl`, one per completed round.

    Raises:
        UserError: the file is shorter, or not what was committed.
    """
    path, data = folder / "rounds.jsonl", read_log(folder, manifest)
    records = []
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            records.append(files.parse_json(line))
            told = Round.model_validate(records[-1]).round
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(str(part) for part in first["loc"])
            fix = files.START_AGAIN
            raise UserError(f"{path}:{number}: {key}", first["msg"].lower(), fix=fix) from None
        except ValueError as error:
            found = f"not readable as JSON ({error})"
            raise UserError(f"{path}:{number}", found, fix=files.START_AGAIN) from None
        if told != number:
            raise UserError(f"{path}:{number}", f"is round {told}", fix=files.START_AGAIN)
    if len(records) != manifest.completed:
        found = f"has {len(records)} records of {manifest.completed} completed rounds"
        raise UserError(str(path), found, fix=files.START_AGAIN)
    if manifest.best_round and manifest.best_metric is not None:
        known = records[manifest.best_round - 1].get("validation") or {}
        if manifest.best_metric not in known.values():
            raise UserError(
                f"{path}:{manifest.best_round}",
                f"no metric is {manifest.best_metric}, that of the selected round in the manifest",
                fix=files.START_AGAIN,
            )
    return records


def read_log(folder: Path, manifest: Manifest) -> bytes:
    """The committed part of `rounds.jsonl`, one line per round.

    Raises:
        UserError: the file is shorter, or not what was committed.
    """
    data = _log_bytes(folder, manifest)
    if manifest.log_sha256 not in ("", hashlib.sha256(data).hexdigest()):
        path = folder / "rounds.jsonl"
        raise UserError(str(path), "is not what was committed", fix=files.START_AGAIN)
    return data


def _log_bytes(folder: Path, manifest: Manifest) -> bytes:
    """The committed part of `rounds.jsonl`."""
    path, data = folder / "rounds.jsonl", b""
    try:
        data = read_plain(path)[: manifest.log_bytes]
    except FileNotFoundError:
        pass
    except OSError as error:
        raise files.not_read(path, error) from None
    if len(data) < manifest.log_bytes:
        found = f"has {len(data)} of {manifest.log_bytes} committed bytes"
        raise UserError(str(path), found, fix=files.START_AGAIN)
    return data
