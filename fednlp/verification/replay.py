"""Rounds made again from a stored state, in a folder of their own, and compared with the records.

In the environment that they were made in, every bit must be the same; in another, see `tolerance`.
That environment is what the run says of itself. Where a round comes out with the same bits although
it is said to be made elsewhere, bits are what all rounds of that environment must have.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
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
from fednlp.results.manifest import Manifest
from fednlp.results.run_folder import RunFolder
from fednlp.verification.check import Check, Near, Wrong, checked
from fednlp.verification.evidence import Evidence
from fednlp.verification.remake import Remake
from fednlp.verification.starts import Segment, Start
from fednlp.verification.tolerance import Distance, require_near
from fednlp.verification.weights import checkpoint, stored_after

# what a round records of its bits, and what it records under any rounding
_BITS = ("weights_sha256", "train_loss", "correction_ratio", "validation", "padded_tokens")
_COUNTS = ("examples", "steps", "real_tokens", "bytes_up", "bytes_down", "clients", "skipped")


@dataclass
class Replay:
    """Rounds made again.

    made: their records. weights: round -> [P] on the CPU, of the selected and the last round.
    distances: round -> how far the weights that are stored of it are from the replayed ones.
    sums: file -> SHA-256, of the states of server and clients that it ends with.
    """

    segment: Segment
    made: list[dict[str, Any]] = field(default_factory=list)
    weights: dict[int, Tensor] = field(default_factory=dict)
    distances: dict[int, Distance] = field(default_factory=dict)
    sums: dict[str, str] = field(default_factory=dict)

    @property
    def first(self) -> int:
        return self.segment.start.completed + 1


def replay_checks(
    evidence: Evidence, remake: Remake, segments: list[Segment]
) -> tuple[list[Check], dict[int, Tensor]]:
    """One check per segment, whose name says which rounds and from where.

    Also round -> weights [P], as replayed, of the selected and of the last round where a replay
    comes past them.
    """
    found: list[tuple[Check, Replay]] = []
    for segment in segments:
        replay = Replay(segment)
        found.append((checked(_name(segment), _making(evidence, remake, replay)), replay))
    for check, replay in found:  # before any is judged: one may refute what would excuse another
        if check.holds:
            _refute(evidence, remake, replay)
    checks = [
        checked(check.name, _judging(evidence, remake, replay)) if check.holds else check
        for check, replay in found
    ]
    return checks, {n: w for _, replay in found for n, w in replay.weights.items()}


def _name(segment: Segment) -> str:
    first, last = segment.start.completed + 1, segment.until
    rounds = f"round {last}" if first == last else f"rounds {first}-{last}"
    start = f"checkpoint {first - 1}" if segment.start.file else "the initial weights"
    return f"replay of {rounds} from {start}"


def _making(evidence: Evidence, remake: Remake, replay: Replay) -> Callable[[], str]:
    def make() -> str:
        remake.require_method()
        place = remake.place / f"from-{replay.segment.start.completed}"
        try:
            _make_again(evidence, remake, replay, place)
        except ValueError as error:
            if not is_user_error(error):
                raise
            raise Wrong(f"the replay stops: {_without(error, place)}") from None
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return ""

    return make


def _refute(evidence: Evidence, remake: Remake, replay: Replay) -> None:
    for record in replay.made:
        number = record["round"]
        if record["weights_sha256"] == evidence.rounds[number - 1]["weights_sha256"]:
            remake.refute(number)


def _judging(evidence: Evidence, remake: Remake, replay: Replay) -> Callable[[], str]:
    return lambda: _judge(evidence, remake, replay)


def _judge(evidence: Evidence, remake: Remake, replay: Replay) -> str:
    first, last = replay.first, replay.segment.until
    elsewhere = ", ".join(remake.told_changes(first, last))
    pairs = list(zip(replay.made, evidence.rounds[first - 1 : last], strict=True))
    for made, known in pairs:
        _require(made, known, _COUNTS)
    for made, known in pairs:
        try:
            _require(made, known, _BITS)
        except Wrong as found:
            number = known["round"]
            if remake.changes(first, number):
                told = require_near(evidence, remake, replay.segment, replay.made, replay.distances)
                return Near(f"not to the bit, since elsewhere ({elsewhere}): {told}")
            if not remake.told_changes(first, number):
                raise
            raise Wrong(
                f"{found}; said to be made elsewhere ({elsewhere}), but replayed rounds have the "
                "same bits here"
            ) from None
    for name, sha256 in sorted(replay.sums.items()):
        if evidence.manifest.sha256.get(name, sha256) != sha256:
            raise Wrong(f"{name} is not the state that the replay ends with")
    although = f", although said to be made elsewhere ({elsewhere})" if elsewhere else ""
    return f"the same bits after every round{although}"


class _Watched(RunFolder):
    """A run folder that shows the weights [P] of every round whose state is stored."""

    def __init__(self, path: Path, watch: Callable[[int, Tensor], None]) -> None:
        super().__init__(path)
        self._watch = watch

    def put_state(self, completed: int, state: dict[str, Tensor]) -> None:
        super().put_state(completed, state)
        self._watch(completed, state["weights"])


def _make_again(evidence: Evidence, remake: Remake, replay: Replay, place: Path) -> None:
    """Fills the replay."""
    experiment, kind = remake.experiment, evidence.result.kind
    start, until = replay.segment.start, replay.segment.until
    scored = {evidence.result.selected.round, evidence.result.last.round}

    def watch(number: int, weights: Tensor) -> None:
        if number in scored:
            replay.weights[number] = weights.detach().cpu().clone()
        file = stored_after(evidence, number)
        if file is not None:
            origin = experiment.initial_weights
            if start.file is not None:
                origin = checkpoint(evidence, start.file)["weights"]
            stored = checkpoint(evidence, file)["weights"]
            replay.distances[number] = Distance.of(origin.cpu(), stored, weights.cpu())

    _prepare(evidence, start, place)
    engine = experiment.config.engine
    set_num_threads(client_threads(engine) if kind == "federated" else all_threads(engine))
    quiet = Progress(Console(quiet=True), "replay", until, start.completed)
    with _Watched(place, watch) as folder:
        if kind == "federated":
            Federation(experiment, folder, quiet).run(until)
        else:
            run_centralized(experiment, folder, quiet, until)
        if folder.manifest.completed != until:
            raise Wrong(f"the replay ends after round {folder.manifest.completed}")
        replay.made += folder.rounds()[start.completed :]
        replay.sums |= folder.manifest.sha256


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
