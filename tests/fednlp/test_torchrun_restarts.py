"""Under torchrun itself: a process is killed, and all go on from the last round, or stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from harness import ROOT, digests, run, wait_for_the_end
from rank_processes import free_port

from fednlp.results.reading import load_run

CHANGES = {
    "algorithm": "ditto", "rounds": 8, "sampling.clients_per_round": 3,
    "centralized.budget": "none", "engine.threads": 1, "engine.aggregation": "exact",
}  # fmt: skip


def start(path: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        *options,
    ]
    line = [*torchrun, str(ROOT / "run_bench.py"), "run", str(path), "--out", str(out)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def of_rank(agent: int, rank: int) -> int | None:
    """The process that torchrun started as this rank."""
    children = Path(f"/proc/{agent}/task/{agent}/children").read_text().split()
    for child in children:
        try:
            variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"RANK={rank}".encode() in variables:
            return int(child)
    return None


def wait_for_rounds(agent: subprocess.Popen[str], out: Path, rounds: int) -> list[int]:
    """Until so many are committed; the processes that there are, by rank."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for manifest in out.glob("*/checkpoints/manifest.json"):
            if json.loads(manifest.read_text())["completed"] >= rounds:
                there = [of_rank(agent.pid, rank) for rank in (0, 1)]
                return [process for process in there if process is not None]
        time.sleep(0.02)
    agent.terminate()
    raise AssertionError(f"no round in time: {agent.communicate()[0]}")


@pytest.mark.parametrize(
    "mode,rank,end",
    [
        ("continue", 1, signal.SIGKILL),
        pytest.param("stop", 1, signal.SIGKILL, marks=pytest.mark.long),
        pytest.param("continue", 0, signal.SIGKILL, marks=pytest.mark.long),
        pytest.param("stop", 0, signal.SIGKILL, marks=pytest.mark.long),
        pytest.param("continue", 0, signal.SIGSTOP, marks=pytest.mark.long),
        pytest.param("stop", 1, signal.SIGSTOP, marks=pytest.mark.long),
    ],
)
def test_a_worker_is_lost(mode, rank, end, small_config, tmp_path):
    """Killed, which torchrun sees; or stopped, which the others see, and torchrun then ends it."""
    whole = run(small_config(CHANGES), tmp_path / "whole")
    path, out = tmp_path / "c.yaml", tmp_path / "o"
    several = {**CHANGES, "engine.name": "torchrun", "engine.on_worker_loss": mode}
    several["engine.timeout"] = 5
    path.write_text(small_config(several).model_dump_json())
    restarts = ["--max-restarts", "1"] if mode == "continue" else []
    agent = start(path, out, *restarts)
    there = wait_for_rounds(agent, out, 2)
    os.kill(there[rank], end)
    said = agent.communicate(timeout=120)[0]
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and f"rank {rank} on " in lines[0], said
    assert ": was lost in " in lines[0]
    if mode == "continue":
        assert lines[0].endswith("; torchrun starts all again (1 of 1 times)")
        assert agent.returncode == 0, said
    else:
        assert lines[0].endswith("; the same command continues") and agent.returncode == 1
        again = start(path, out)
        assert "run folders" in again.communicate(timeout=120)[0] and again.returncode == 0
    (folder,) = (p for p in out.iterdir() if p.is_dir() and (p / "result.json").exists())
    assert digests(load_run(folder)) == digests(whole)
    assert not [p for p in there if Path(f"/proc/{p}").exists()]


@pytest.mark.long
def test_torchrun_is_stopped(small_config, tmp_path):
    """By a scheduler or a user: one line, and no process is left."""
    path, out = tmp_path / "c.yaml", tmp_path / "o"
    path.write_text(small_config({**CHANGES, "engine.name": "torchrun"}).model_dump_json())
    agent = start(path, out, "--max-restarts", "0")
    there = wait_for_rounds(agent, out, 2)
    agent.terminate()
    said = agent.communicate(timeout=60)[0]
    assert [line for line in said.splitlines() if line.startswith("ended by")] == [
        "ended by SIGTERM; the same command continues"
    ], said
    assert not [line for line in said.splitlines() if line.startswith("error: ")], said
    assert not [p for p in there if Path(f"/proc/{p}").exists()]


def test_torchrun_is_killed(small_config, tmp_path):
    """What it can tell nobody; its processes see that it is gone, also while one trains alone."""
    path, out = tmp_path / "c.yaml", tmp_path / "o"
    alone = {"centralized.budget": "converged", "centralized.epochs": 10_000}
    several = {**CHANGES, **alone, "engine.name": "torchrun", "engine.timeout": 5}
    path.write_text(small_config(several).model_dump_json())
    agent = start(path, out)
    there = wait_for_rounds(agent, out, 2)
    assert len(there) == 2
    agent.kill()
    agent.communicate(timeout=60)  # which reads until no process has its output open any more
    wait_for_the_end(there)


@pytest.mark.long
def test_two_machines_over_ssh(small_config, tmp_path):
    """The example, where both machines are this one and ssh is a shell."""
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nexec bash -c "$2"\n')
    ssh.chmod(0o755)
    path, out = tmp_path / "c.yaml", tmp_path / "o"
    path.write_text(small_config(CHANGES).model_dump_json())
    variables = {
        "SSH": str(ssh), "PORT": str(free_port()), "PROCESSES": "1",
        "TORCHRUN": str(Path(sys.executable).parent / "torchrun"),
    }  # fmt: skip
    line = [str(ROOT / "examples/two-nodes.sh"), "127.0.0.1", "127.0.0.1", str(path)]
    done = subprocess.run(
        [*line, "--out", str(out)], cwd=ROOT, env={**os.environ, **variables},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = out.iterdir()
    whole = run(small_config(CHANGES), tmp_path / "whole")
    assert digests(load_run(folder)) == digests(whole)
