"""The server that worker processes come from begins early, and only where it may be needed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import fednlp.engines.crew as crew_file
from fednlp.config_schema import EngineConfig
from fednlp.engines import nursery
from fednlp.errors import UserError


@pytest.mark.parametrize(
    "workers,device,threads,begins",
    [
        (1, "auto", "4", False),
        (2, "auto", "1", True),
        ("auto", "auto", "4", True),
        ("auto", "cpu", "4", True),
        ("auto", "auto", "1", False),
        ("auto", "cuda", "4", False),
    ],
)
def test_where_it_begins(workers, device, threads, begins, monkeypatch):
    masks = []
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(nursery.forkserver, "ensure_running", lambda: masks.append(_mask()))
    nursery.begin_early(EngineConfig(workers=workers, device=device))
    assert masks == ([{signal.SIGINT}] if begins else [])
    assert _mask() == set()


def _mask():
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())


SCRIPT = """
import os, signal, sys, time
from multiprocessing import forkserver
from fednlp.config_schema import EngineConfig
from fednlp.engines.nursery import begin_early
assert "torch" not in sys.modules
begin_early(EngineConfig(workers=2))
assert "torch" not in sys.modules
server = forkserver._forkserver._forkserver_pid
os.kill(server, signal.SIGINT)
from fednlp.engines.crew import Process
process = Process(1)
assert forkserver._forkserver._forkserver_pid == server
process.close()
"""


def test_an_interrupt_does_not_reach_it():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_mask_of_the_callers_own_is_kept(monkeypatch):
    monkeypatch.setattr(nursery.forkserver, "ensure_running", lambda: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        nursery.begin_early(EngineConfig(workers=2))
        assert _mask() == {signal.SIGINT}
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def test_what_keeps_it_from_starting_matters_only_where_workers_are_wanted(monkeypatch):
    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nursery.forkserver, "ensure_running", full)
    monkeypatch.setattr(crew_file, "_crew", None)
    nursery.begin_early(EngineConfig(workers=2))
    with pytest.raises(UserError, match=r"cannot be started .No space left.*workers: 1"):
        crew_file.crew(2)


SHADOWED = """
from fednlp.config_schema import EngineConfig
from fednlp.engines.nursery import begin_early
begin_early(EngineConfig(workers=2))
from fednlp.engines.crew import Process
process = Process(1)
process.send(None)  # is no question: answered by a failure, which names the file
assert ROOT in process.receive().trace
process.close()
"""


def test_files_of_the_user_are_not_taken_for_ours(tmp_path):
    for name in ("tasks", "algorithms", "fednlp"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong file')")
    root = str(Path(nursery.__file__).parents[2])
    script = f"import sys; ROOT = {root!r}; sys.path = [ROOT, *sys.path[1:]]\n{SHADOWED}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")


ENDS = """
import os, signal
from multiprocessing import forkserver
from fednlp.config_schema import EngineConfig
from fednlp.engines.nursery import begin_early
begin_early(EngineConfig(workers=2))
os.kill(forkserver._forkserver._forkserver_pid, signal.SIGSTOP)  # it would never end by itself
"""


def test_it_ends_with_the_command_though_it_imports_still():
    """It holds the output of the command, so that whoever reads that would wait for it."""
    subprocess.run([sys.executable, "-c", ENDS], capture_output=True, timeout=60, check=True)
