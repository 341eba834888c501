"""Whatever ends a command early, it says so in one line."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
import yaml
from harness import ROOT

DOOR = [sys.executable, str(ROOT / "run_bench.py")]


@pytest.mark.parametrize(
    ("name", "line", "code"),
    [
        ("SIGINT", "interrupted", 130),
        ("SIGTERM", "ended by SIGTERM", 143),
        ("SIGHUP", "ended by SIGHUP", 129),
    ],
)
@pytest.mark.parametrize("moment", ["reading data", "round 1/"])
def test_a_run(name, line, code, moment, small_data, tmp_path):
    path = tmp_path / "run.yaml"
    changes = {"rounds": 4000, "centralized": {"budget": "none"}, "engine": {"workers": 2}}
    path.write_text(yaml.safe_dump({**small_data(changes), "evaluation": {"every": 1}}))
    command = [*DOOR, "run", str(path), "--out", str(tmp_path / "runs")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert process.stdout is not None
    while moment not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(getattr(signal, name))
    _, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint) == (code, f"{line}; the same command continues\n")
    assert not list(tmp_path.glob("pymp-*"))


def test_a_command_that_has_nothing_to_continue():
    script = (
        "import sys, fednlp.catalogue as c, fednlp.cli as cli\n"
        "from fednlp.console import console\n"
        "def interrupted(*_): raise KeyboardInterrupt\n"
        "console.print = interrupted\n"
        "sys.argv = ['run_bench.py', 'list', 'models']\n"
        "cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_before_the_program_is_imported():
    script = (
        "import runpy, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'fednlp.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\n"
        "runpy.run_path('run_bench.py', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
