"""Stored weights: the files that were committed, and the weights that their rounds ended with."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor

from fednlp.flat_model import digest
from fednlp.results.files import stands
from fednlp.verification.check import Wrong
from fednlp.verification.evidence import Evidence
from tasks.plain_files import read_plain


def stored_weights(evidence: Evidence) -> str:
    """Every stored file against the manifest, every checkpoint against its round."""
    manifest, stored = evidence.manifest, evidence.stored
    rounds = {manifest.state: manifest.completed, manifest.best: manifest.best_round}
    rounds |= {name: int(number) for number, name in manifest.kept.items()}
    for name in sorted(stored):
        number = rounds.get(name)
        if number is None:
            _data(evidence.path / name, manifest.sha256[name])
            continue
        tensors = checkpoint(evidence, name)
        expected = evidence.rounds[number - 1]["weights_sha256"]
        if digest(tensors["weights"]) != expected:
            raise Wrong(f"{name} does not hold the weights that round {number} ended with")
    return f"{len(stored)} files"


def checkpoint(evidence: Evidence, name: str) -> dict[str, Tensor]:
    """The tensors of a stored checkpoint, with `weights` [P] float32 among them.

    Raises:
        Wrong: it is not the file of the manifest, or not a checkpoint of this run.
    """
    tensors = load(_data(evidence.path / name, evidence.manifest.sha256[name]))
    weights, size = tensors.get("weights"), evidence.result.model.trainable
    if weights is None or weights.shape != (size,) or weights.dtype != torch.float32:
        raise Wrong(f"{name} holds no weights of {size} numbers")
    return tensors


def stored_after(evidence: Evidence, number: int) -> str | None:
    """The file of the weights after a round, if it is here."""
    manifest = evidence.manifest
    files = {str(manifest.completed): manifest.state, str(manifest.best_round): manifest.best}
    name = {**files, **manifest.kept}.get(str(number))
    return name if name is not None and stands(evidence.path / name) else None


def stored_rounds(evidence: Evidence) -> set[int]:
    """The rounds after which the weights are here."""
    manifest = evidence.manifest
    told = {manifest.completed, manifest.best_round, *map(int, manifest.kept)}
    return {n for n in told if n and stored_after(evidence, n) is not None}


def client_state(evidence: Evidence, name: str) -> dict[str, Tensor]:
    """The tensors of a stored client state.

    Raises:
        Wrong: it is not the file of the manifest.
    """
    return load(_data(evidence.path / name, evidence.manifest.sha256[name]))


def _data(path: Path, sha256: str) -> bytes:
    data = read_plain(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Wrong(f"{path.name} is not the file whose checksum the manifest has")
    return data
