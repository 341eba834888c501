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
from harness import ROOT, digests, run

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


def kill_after_round(agent: subprocess.Popen[str], out: Path, rank: int, rounds: int) -> list[int]:
    """Kills a rank when so many rounds are committed; the processes that there were."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for manifest in out.glob("*/checkpoints/manifest.json"):
            if json.loads(manifest.read_text())["completed"] >= rounds:
                there = [of_rank(agent.pid, r) for r in (0, 1)]
                victim = there[rank]
                assert victim is not None
                os.kill(victim, signal.SIGKILL)
                return [p for p in there if p is not None]
        time.sleep(0.02)
    agent.terminate()
    raise AssertionError(f"no round in time: {agent.communicate()[0]}")


@pytest.mark.parametrize(
    "mode,rank", [("continue", 1), pytest.param("stop", 1, marks=pytest.mark.long)]
)
def test_a_worker_is_killed(mode, rank, small_config, tmp_path):
    whole = run(small_config(CHANGES), tmp_path / "whole")
    path, out = tmp_path / "c.yaml", tmp_path / "o"
    several = {**CHANGES, "engine.name": "torchrun", "engine.on_worker_loss": mode}
    path.write_text(small_config(several).model_dump_json())
    restarts = ["--max-restarts", "1"] if mode == "continue" else []
    agent = start(path, out, *restarts)
    there = kill_after_round(agent, out, rank, 2)
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
