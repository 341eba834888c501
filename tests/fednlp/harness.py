"""How the tests drive the real harness: in this process, in a forked one, by the command line."""

from __future__ import annotations

import ctypes
import io
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from fednlp.experiment import Experiment
from fednlp.progress import Progress
from fednlp.results.files import read_tensors
from fednlp.results.manifest import read_manifest
from fednlp.results.reading import FinishedRun, load_run
from fednlp.runs import run_pair

ROOT = Path(__file__).resolve().parents[2]
QUIET = Console(quiet=True)
DATASETS = {
    "text_classification": "synthetic_topics",
    "sequence_tagging": "synthetic_events",
    "question_answering": "synthetic_facts",
    "seq2seq": "synthetic_headlines",
}
TIMINGS = {"device_seconds", "evaluation_seconds", "wall_seconds", "peak_memory_bytes", "checksum"}
TIMINGS |= {"files"}  # sums of files, some of which say how many workers there were


def run(config, out: Path) -> FinishedRun:
    """The federated run of a configuration, read back from its folder."""
    out.mkdir(parents=True, exist_ok=True)
    federated, _ = run_pair(config, out, QUIET)
    return load_run(out / federated.folder)


def run_both(config, out: Path) -> tuple[FinishedRun, FinishedRun]:
    """The federated run and its centralized reference."""
    out.mkdir(parents=True, exist_ok=True)
    federated, central = run_pair(config, out, QUIET)
    assert central is not None
    return load_run(out / federated.folder), load_run(out / central.folder)


def digests(run: FinishedRun) -> list[str]:
    """Digest of the global weights after every round."""
    return [record["weights_sha256"] for record in run.rounds]


def final_state(run: FinishedRun) -> dict[str, Any]:
    """The tensors after the last round."""
    manifest = read_manifest(run.path / "checkpoints" / "manifest.json")
    return read_tensors(run.path / str(manifest.state), manifest.sha256[str(manifest.state)])


def timeless(value: Any) -> Any:
    """Plain data without what a clock or a memory meter wrote."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in TIMINGS}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def contents(folder: Path) -> dict[str, Any]:
    """All that must be equal in two folders of one run, file by file."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = str(path.relative_to(folder))
        if name == "rounds.jsonl":
            found[name] = [timeless(json.loads(line)) for line in path.read_text().splitlines()]
        elif name == "result.json":
            found[name] = timeless(json.loads(path.read_text()))
        elif name == "checkpoints/manifest.json":  # how long the log is depends on its timings
            manifest = json.loads(path.read_text())
            assert manifest.pop("log_bytes") == (folder / "rounds.jsonl").stat().st_size
            del manifest["log_sha256"]
            found[name] = manifest
        elif name in ("lock", "partition.npz"):  # a process number; times inside the archive
            found[name] = None
        else:
            found[name] = path.read_bytes()
    return found


def quiet_progress(rounds: int = 1) -> Progress:
    return Progress(QUIET, "test", rounds)


def experiment(config) -> Experiment:
    """An experiment whose model stands at its initial weights."""
    parts = Experiment(config)
    assert parts.initial_weights is not None
    return parts


def forked(work: Callable[[], object], kill_after: float | None = None) -> int:
    """Runs `work` in a forked child; the negative signal or the exit code (1: it raised).

    kill_after: seconds until the child is killed, whatever it then does.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)  # a child that has ended waits to be asked: no harm
    status = os.waitpid(child, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def forked_as_user(work: Callable[[], object]) -> int:
    """`forked`, but permissions count even where the tests are run by root."""

    def limited() -> None:
        version, self_ = 0x20080522, 0  # of the layout below; this thread
        none = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable capabilities, twice
        header = (ctypes.c_uint32 * 2)(version, self_)
        assert ctypes.CDLL(None, use_errno=True).capset(header, none) == 0, ctypes.get_errno()
        work()

    return forked(limited)


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    def one_line(self) -> str:
        """The message of a user error: one line on stderr, exit code 2, no traceback."""
        assert self.code == 2, f"exit code {self.code}: {self.out} {self.err}"
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: ") and "Traceback" not in self.err + self.out
        return lines[0]


def command(*arguments: object) -> Answer:
    """`python run_bench.py ARGUMENTS` in this process, as into a pipe.

    A process of pytest-xdist has COLUMNS of its own.
    """
    from fednlp.cli import main
    from fednlp.console import console

    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    width, console.width = console.width, 120
    sys.argv = ["run_bench.py", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.argv, console.width = before, width
    return Answer(code, out.getvalue(), err.getvalue())


def line_of(path: Path, key: str) -> int:
    """Where a dotted key stands in a YAML file."""
    node, line = yaml.compose(path.read_text()), 0
    for part in key.split("."):
        name, node = next(pair for pair in node.value if pair[0].value == part)
        line = name.start_mark.line + 1
    return line


def written(folder: Path, **files: Any) -> Path:
    """The folder, with `name`.yaml for each of these."""
    for name, data in files.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(data))
    return folder


def wait_for_the_end(processes: Iterable[int], seconds: float = 60.0) -> None:
    """Until none of them runs any more; one that nobody has asked how it ended does not."""

    def runs(process: int) -> bool:
        try:
            told = Path(f"/proc/{process}/stat").read_text()
        except OSError:
            return False
        return told.rpartition(")")[2].split()[0] != "Z"

    until = time.monotonic() + seconds
    while running := [process for process in processes if runs(process)]:
        assert time.monotonic() < until, running
        time.sleep(0.1)
