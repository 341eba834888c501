"""Where worker processes come from: a server that has imported the libraries, and forks.

It can begin before this process has imported anything itself, so that the two of them do it side by
side.
"""

from __future__ import annotations

import atexit
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, get_all_start_methods, get_context, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path

from fednlp.config_schema import EngineConfig

_ROOT = Path(__file__).resolve().parents[2]  # where our packages lie
_starter = 0  # the process whose server it is


def worker_context() -> ForkServerContext | SpawnContext:
    """Of `multiprocessing`, with the server running where there is one.

    Raises:
        OSError: it cannot be started.
    """
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["fednlp.engines.preloaded"])
    with _undisturbed(), _in(_ROOT):
        forkserver.ensure_running()
    global _starter
    _starter = os.getpid()
    return context


def begin_early(engine: EngineConfig) -> None:
    """Starts the server if a run of this engine may want workers.

    Whether it can be started matters only to a run that does want them.
    """
    wanted = engine.workers != 1 and engine.name == "local"
    if engine.workers == "auto":
        wanted = wanted and _cores() > 1 and engine.device != "cuda"
    if wanted:
        with suppress(OSError):
            worker_context()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """An interrupt is for this process alone: what it starts here inherits that it is blocked."""
    resource_tracker.ensure_running()  # the server wants it, and it would unblock interrupts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _in(folder: Path) -> Iterator[None]:
    """What is started here imports from `folder` first: our code, and no file of the user's."""
    tempfile.gettempdir()  # may be a path relative to where we are
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)
        yield
    finally:
        os.fchdir(before)
        os.close(before)


def _cores() -> int:
    """As torch counts them, which is not imported yet."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() else os.cpu_count() or 1


@atexit.register
def _end() -> None:
    """Ends a server that may be importing still: whoever reads our output waits for it too."""
    number = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
    if number is not None and _starter == os.getpid():
        with suppress(OSError):
            os.kill(number, signal.SIGKILL)
