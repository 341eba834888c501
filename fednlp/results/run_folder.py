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
import hashlib
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from fednlp.errors import UserError
from fednlp.flat_model import digest
from fednlp.results import files, own_names
from fednlp.results.manifest import (
    Manifest,
    checkpoint_file,
    read_log,
    read_manifest,
    read_rounds,
)
from tasks.plain_files import kind_of


class RunFolder:
    """One run on disk, held by one process at a time.

    The lock ends with the process that holds it, however that ends; what stands in the file only
    tells others who it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = Manifest()
        self._lock: int | None = None
        self._log = hashlib.sha256()  # of rounds.jsonl

    def __enter__(self) -> RunFolder:
        kind = kind_of(self.path)
        if kind not in ("directory", "nothing"):
            raise UserError(
                str(self.path), f"is a {kind}", "a run folder or nothing", "move it away"
            )
        with _told(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        own_names.require_own(self.path)
        with _told(self.path / own_names.LOCK):
            lock = str(self.path / own_names.LOCK)
            self._lock = own_names.no_link(lock, os.O_RDWR | os.O_CREAT)
        try:
            self._hold(self._lock)
            for name in own_names.FOLDERS:
                with _told(self.path / name):
                    (self.path / name).mkdir(exist_ok=True)
            self._recover()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _hold(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            for _ in range(20):  # the other may have locked it and not yet written who it is
                holder = os.pread(lock, 200, 0).decode(errors="replace")
                if holder.endswith("\n"):
                    break
                time.sleep(0.05)
            found = f"is held by process {' '.join(holder.split()) or 'unknown'}"
            raise UserError(
                str(self.path), found, fix="wait until it ends, or stop it; then again"
            ) from None
        since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        with _told(self.path / "lock"):
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()} on {socket.gethostname()} since {since}\n".encode(), 0)

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
        return read_rounds(self.path, self.manifest)

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of a committed file, checked against its checksum."""
        return files.read_tensors(self.path / name, self.manifest.sha256[name])

    def committed(self, name: str) -> dict[str, Tensor]:
        """A committed checkpoint, which must hold the weights that its round ended with."""
        tensors = self.tensors(name)
        record = next((r for r in self.rounds() if checkpoint_file(r["round"]) == name), {})
        expected = record.get("weights_sha256")
        if "weights" not in tensors or expected not in ("", digest(tensors["weights"])):
            raise UserError(
                str(self.path / name),
                "does not hold the weights of its round in rounds.jsonl",
                fix=files.START_AGAIN,
            )
        return tensors

    def client_state(self, client: int, best: bool = False) -> dict[str, Tensor] | None:
        """The stored state of a client after the last (or the selected) round, if it has one."""
        names = self.manifest.best_clients if best else self.manifest.clients
        name = names.get(str(client))
        return self.tensors(name) if name else None

    def client_round(self, client: int) -> int | None:
        """The round (from 0) that the stored state of a client is of, if it has one."""
        name = self.manifest.clients.get(str(client))
        return int(Path(name).stem.rpartition("-")[2]) if name else None

    # writing ---------------------------------------------------------------------------------

    def write_json(self, name: str, value: Any) -> None:
        files.write_json(self.path / name, value)

    def log(self, record: dict[str, Any]) -> None:
        """Appends a round record; it counts once a commit covers it."""
        line = (json.dumps(record, allow_nan=False) + "\n").encode()
        path = self.path / "rounds.jsonl"
        with _told(path):
            before = path.stat().st_size if path.exists() else 0
            try:
                with open(path, "ab", opener=own_names.no_link) as stream:
                    stream.write(line)
                    stream.flush()
                    os.fsync(stream.fileno())
            except OSError:
                with suppress(OSError):
                    _cut(path, before)  # no half a line
                raise
        self._log.update(line)

    def put_client_state(self, client: int, round: int, state: dict[str, Tensor]) -> None:
        """Stores a client's new state beside the committed one until the next commit."""
        name = _client_file(client, round)
        self.manifest.sha256[name] = files.write_tensors(self.path / name, state)
        self.manifest.clients[str(client)] = name

    def put_state(self, completed: int, state: dict[str, Tensor]) -> None:
        """Stores the tensors to continue from, `weights` [P] among them, until the next commit."""
        name = checkpoint_file(completed)
        self.manifest.sha256[name] = files.write_tensors(self.path / name, state)

    def has_client_state(self, client: int, round: int) -> bool:
        """Whether what a client kept after a round (from 0) is committed."""
        return _client_file(client, round) in self.manifest.referenced()

    def commit_client_states(self, last: dict[int, int], best: dict[int, int]) -> None:
        """Makes states permanent that came after their rounds: client -> round (from 0)."""
        manifest = self.manifest
        manifest.clients = {str(k): _client_file(k, r) for k, r in sorted(last.items())}
        manifest.best_clients = {str(k): _client_file(k, r) for k, r in sorted(best.items())}
        self._write_manifest()

    def commit(self, completed: int, *, best: float | None = None, keep: bool = False) -> None:
        """Makes everything up to round `completed`, whose state was put here, permanent.

        Args:
            completed: number of completed rounds.
            best: the validation metric if this round is the best so far.
            keep: never delete this state.
        """
        manifest = self.manifest
        name = checkpoint_file(completed)
        manifest.state, manifest.completed = name, completed
        if best is not None:
            manifest.best, manifest.best_round, manifest.best_metric = name, completed, best
            manifest.best_clients = dict(manifest.clients)
        if keep:
            manifest.kept[str(completed)] = name
        path = self.path / "rounds.jsonl"
        manifest.log_bytes = path.stat().st_size if path.exists() else 0
        manifest.log_sha256 = self._log.hexdigest()
        self._write_manifest()

    def adopt(self, other: RunFolder) -> None:
        """Continues from the committed rounds of a shorter run of the same trajectory."""
        for name in other.manifest.referenced():
            with _told(self.path / name):
                _link(other.path / name, self.path / name)
        data = read_log(other.path, other.manifest)
        files.write_bytes(self.path / "rounds.jsonl", data)
        self._log = hashlib.sha256(data)
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
        _remove(path for path in files.entries(self.path) if own_names.is_temporary(path.name))
        path = self.path / own_names.MANIFEST
        if files.stands(path):
            self.manifest = read_manifest(path)
        else:
            self._refuse_the_rest(path)
            self._write_manifest()  # from now on, a folder without one has lost it
        read_rounds(self.path, self.manifest)
        self._log = hashlib.sha256(read_log(self.path, self.manifest))
        log = self.path / "rounds.jsonl"
        with _told(log):
            if log.exists() and log.stat().st_size > self.manifest.log_bytes:
                _cut(log, self.manifest.log_bytes)
        self._sweep()

    def _refuse_the_rest(self, manifest: Path) -> None:
        """Whatever is here without a manifest would be forgotten."""
        left = [path for name in own_names.FILES if files.stands(path := self.path / name)]
        for folder in own_names.FOLDERS:
            left += [p for p in files.entries(self.path / folder) if own_names.is_state(p.name)]
        if left:
            found = f"is missing, but there is {left[0].relative_to(self.path)}"
            fix = f"put it back, or {files.START_AGAIN}"
            raise UserError(str(manifest), found, "what was committed", fix)

    def _sweep(self) -> None:
        names = self.manifest.referenced()
        for folder in own_names.FOLDERS:
            _remove(
                path
                for path in files.entries(self.path / folder)
                if f"{folder}/{path.name}" not in names
                and (own_names.is_state(path.name) or own_names.is_temporary(path.name))
            )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Whatever the system refuses about `path` is one line."""
    try:
        yield
    except OSError as error:
        raise files.not_written(path, error) from None


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with _told(path):
            path.unlink()


def _cut(path: Path, size: int) -> None:
    """Leaves the first `size` bytes."""
    with open(path, "r+b", opener=own_names.no_link) as stream:
        stream.truncate(size)


def _link(source: Path, target: Path) -> None:
    """Files are replaced, never changed, so two runs can share one."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        files.write_bytes(target, source.read_bytes())


def _client_file(client: int, round: int) -> str:
    return f"clients/{client:06d}-{round:06d}.safetensors"
