"""Who this process is in a federation: the server, or a silo that holds some of the clients."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fednlp.config_schema import EngineConfig, RunConfig
from fednlp.engines.fedml.library import missing
from fednlp.errors import UserError, one_line

if TYPE_CHECKING:
    from fednlp.engines.fedml.hub import Hub

_hub: Hub | None = None


def current_hub() -> Hub:
    """The federation that this process serves.

    Raises:
        UserError: it serves none.
    """
    if _hub is None:
        found = "'fedml' outside a federation"
        raise UserError("engine.name", found, "the run command, alone", "see docs/fedml.md")
    return _hub


def mpi_world(engine: EngineConfig) -> Any:
    """The communicator of all processes that mpirun started.

    Raises:
        UserError: it started fewer than two, or others than were asked for.
    """
    require_installed()
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    silos = comm.Get_size() - 1
    if silos < 1:
        found = "MPI, but this is the only process"
        fix = "mpirun -n 3 python run_bench.py run ..., or engine.backend=GRPC"
        raise UserError("engine.backend", found, "a server and silos", fix)
    if engine.silos not in (None, silos):
        raise UserError("engine.silos", f"is {engine.silos}", f"{silos}, as mpirun started")
    return comm


def require_installed() -> None:
    absent = missing()
    if absent:
        found = f"'fedml' needs {', '.join(absent)}, not installed here"
        raise UserError("engine.name", found, fix="make fedml, or engine.name=local")


def is_silo(engine: EngineConfig) -> bool:
    """Whether mpirun has started this process as a silo."""
    return engine.backend == "MPI" and mpi_world(engine).Get_rank() > 0


@contextmanager
def federation(engine: EngineConfig) -> Iterator[None]:
    """Serves a federation while it lasts. What ends it with an error is told to the silos.

    Raises:
        UserError: it cannot be served here.
    """
    global _hub
    _hub = _open(engine)
    try:
        yield
    except KeyboardInterrupt:
        _hub.close(farewell=engine.backend == "MPI", why="the server was interrupted")
        raise
    except BaseException as error:
        _hub.close(_told(error))
        raise
    else:
        _hub.close()
    finally:
        _hub = None


def _told(error: BaseException) -> str:
    """What silos are told of an error; a command that has told its own raises a mere exit code."""
    exits = hasattr(error, "exit_code")
    return one_line(error) or ("not all of its runs were made" if exits else type(error).__name__)


def _open(engine: EngineConfig) -> Hub:
    require_installed()
    if engine.backend == "MPI":
        comm = mpi_world(engine)
        from fednlp.engines.fedml.hub import Hub
        from fednlp.engines.fedml.mpi import MpiTransport

        carrier = MpiTransport(comm, engine.message_limit, engine.timeout)
        return Hub(carrier, comm.Get_size() - 1, strict=True, patience=engine.timeout)
    if engine.silos is None:
        fix = "e.g. engine.silos=2"
        raise UserError("engine.silos", "is missing", "the number of silo processes", fix)
    from fednlp.engines.fedml.certificates import server_credentials
    from fednlp.engines.fedml.grpc import GrpcServer
    from fednlp.engines.fedml.hub import Hub

    tls = server_credentials(engine.tls) if engine.tls else None
    transport = GrpcServer(engine.server, engine.silos, engine.message_limit, tls)
    return Hub(transport, engine.silos, strict=False, patience=engine.timeout)


def serve_silo(config: RunConfig, where: str, out: Path, rank: int | None = None) -> None:
    """Is a silo until the server ends the federation. rank: of GRPC; MPI knows it.

    Raises:
        UserError: the server cannot be reached, refuses, or has ended with an error.
    """
    require_installed()
    engine = config.engine
    transport: Any
    if engine.backend == "MPI":
        from fednlp.engines.fedml.mpi import MpiTransport

        transport = MpiTransport(mpi_world(engine), engine.message_limit, engine.timeout)
    else:
        from fednlp.engines.fedml.certificates import silo_credentials
        from fednlp.engines.fedml.grpc import GrpcSilo

        if engine.silos is not None and not 1 <= (rank or 0) <= engine.silos:
            raise UserError("--rank", f"is {rank}", f"1 to {engine.silos} (engine.silos)")
        tls = silo_credentials(engine.tls) if engine.tls else None
        transport = GrpcSilo(rank or 0, engine.server, engine.message_limit, engine.timeout, tls)
        print(f"silo {rank}: looks for the server at {engine.server}", file=sys.stderr)
    from fednlp.engines.fedml.silo import Silo

    try:
        Silo(config, where, out, transport).run()
    except BaseException as error:
        transport.error = _told(error)
        raise
    finally:
        transport.close()
