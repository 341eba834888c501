"""A run is a folder of plain files (design 3.5).

    config.yaml          the resolved configuration
    identity.json        everything that can change the result; its hash is the run's id
    environment.json     what should not: device, threads, versions, commit; from which round on
    partition.npz        the partition (federated runs)
    rounds.jsonl         one line per round
    checkpoints/         manifest.json and the safetensors files it names
    clients/             client states, one file per client (methods that keep some)
    result.json          the result (see `fednlp.results.schema`)
    clients.csv          per-client scores
    predictions.parquet  test predictions of the selected and of the last round

The manifest is the one commit point: whatever it does not name did not happen. A killed run
continues from it.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from fednlp.errors import UserError
from fednlp.results import files


@dataclass
class Manifest:
    """What is committed. Paths are relative to the run folder; `sha256` covers all of them."""

    completed: int = 0  # rounds
    log_bytes: int = 0  # committed length of rounds.jsonl
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


class RunFolder:
    """One run on disk, held by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = Manifest()
        self._lock: int | None = None

    def __enter__(self) -> RunFolder:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise UserError(
                str(self.path), "is a file", "a run folder or nothing", "move it away"
            ) from None
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._lock, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._lock)
            raise UserError(
                str(self.path), f"is held by process {holder}", fix="wait for it, or stop it"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        try:
            for name in ("checkpoints", "clients"):
                (self.path / name).mkdir(exist_ok=True)
            self._recover()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # reading ---------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        return (self.path / "result.json").exists()

    def rounds(self) -> list[dict[str, Any]]:
        """The committed round records."""
        path = self.path / "rounds.jsonl"
        if not path.exists():
            return []
        data = path.read_bytes()[: self.manifest.log_bytes]
        return [json.loads(line) for line in data.splitlines()]

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of a committed file, checked against its checksum."""
        return files.read_tensors(self.path / name, self.manifest.sha256[name])

    def client_state(self, client: int, best: bool = False) -> dict[str, Tensor] | None:
        """The stored state of a client after the last (or the selected) round, if it has one."""
        names = self.manifest.best_clients if best else self.manifest.clients
        name = names.get(str(client))
        return self.tensors(name) if name else None

    # writing ---------------------------------------------------------------------------------

    def write_json(self, name: str, value: Any) -> None:
        files.write_json(self.path / name, value)

    def log(self, record: dict[str, Any]) -> None:
        """Appends a round record; it counts once a commit covers it."""
        line = (json.dumps(record, allow_nan=False) + "\n").encode()
        path = self.path / "rounds.jsonl"
        try:
            with open(path, "ab") as stream:
                stream.write(line)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise UserError(
                str(path), f"cannot be written ({error.strerror})", fix="free space, run again"
            ) from None

    def put_client_state(self, client: int, round: int, state: dict[str, Tensor]) -> None:
        """Stores a client's new state beside the committed one until the next commit."""
        name = f"clients/{client:06d}-{round:06d}.safetensors"
        self.manifest.sha256[name] = files.write_tensors(self.path / name, state)
        self.manifest.clients[str(client)] = name

    def commit(
        self,
        completed: int,
        state: dict[str, Tensor],
        *,
        best: float | None = None,
        keep: bool = False,
    ) -> None:
        """Makes everything up to round `completed` permanent.

        Args:
            completed: number of completed rounds.
            state: the tensors to continue from; `weights` [P] among them.
            best: the validation metric if this round is the best so far.
            keep: never delete this state.
        """
        manifest = self.manifest
        name = f"checkpoints/round-{completed:06d}.safetensors"
        manifest.sha256[name] = files.write_tensors(self.path / name, state)
        manifest.state, manifest.completed = name, completed
        if best is not None:
            manifest.best, manifest.best_round, manifest.best_metric = name, completed, best
            manifest.best_clients = dict(manifest.clients)
        if keep:
            manifest.kept[str(completed)] = name
        path = self.path / "rounds.jsonl"
        manifest.log_bytes = path.stat().st_size if path.exists() else 0
        self._write_manifest()

    def adopt(self, other: RunFolder) -> None:
        """Continues from the committed rounds of a shorter run of the same trajectory."""
        for name in other.manifest.referenced():
            _link(other.path / name, self.path / name)
        data = (other.path / "rounds.jsonl").read_bytes()[: other.manifest.log_bytes]
        files.write_bytes(self.path / "rounds.jsonl", data)
        self.manifest = Manifest(**asdict(other.manifest))
        self._write_manifest()

    # internals -------------------------------------------------------------------------------

    def _write_manifest(self) -> None:
        manifest = self.manifest
        names = manifest.referenced()
        manifest.sha256 = {n: s for n, s in manifest.sha256.items() if n in names}
        files.write_json(self.path / "checkpoints" / "manifest.json", asdict(manifest))
        self._sweep()

    def _recover(self) -> None:
        """Forgets whatever the last commit does not cover, and what a killed write left."""
        for path in self.path.glob(".*.tmp"):
            path.unlink()
        path = self.path / "checkpoints" / "manifest.json"
        self.manifest = read_manifest(path) if path.exists() else Manifest()
        log = self.path / "rounds.jsonl"
        size = log.stat().st_size if log.exists() else 0
        if size < self.manifest.log_bytes:
            found = f"has {size} of {self.manifest.log_bytes} committed bytes"
            raise UserError(str(log), found, fix=files.START_AGAIN)
        if size > self.manifest.log_bytes:
            os.truncate(log, self.manifest.log_bytes)
        self._sweep()

    def _sweep(self) -> None:
        names = self.manifest.referenced()
        for folder in ("checkpoints", "clients"):
            for path in (self.path / folder).iterdir():
                relative = f"{folder}/{path.name}"
                if path.name != "manifest.json" and relative not in names:
                    path.unlink()


def read_manifest(path: Path) -> Manifest:
    """Reads `checkpoints/manifest.json`.

    Raises:
        UserError: it is damaged or from a newer version.
    """
    data = files.read_json(path)
    try:
        return Manifest(**data)
    except TypeError as error:
        raise UserError(str(path), f"not a manifest of this version ({error})") from None


def _link(source: Path, target: Path) -> None:
    """Files are replaced, never changed, so two runs can share one."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        files.write_bytes(target, source.read_bytes())
