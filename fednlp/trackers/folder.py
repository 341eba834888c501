"""What a tracker is told of a run, from the run folder alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fednlp.errors import UserError
from fednlp.results.reading import read_identity, read_result
from fednlp.results.schema import Result
from fednlp.trackers.tracker import Told
from fednlp.yaml_files import load_mapping

FOLDER = "trackers"  # beside the run folders
_FEDERATED_ONLY = ("algorithm", "server", "sampling", "partition")


def told(path: Path) -> Told:
    """Reads `identity.json` and `config.yaml` of a run that has begun.

    Raises:
        UserError: one of them is missing or damaged.
    """
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
        key=identity["trajectory"][:16],
        name=name,
        group=re.sub(r"-s\d+$", "", name),
        rounds=int(identity["rounds"]),
        directory=path.resolve().parent / FOLDER,
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


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    found: dict[str, str | int | float | bool] = {}
    for key, value in mapping.items():
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{prefix}{key}.")
        else:
            plain = isinstance(value, str | int | float | bool)
            found[f"{prefix}{key}"] = value if plain else json.dumps(value)
    return found
