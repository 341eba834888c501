"""Worker processes: started once, handed the parts of one run after another, ended."""

from __future__ import annotations

import atexit
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fednlp import places
from fednlp.engines.client import Broadcast
from fednlp.engines.messages import WEIGHTS, Answer, Failure, Files, Send, Setup
from fednlp.engines.nursery import worker_context
from fednlp.engines.shared_tensors import SharedTensors, no_room
from fednlp.engines.worker import main
from fednlp.errors import UserError
from fednlp.profile import clock

if TYPE_CHECKING:
    from fednlp.experiment import Experiment


class Process:
    """A worker process as the leading one sees it."""

    def __init__(self, number: int) -> None:
        context = worker_context()
        self.number, self.peak_memory = number, 0
        ours, theirs = context.Pipe()
        self.connection: Connection = ours
        self.process: BaseProcess = context.Process(target=main, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self.inbox: SharedTensors  # given with a run
        self.outbox: SharedTensors

    def send(self, message: Any) -> None:
        try:
            self.connection.send(message)
        except OSError:
            raise self._ended() from None

    def receive(self) -> Answer | Failure:
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            raise self._ended() from None

    def close(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join()

    def _ended(self) -> UserError:
        self.process.join(timeout=5)
        code, fix = self.process.exitcode, "the same command continues"
        how = f"ended with code {code}"
        if code and code < 0:
            how, fix = f"was ended by signal {-code}", f"fewer workers need less memory; {fix}"
        return UserError("engine.workers", f"worker {self.number} {how}", fix=fix)


class Crew:
    """All worker processes of this one; they outlive a run, for the next run."""

    def __init__(self, count: int) -> None:
        self.owner = os.getpid()
        self.serves: Experiment | None = None
        self.shared: list[SharedTensors] = []
        self.processes = [Process(number) for number in range(1, count + 1)]

    def usable(self, count: int) -> bool:
        """Whether this process, and not a parent that forked it, leads so many living workers."""
        alive = self.owner == os.getpid() and all(p.process.is_alive() for p in self.processes)
        return alive and len(self.processes) == count

    def set_up(self, experiment: Experiment, threads: int) -> None:
        """Hands over the parts of a run, unless they are there already.

        Raises:
            UserError: no room for the shared files.
        """
        if self.serves is experiment:
            return
        self._forget()
        with self._ended_by_failure():
            self._set_up(experiment, threads)
        self.serves = experiment

    def _set_up(self, experiment: Experiment, threads: int) -> None:
        try:
            folder = Path(tempfile.mkdtemp(prefix="fednlp-", dir=_place(experiment)))
            try:
                self._hand_over(experiment, threads, folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)  # all is open by now
        except OSError as error:
            raise no_room(error) from None

    @contextmanager
    def _ended_by_failure(self) -> Iterator[None]:
        """Answers that nobody has read would be taken for those to the next question."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _hand_over(self, experiment: Experiment, threads: int, folder: Path) -> None:
        module, content = folder / "module", io.BytesIO()
        read = experiment.stores  # from then on the model begins where they end
        torch.save(experiment.model.module, content)  # to a full disk it raises anything
        module.write_bytes(content.getbuffer())
        stores = {}
        for split, store in read.items():
            stores[split] = store.folder or folder / split
            if store.folder is None:
                store.to("cpu").save(folder / split)
        self.broadcast = self._share(folder / "broadcast")
        for process in self.processes:
            files = Files(
                folder / "broadcast",
                folder / f"inbox-{process.number}",
                folder / f"outbox-{process.number}",
            )
            process.inbox, process.outbox = self._share(files.inbox), self._share(files.outbox)
            process.send(
                Setup(
                    config=_config(experiment),
                    task=experiment.task.name,
                    labels=experiment.corpus.labels,
                    module=module,
                    own_kernels=experiment.uses_own_kernels,
                    stores=stores,
                    threads=threads,
                    variables=places.variables(),
                    profiled=clock.running,
                    files=files,
                )
            )
        self._wait()

    def _wait(self) -> None:
        for process in self.processes:
            answer = process.receive()
            if isinstance(answer, Failure):
                raise answer.error()

    def begin(self, sent: Broadcast) -> None:
        """Sends the weights to all."""
        with self._ended_by_failure():
            placed = self.broadcast.put({**sent.received, WEIGHTS: sent.weights})
            for process in self.processes:
                process.send(Send(sent.round, placed))
            self._wait()

    def _share(self, path: Path) -> SharedTensors:
        self.shared.append(SharedTensors(path, create=True))
        return self.shared[-1]

    def _forget(self) -> None:
        self.serves = None
        for shared in self.shared:
            shared.close()
        self.shared = []

    def close(self) -> None:
        self._forget()
        if self.owner == os.getpid():
            for process in self.processes:
                process.close()
        self.processes = []


_crew: Crew | None = None


def crew(count: int) -> Crew:
    """The workers of this process, started if there are none, others or dead ones.

    Raises:
        UserError: they cannot be started.
    """
    global _crew
    if _crew is None or not _crew.usable(count):
        if _crew is not None:
            _crew.close()
        try:
            _crew = Crew(count)
        except OSError as error:
            found = f"worker processes cannot be started ({error.strerror or error})"
            fix = "a shorter TMPDIR that can be written to, or engine.workers: 1"
            raise UserError("engine.workers", found, fix=fix) from None
    return _crew


@atexit.register
def _close() -> None:
    if _crew is not None:
        _crew.close()


def _config(experiment: Experiment) -> str:
    """With the number of clients trained together that this process has found."""
    engine = {"together": experiment.together.clients}
    config = experiment.config
    update = {"engine": config.engine.model_copy(update=engine)}
    return config.model_copy(update=update).model_dump_json()


def _place(experiment: Experiment) -> str | None:
    """A folder in memory where it has room for the files of a run, else the temporary one."""
    shared = "/dev/shm"
    wanted = 4 * sum(p.numel() for p in experiment.model.module.parameters())
    try:
        roomy = shutil.disk_usage(shared).free > 8 * wanted
    except OSError:
        return None
    return shared if roomy and os.access(shared, os.W_OK) else None
