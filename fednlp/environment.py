"""Where a run ran: recorded beside its result, and checked before it is continued.

One entry per environment, with the first round that was made in it.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from fednlp.errors import UserError
from fednlp.experiment import Experiment
from fednlp.results.files import START_AGAIN, read_json
from fednlp.results.run_folder import RunFolder

FILE = "environment.json"
_EXACT = (
    "device", "threads", "processor", "together", "aggregation", "compile", "graphs",
    "reuse_frozen", "torch", "transformers", "numpy",
)  # fmt: skip
_PACKAGES = ("torch", "transformers", "tokenizers", "datasets", "numpy", "scikit-learn", "peft")


def environment(experiment: Experiment, kind: str = "centralized") -> dict[str, Any]:
    """Device, threads, size of evaluation batches, versions and commit of this process.

    Of a federated run also how many clients are trained at once, and what the engine tells.
    """
    device = experiment.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "processor": processor(),
        **_together(experiment, kind),
        **(experiment.engine.facts() if kind == "federated" else {}),
        "compile": experiment.config.engine.compile,
        "graphs": experiment.steps == "graphs",
        **_reused(experiment),
        "tokens_per_batch": experiment.config.evaluation.tokens_per_batch,
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        **{package: _version(package) for package in _PACKAGES},
        "commit": _commit(),
    }


def _together(experiment: Experiment, kind: str) -> dict[str, int]:
    """Only where it is more than one, as in folders that are older than the setting."""
    clients = experiment.together.clients if kind == "federated" else 1
    return {"together": clients} if clients > 1 else {}


def _reused(experiment: Experiment) -> dict[str, int]:
    """How many frozen layers are computed once, where there are such."""
    trunk = experiment.frozen_layers.trunk
    return {"reuse_frozen": trunk.layers} if trunk else {}


def begin_environment(folder: RunFolder, experiment: Experiment, kind: str) -> None:
    """Records where the first round of a run is made. kind: federated or centralized."""
    folder.write_json(FILE, [{"from_round": 1, **environment(experiment, kind)}])


def continue_environment(
    source: RunFolder,
    target: RunFolder,
    experiment: Experiment,
    kind: str,
    allow_inexact: bool,
) -> None:
    """Records in `target` where the committed rounds of `source` were made and go on from here.

    Raises:
        UserError: the bits could differ, since device, threads, processor, library versions or
            the number of clients trained at once are not those of every committed round.
    """
    now, completed = environment(experiment, kind), source.manifest.completed
    made = [e for e in recorded(source.path) if e["from_round"] <= completed]
    changed = sorted({change for then in made for change in changes(then, now)})
    if changed and not allow_inexact:
        raise UserError(
            str(source.path),
            f"was made elsewhere ({', '.join(changed)})",
            "the same environment",
            f"restore it{_keys(changed)}, or continue with --allow-inexact",
        )
    if made[-1] != {"from_round": made[-1]["from_round"], **now}:
        made.append({"from_round": completed + 1, **now})
    target.write_json(FILE, made)


def environment_notes(folder: Path) -> list[str]:
    """What a reader of the result must know of the environments that its rounds were made in."""
    first, *later = recorded(folder)
    told = [
        f"from round {entry['from_round']}: {', '.join(changed)}"
        for entry in later
        if (changed := changes(first, entry))
    ]
    if not told:
        return []
    return [f"inexact: continued under another environment ({'; '.join(told)})"]


def recorded(folder: Path) -> list[dict[str, Any]]:
    """The environments that a run was made in, each with its first round.

    Raises:
        UserError: `environment.json` is missing or damaged.
    """
    path = folder / FILE
    entries = read_json(path)
    try:
        assert entries[0]["from_round"] == 1 and all(e["from_round"] >= 1 for e in entries)
    except (AssertionError, LookupError, TypeError):
        raise UserError(
            str(path), "not the environments of this version's runs", fix=START_AGAIN
        ) from None
    return entries


def changes(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs of all that can change bits; what an entry does not name was off."""
    pairs = ((k, then.get(k) or None, now.get(k) or None) for k in _EXACT)
    off = {"together": 1, "aggregation": "fast", "reuse_frozen": False}
    off |= {"compile": False, "graphs": False}
    return [
        f"{k} {old or off.get(k, then.get(k))} -> {new or off.get(k, now.get(k))}"
        for k, old, new in pairs
        if old != new
    ]


def _keys(changed: list[str]) -> str:
    """The settings among what has changed."""
    settings = ("threads", "together", "aggregation", "compile", "graphs", "reuse_frozen")
    found = {name for name in settings for change in changed if change.startswith(f"{name} ")}
    return f" ({', '.join(f'engine.{name}' for name in sorted(found))})" if found else ""


def peak_device_memory(device: torch.device) -> int:
    """Most bytes that torch held on a GPU since `reset_peak_memory`; 0 on a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def reset_peak_memory() -> None:
    """Makes the peaks count from now on, where the system can (Linux)."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak_memory() -> int:
    """Largest resident set in bytes since `reset_peak_memory`, else since the process began."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024
    except (OSError, StopIteration):
        scale = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def processor() -> str:
    """The name of the processor's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _commit() -> str | None:
    root = Path(__file__).resolve().parents[1]
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
