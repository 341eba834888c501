"""Rounds made again from a stored state, in a folder of their own, and compared with the records.

In the environment that they were made in, every bit must be the same; in another, see `tolerance`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import Tensor, set_num_threads

from fednlp.centralized import run_centralized
from fednlp.errors import is_user_error
from fednlp.federation import Federation
from fednlp.processes import all_threads, client_threads
from fednlp.progress import Progress
from fednlp.results import files, own_names
from fednlp.results.run_folder import Manifest, RunFolder
from fednlp.verification.check import Check, Wrong, checked
from fednlp.verification.evidence import Evidence
from fednlp.verification.remake import Remake
from fednlp.verification.starts import Segment, Start
from fednlp.verification.tolerance import require_near
from fednlp.verification.weights import checkpoint

# what a round records of its bits, and what it records under any rounding
_BITS = ("weights_sha256", "train_loss", "correction_ratio", "validation", "padded_tokens")
_COUNTS = ("examples", "steps", "real_tokens", "bytes_up", "bytes_down", "clients", "skipped")


def replay_check(evidence: Evidence, remake: Remake, segment: Segment) -> Check:
    """Replays a segment; its name says which rounds and from where."""
    first, last = segment.start.completed + 1, segment.until
    rounds = f"round {last}" if first == last else f"rounds {first}-{last}"
    start = f"checkpoint {first - 1}" if segment.start.file else "the initial weights"
    name = f"replay of {rounds} from {start}"
    return checked(name, lambda: _replay(evidence, remake, segment))


def _replay(evidence: Evidence, remake: Remake, segment: Segment) -> str:
    remake.require_method()
    start, first, last = segment.start, segment.start.completed + 1, segment.until
    changed = remake.changes(first, last)
    place = remake.place / f"from-{start.completed}"
    try:
        made, weights = _made_again(evidence, remake, start, last, place)
    except ValueError as error:
        if not is_user_error(error):
            raise
        raise Wrong(f"the replay stops: {_without(error, place)}") from None
    finally:
        shutil.rmtree(place, ignore_errors=True)
    known = evidence.rounds[first - 1 : last]
    for a, b in zip(made, known, strict=True):
        _require(a, b, _COUNTS)
    try:
        for a, b in zip(made, known, strict=True):
            _require(a, b, _BITS)
    except Wrong:
        if not changed:
            raise
        told = require_near(evidence, remake, segment, made, weights, changed)
        where = ", ".join(changed)
        return f"within the tolerance, not to the bit, since elsewhere ({where}): {told}"
    elsewhere = f", although made elsewhere ({', '.join(changed)})" if changed else ""
    return f"the same bits after every round{elsewhere}"


def _made_again(
    evidence: Evidence, remake: Remake, start: Start, until: int, place: Path
) -> tuple[list[dict[str, Any]], Tensor]:
    """The records of the replayed rounds, and the weights [P] after the last of them."""
    experiment, kind = remake.experiment, evidence.result.kind
    _prepare(evidence, start, place)
    engine = experiment.config.engine
    set_num_threads(client_threads(engine) if kind == "federated" else all_threads(engine))
    quiet = Progress(Console(quiet=True), "replay", until, start.completed)
    with RunFolder(place) as folder:
        if kind == "federated":
            Federation(experiment, folder, quiet).run(until)
        else:
            run_centralized(experiment, folder, quiet, until)
        if folder.manifest.state is None or folder.manifest.completed != until:
            raise Wrong(f"the replay ends after round {folder.manifest.completed}")
        weights = folder.committed(folder.manifest.state)["weights"]
        return folder.rounds()[start.completed :], weights


def _prepare(evidence: Evidence, start: Start, place: Path) -> None:
    """A run folder that stands after `start.completed` rounds."""
    manifest = Manifest(completed=start.completed)
    for folder in own_names.FOLDERS:
        os.makedirs(place / folder)
    if start.file is not None:
        checkpoint(evidence, start.file)
        manifest.state = start.file
        manifest.clients = dict(start.clients)
        for name in manifest.referenced():
            manifest.sha256[name] = evidence.manifest.sha256[name]
            shutil.copyfile(evidence.path / name, place / name)
    lines = [json.dumps(record) + "\n" for record in evidence.rounds[: start.completed]]
    log = "".join(lines).encode()
    manifest.log_bytes, manifest.log_sha256 = len(log), hashlib.sha256(log).hexdigest()
    files.write_bytes(place / "rounds.jsonl", log)
    files.write_json(place / own_names.MANIFEST, asdict(manifest))


def _require(made: dict[str, Any], known: dict[str, Any], keys: tuple[str, ...]) -> None:
    for key in keys:
        if made.get(key) != known.get(key):
            told, found = (_short(r.get(key)) for r in (known, made))
            raise Wrong(f"round {known['round']}: {key} is {told}, but the replay gives {found}")


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str) and len(value) == 64:
        return f"{value[:12]}..."
    return str(value)[:100]


def _without(error: Exception, place: Path) -> str:
    return str(error).replace(f"{place}/", "")
