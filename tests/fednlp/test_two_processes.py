"""Real processes side by side: on one run folder, and on one cache."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import yaml
from harness import ROOT, command, contents

HOLD = """
import sys, time
from pathlib import Path
from fednlp.results.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_second_says_who_holds_it_and_takes_over_from_the_dead(small_data, tmp_path):
    config, out = tmp_path / "run.yaml", tmp_path / "runs"
    config.write_text(yaml.safe_dump(small_data({"centralized.budget": "none", "rounds": 1})))
    assert command("run", config, "--out", out).code == 0
    (folder,) = out.iterdir()
    whole = contents(folder)
    (folder / "result.json").unlink()
    line = [sys.executable, "-c", HOLD, str(folder)]
    holder = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        began = time.strftime("%Y-%m-%d")
        said = command("run", config, "--out", out).one_line()
        assert f"{folder}: is held by process {holder.pid} on {socket.gethostname()} since" in said
        assert began[:4] in said and "wait until it ends, or stop it" in said
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert str(holder.pid) in (folder / "lock").read_text()  # stale
    assert command("run", config, "--out", out).code == 0
    assert contents(folder) == whole
    assert (folder / "lock").read_text().split()[0] == str(os.getpid())


def test_two_runs_write_the_same_cache_entries_at_once(small_data, tmp_path):
    """Both start on an empty cache, in one directory of runs, and end as each does alone."""
    environment = {**os.environ, "FEDNLP_CACHE": str(tmp_path / "cache")}
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(small_data({"rounds": 1})))
    program = [sys.executable, str(ROOT / "run_bench.py"), "run", str(config), "--out"]
    children = [
        subprocess.Popen(
            [*program, str(tmp_path / "runs"), f"seed={seed}"],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for seed in (0, 1)
    ]  # fmt: skip
    for child in children:
        _, err = child.communicate(timeout=300)
        assert (child.returncode, err) == (0, "")
    for seed in (0, 1):
        assert command("run", config, "--out", tmp_path / "alone", f"seed={seed}").code == 0
    alone = {p.name: contents(p) for p in (tmp_path / "alone").iterdir()}
    assert {p.name: contents(p) for p in (tmp_path / "runs").iterdir()} == alone
    hidden = [p for p in (tmp_path / "cache").rglob("*") if p.name.startswith(".")]
    assert not hidden, "temporary files stay"
