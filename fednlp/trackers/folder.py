"""What a tracker is told of a run, from the run folder alone."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fednlp.errors import UserError
from fednlp.results import files
from fednlp.results.reading import read_identity, read_result
from fednlp.results.schema import Result
from fednlp.trackers.tracker import Told
from fednlp.yaml_files import load_mapping
from tasks.plain_files import read_plain

FOLDER = "trackers"  # beside the run folders
_FEDERATED_ONLY = ("algorithm", "server", "sampling", "partition")


def told(path: Path) -> Told:
    """Reads `identity.json` and `config.yaml` of a run that has begun.

    Raises:
        UserError: one of them is missing or damaged, or nothing can be written beside the folder.
    """
    directory = path.resolve().parent / FOLDER
    identity = read_identity(path / "identity.json")
    content, kind = identity["content"], str(identity["content"].get("kind"))
    config, _ = load_mapping(path / "config.yaml")
    overridden = (config.get("centralized") or {}).get("client") or {}
    if kind == "centralized":
        config = {key: value for key, value in config.items() if key not in _FEDERATED_ONLY}
        config["client"] = {**(config.get("client") or {}), **overridden}
    name = path.resolve().name.removesuffix(f"-{identity['id'][:12]}")
    name = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[:100] or "run"
    return Told(
        key=identity["trajectory"][:12] + _origin(directory),
        name=name,
        group=re.sub(r"-s\d+$", "", name),
        rounds=int(identity["rounds"]),
        directory=directory,
        parameters=_flat({k: v for k, v in config.items() if k not in ("rounds", "trackers")}),
        tags={
            "id": identity["id"],
            "trajectory": identity["trajectory"],
            "kind": kind,
            "task": str(content.get("task")),
        },
    )


def references(path: Path, result: Result) -> dict[str, Result]:
    """budget -> result of the references that stand beside a run folder and can be read."""
    found: dict[str, Result] = {}
    for reference in result.references:
        try:
            central, _ = read_result(path.resolve().parent / Path(reference.folder).name)
        except UserError:
            continue
        if central.id == reference.id:
            found[reference.budget] = central
    return found


def _origin(directory: Path) -> str:
    """Eight random digits of a directory, made once: whoever else sends the same run to a server
    that both use has others."""
    file = directory / "origin"
    try:
        directory.mkdir(exist_ok=True)
    except OSError as error:
        raise files.not_written(directory, error) from None
    if not files.stands(file):
        made = directory / f".origin.{secrets.token_hex(4)}.tmp"
        files.write_bytes(made, secrets.token_hex(4).encode())
        with suppress(FileExistsError):  # another process was first
            os.link(made, file)
        made.unlink()
    try:
        text = read_plain(file).decode(errors="replace")
    except OSError as error:
        raise files.not_read(file, error) from None
    if not re.fullmatch("[0-9a-f]{8}", text):
        raise UserError(str(file), "is not what was written there", fix="delete it")
    return text


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    found: dict[str, str | int | float | bool] = {}
    for key, value in mapping.items():
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{prefix}{key}.")
        else:
            plain = isinstance(value, str | int | float | bool)
            found[f"{prefix}{key}"] = value if plain else json.dumps(value)
    return found
