"""Silos of a server that does other things, has nothing to do, or fails: they hear and end."""

from __future__ import annotations

import pytest
from fedml_processes import FEDERATION, LIMIT, Processes, free_port

from fednlp.engines.fedml import library

if library.missing():
    pytest.skip(f"make fedml installs {library.missing()}", allow_module_level=True)

SLOW = """
import time
from fednlp import runs
reference = runs.run_centralized
def slow(*arguments, **more):
    time.sleep(30)
    reference(*arguments, **more)
runs.run_centralized = slow
"""  # longer than silos wait for a sign of life


@pytest.fixture
def processes(small_data, tmp_path):
    engine = {**FEDERATION["engine"], "timeout": 20.0}
    data = {**FEDERATION, "engine": engine, "centralized.budget": "matched"}
    made = Processes(tmp_path, small_data(data), free_port())
    yield made
    made.end()


def ended(process) -> tuple[int, list[str]]:
    """Exit code and lines of stderr, but for the one that tells where it looks."""
    _, err = process.communicate(timeout=LIMIT)
    lines = err.splitlines()
    assert "Traceback" not in err
    return process.returncode, [line for line in lines if "looks for the server" not in line]


def looking(processes, rank):
    """A silo that already looks for a server, and goes on until there is one."""
    silo = processes.silo(rank, f"engine.timeout={LIMIT}")
    assert silo.stderr.readline().startswith(f"silo {rank}: looks for the server")
    return silo


@pytest.mark.long
def test_silos_outlast_a_long_reference(processes):
    server = processes.server(first=SLOW)
    processes.wait_for_server()
    silos = [processes.silo(1), processes.silo(2)]
    _, err = server.communicate(timeout=LIMIT)
    assert server.returncode == 0, err
    for rank, silo in enumerate(silos, start=1):
        parted = [f"silo {rank}: takes part", f"silo {rank}: the server has ended"]
        assert ended(silo) == (0, parted)


def test_silos_leave_with_a_server_that_has_nothing_to_do_and_with_one_that_fails(processes):
    processes.local()
    silo, server = looking(processes, 1), processes.server()
    assert ended(silo) == (0, ["silo 1: the server has ended"])
    _, err = server.communicate(timeout=LIMIT)
    assert server.returncode == 0, err
    assert not processes.listening()

    for path in (processes.folder / "runs").glob("*/result.json"):
        path.write_text("damaged")
    silo, server = looking(processes, 2), processes.server()
    _, err = server.communicate(timeout=LIMIT)
    assert server.returncode == 2 and err.startswith("error: ")
    told = err.strip().removeprefix("error: ")
    assert ended(silo) == (2, [f"error: the server has ended: {told}"])
