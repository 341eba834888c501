"""How many processes and threads a run uses.

Clients of a round are independent, so processes of one thread each use a CPU's cores better than
one process with a thread per core (`benchmarks/simulation.py`). One training with nothing beside
it, the centralized one, uses all cores. Since a client's bits depend on its threads, `auto` trains
every client with one, whether there is work enough for several processes or not.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from fednlp.config_schema import EngineConfig

if TYPE_CHECKING:
    from fednlp.experiment import Experiment

_CORES = torch.get_num_threads()  # of this machine, or what OMP_NUM_THREADS leaves us
_jobs = 1  # runs of a suite that share them
WORTH = 2e12  # floating-point operations, some 30 s of one core, below which processes do not pay
PROCESS_BYTES = 600_000_000  # of a worker, beside the weights
COPIES = 8  # of the weights in a worker: gradient, optimizer, what is sent and received


def share_machine(jobs: int) -> None:
    """Leaves this process its part of the cores, beside other jobs of a suite.

    Clients are trained here then, where `engine.workers` is `auto`: the jobs use the cores already.
    """
    global _CORES, _jobs
    _CORES, _jobs = max(1, _CORES // jobs), jobs


def all_threads(engine: EngineConfig) -> int:
    """Threads of a training that runs alone."""
    return engine.threads or _CORES


def client_threads(engine: EngineConfig) -> int:
    """Threads that train a client."""
    if engine.threads:
        return engine.threads
    if engine.workers == "auto":
        return 1
    return max(1, _CORES // engine.workers)


def worker_count(experiment: Experiment) -> int:
    """Processes that train clients; 1 stands for this one."""
    engine, sampling = experiment.config.engine, experiment.config.sampling
    if engine.workers != "auto":
        return min(engine.workers, sampling.clients_per_round)
    if _jobs > 1 or experiment.device.type != "cpu" or _operations(experiment) < WORTH:
        return 1
    weights = experiment.model.weights.numel() + experiment.model.frozen
    room = _free_memory() // (PROCESS_BYTES + 4 * COPIES * weights)
    return max(1, min(_CORES // client_threads(engine), sampling.clients_per_round, room))


def repeatable_kernels() -> None:
    """Makes a GPU repeat its bits; CPU kernels do so, at equal threads, as they are."""
    if not torch.cuda.is_available():
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing here reads memory before it is written, and to fill it costs a kernel each time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _operations(experiment: Experiment) -> float:
    """Floating-point operations of all rounds: 6 per weight and token (Kaplan et al. 2020)."""
    store = experiment.token_stores["train"]
    tokens = store.tokens.numel() / max(store.examples, 1)
    examples = experiment.config.rounds * experiment.examples_per_round
    return 6.0 * tokens * examples * experiment.model.weights.numel()


def _free_memory() -> int:
    """Bytes that processes can have, where the system tells; else what does not limit."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return 2**62
