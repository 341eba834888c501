"""The server that worker processes come from begins early, and only where it may be needed."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from harness import ROOT

from fednlp.config import EngineConfig
from fednlp.engines import nursery


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
from fednlp.config import EngineConfig
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


def test_in_another_directory_it_is_this_copy_that_is_imported(tmp_path):
    """Not one that is installed or lies elsewhere on the path."""
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from fednlp.engines.crew import Process
process = Process(1)
process.send("no message of ours")
print(process.receive().trace)
process.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert f"{ROOT}/fednlp/engines/worker.py" in done.stdout
