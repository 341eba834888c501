"""What all processes must have alike before they train together, as hashes that can be compared."""

from __future__ import annotations

import hashlib
import json
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from fednlp.components import source_hash
from fednlp.config_schema import EngineConfig
from fednlp.errors import UserError
from fednlp.flat_model import digest
from fednlp.processes import client_threads

if TYPE_CHECKING:
    from fednlp.experiment import Experiment

_PACKAGES = ("fednlp", "algorithms", "tasks", "partitioners")
_LIBRARIES = ("torch", "transformers", "tokenizers", "numpy")
_OWN = {"device"}  # keys of `engine` in which processes may differ


def facts(experiment: Experiment) -> dict[str, str]:
    """What is compared -> what it is here. The first to differ is the likeliest cause."""
    config = experiment.config.resolved()
    settings = {k: v for k, v in config.items() if k not in ("engine", "trackers", "checkpoint")}
    engine = {k: v for k, v in config["engine"].items() if k not in _OWN}
    return {
        "version of this program": source(),
        **{library: version(library) for library in _LIBRARIES},
        "Python": platform.python_version(),
        "number of threads per client": str(_threads(experiment.config.engine)),
        "configuration": _hash(settings),
        "engine settings": _hash(engine),
        "data": experiment.corpus.fingerprint,
        "tokenizer": experiment.tokenizer[1],
        "partition": experiment.partition.checksum,
        "method": source_hash(experiment.algorithm),
        "initial weights": digest(experiment.initial_weights),
        "frozen weights": experiment.model.frozen_digest(),
        "kind of device": experiment.device.type,
        "clients trained at once": str(experiment.together.clients),
    }


def compare(own: dict[str, str], others: dict[int, dict[str, str]], names: list[str]) -> None:
    """others: the facts of ranks 1, 2, ... names: the host of every rank.

    Raises:
        UserError: names the first fact that differs, and the ranks.
    """
    for fact, value in own.items():
        differ = [rank for rank, facts_ in others.items() if facts_[fact] != value]
        if differ:
            ranks = ", ".join(f"{rank} on {names[rank]}" for rank in differ)
            found = dict.fromkeys(others[rank][fact] for rank in differ)  # in the order of ranks
            other, here = " and ".join(_short(v) for v in found), _short(value)
            raise UserError(
                f"rank{'s' if len(differ) > 1 else ''} {ranks}",
                f"another {fact} than rank 0 on {names[0]} ({other}, not {here})",
                fix="start all processes with one command, program and data",
            )


@cache
def source() -> str:
    """SHA-256 over the Python files of this program."""
    root, result = Path(__file__).resolve().parents[3], hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            data = path.read_bytes()
            result.update(f"{path.relative_to(root).as_posix()} {len(data)}\n".encode() + data)
    return result.hexdigest()


def _threads(engine: EngineConfig) -> int:
    """Those that torch trains a client with, which its bits depend on."""
    before = torch.get_num_threads()
    torch.set_num_threads(client_threads(engine))
    try:
        return torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _short(value: str) -> str:
    return value[:12]
