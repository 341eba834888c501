"""What is compared: a command per framework, each a process of its own that leaves its result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / os.environ.get("FEDNLP_PEERS", ".venv-peers")
ALONE = {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0", "HF_HUB_OFFLINE": "1"}
LIMIT = 1800  # seconds, for one run


@dataclass(frozen=True)
class Arm:
    """A module that takes the folders of a job and of its results.

    environment: that of a peer (`peers/setup.sh`); "" is our own.
    launcher: what starts it in several processes, in the environment's `bin`.
    """

    name: str
    module: str
    environment: str = ""
    launcher: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        return PEERS / self.environment / "bin" / "python" if self.environment else _ours()

    @property
    def missing(self) -> bool:
        return not self.python.exists()

    def command(self, job: Path, results: Path) -> list[str]:
        folder, places = self.python.parent, [str(job), str(results)]
        if not self.launcher:
            return [str(self.python), "-m", self.module, *places]
        launcher = [str(folder / self.launcher[0]), *self.launcher[1:]]
        if self.launcher[0] == "mpiexec":
            launcher.append(str(self.python))
        return [*launcher, "-m", self.module, *places]


@dataclass
class Outcome:
    """A `result.json`, and where the final weights are."""

    began: list[float]
    work: dict[str, float]
    test: float | None
    validation: list[float]
    versions: dict[str, str]
    weights: Path | None = None

    @property
    def round_seconds(self) -> list[float]:
        return [end - start for start, end in zip(self.began, self.began[1:], strict=False)]

    @property
    def loss(self) -> float:
        return self.work["loss_sum"] / self.work["examples"]

    @property
    def padding(self) -> float:
        return self.work["padded_tokens"] / self.work["real_tokens"]


OURS = Arm("ours", "benchmarks.simulation_rows.harness_run")
BARE = Arm("bare loop", "benchmarks.peers.plain_run")
PFL = Arm("pfl", "benchmarks.peers.pfl_run", "pfl")
FLWR = Arm("flwr", "benchmarks.peers.flwr_run", "flwr")
FEDML = Arm("fedml", "benchmarks.peers.fedml_run", "fedml")


def on_all_cores(arm: Arm, cores: int) -> Arm:
    """A peer's arm with as many workers as cores; Flower starts its own actors."""
    launchers = {
        "pfl": ("torchrun", "--standalone", f"--nproc_per_node={cores}"),
        "fedml": ("mpiexec", "-n", str(cores + 1)),
    }
    return Arm(arm.name, arm.module, arm.environment, launchers.get(arm.name, ()))


def run(arm: Arm, job: Path, results: Path, threads: str | None) -> Outcome:
    """Runs an arm and reads what it leaves. threads: OMP_NUM_THREADS; None leaves it unset."""
    results.mkdir(parents=True)
    execute(arm.name, arm.command(job, results), threads)
    content: dict[str, Any] = json.loads((results / "result.json").read_text(encoding="utf-8"))
    weights = results / "weights.safetensors"
    return Outcome(**content, weights=weights if weights.exists() else None)


def execute(
    name: str, command: list[str], threads: str | None, others: Mapping[str, str] | None = None
) -> None:
    """Runs a command from the root, quietly, and stops with its last words if it fails."""
    environment = {**os.environ, **ALONE, "PYTHONPATH": str(ROOT), **(others or {})}
    environment.pop("OMP_NUM_THREADS", None)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = threads
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        raise SystemExit(f"simulation: '{name}' did not end within {LIMIT} s") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-15:]
        raise SystemExit(f"simulation: '{name}' failed\n" + "\n".join(said))


def _ours() -> Path:
    return Path(sys.executable)


@dataclass
class Present:
    """The arms that can run, and a line for each that cannot."""

    arms: list[Arm] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


def present(arms: list[Arm]) -> Present:
    found = Present()
    for arm in arms:
        if arm.missing:
            found.absent.append(f"{arm.name}: no environment, run `make peers`")
        else:
            found.arms.append(arm)
    return found
