"""Where worker processes come from: a server that has imported the libraries, and forks.

It can begin before this process has imported anything itself, so that the two of them do it side by
side.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, get_all_start_methods, get_context, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path

from fednlp.config import EngineConfig

ROOT = str(Path(__file__).resolve().parents[2])  # where this copy of the program is


def worker_context() -> ForkServerContext | SpawnContext:
    """Of `multiprocessing`, with the server where there is one, which then runs."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["fednlp.engines.preloaded"])
    resource_tracker.ensure_running()  # the server wants it, and it takes away the mask below
    # An interrupt is for this process alone; what it starts inherits the mask.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _this_copy_first():
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    return context


@contextmanager
def _this_copy_first() -> Iterator[None]:
    """In another directory the server would import another copy, if one is installed."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, before]))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def begin_early(engine: EngineConfig) -> None:
    """Starts the server if a run of this engine may want workers."""
    on_a_cpu = engine.device != "cuda"
    wanted = _cores() > 1 and on_a_cpu if engine.workers == "auto" else engine.workers > 1
    if wanted:
        worker_context()


def _cores() -> int:
    """As torch counts them, which is not imported yet."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() else os.cpu_count() or 1
