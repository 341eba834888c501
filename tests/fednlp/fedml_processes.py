"""A federation over gRPC as processes of their own, which are watched while they run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import yaml
from harness import ROOT

LIMIT = 240  # seconds, for whatever should take a few
FEDERATION = {
    "centralized.budget": "none",
    "sampling.clients_per_round": 3,
    "algorithm": "scaffold",
    "engine": {"name": "fedml", "threads": 1, "timeout": 60.0},
}
LONGER = {"rounds": 40, "evaluation.every": 10}  # enough to be killed in between
# Tells every socket that Python opens to somewhere and what is written outside the folder of runs.
WATCHED = """
import runpy, sys
def watch(event, args):
    if event == "socket.connect" and isinstance(args[1], tuple) and args[1][0] != "127.0.0.1":
        sys.stderr.write(f"CONNECTS {args[1]}\\n")
    if event == "socket.getaddrinfo" and args[0] not in ("127.0.0.1", "localhost"):
        sys.stderr.write(f"ASKS FOR {args[0]}\\n")
sys.addaudithook(watch)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Processes:
    """The server and the silos of one configuration; none outlives the test."""

    def __init__(self, folder: Path, data: dict, port: int) -> None:
        self.folder, self.port = folder, port
        self.config = folder / "run.yaml"
        engine = {**data["engine"], "backend": "GRPC", "silos": 2}
        engine["server"] = f"127.0.0.1:{port}"
        self.config.write_text(yaml.safe_dump({**data, "engine": engine}))
        self.home = folder / "home"
        self.home.mkdir()
        self.running: list[subprocess.Popen] = []

    def start(self, *arguments: object, first: str = "") -> subprocess.Popen:
        """first: what the program does before it begins."""
        script = WATCHED.replace("runpy.run_path", f"{first}\nrunpy.run_path")
        command = [sys.executable, "-c", script, str(ROOT / "run_bench.py"), *map(str, arguments)]
        process = subprocess.Popen(
            [*command, "--out", str(self.folder / "runs")],
            env={**os.environ, "HOME": str(self.home), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.running.append(process)
        return process

    def server(self, *more: str, first: str = "") -> subprocess.Popen:
        return self.start("run", self.config, *more, first=first)

    def local(self) -> None:
        """The same run, finished by this machine alone."""
        alone = self.server("engine.name=local", "engine.workers=1")
        _, err = alone.communicate(timeout=LIMIT)
        assert alone.returncode == 0, err

    def silo(self, rank: int, *more: str) -> subprocess.Popen:
        return self.start("client", self.config, *more, "--rank", rank)

    def wait_for_rounds(self, count: int) -> None:
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            logs = list((self.folder / "runs").glob("*/rounds.jsonl"))
            if logs and len(logs[0].read_text().splitlines()) >= count:
                return
            time.sleep(0.02)
        raise AssertionError(f"no {count} rounds: {[p.poll() for p in self.running]}")

    def wait_for_server(self) -> None:
        deadline = time.monotonic() + LIMIT
        while not self.listening():
            assert time.monotonic() < deadline, "nobody listens"
            time.sleep(0.1)

    def listening(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()
