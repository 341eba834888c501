"""Where worker processes come from: a server that has imported the libraries, and forks.

It can begin before this process has imported anything itself, so that the two of them do it side by
side.
"""

from __future__ import annotations

import os
import signal
from multiprocessing import forkserver, get_all_start_methods, get_context, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext

from fednlp.config import EngineConfig


def worker_context() -> ForkServerContext | SpawnContext:
    """Of `multiprocessing`, with the server where there is one."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(["fednlp.engines.preloaded"])
    return context


def begin_early(engine: EngineConfig) -> None:
    """Starts the server if a run of this engine may want workers."""
    on_a_cpu = engine.device != "cuda"
    wanted = _cores() > 1 and on_a_cpu if engine.workers == "auto" else engine.workers > 1
    if wanted:
        begin()


def begin() -> None:
    """Starts the server, where there can be one."""
    if not isinstance(worker_context(), ForkServerContext):
        return
    resource_tracker.ensure_running()  # the server wants it, and it takes away the mask below
    # An interrupt is for this process alone; what it starts inherits the mask.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _cores() -> int:
    """As torch counts them, which is not imported yet."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() else os.cpu_count() or 1
