"""A disk that fills: one line that names the file, nothing half-written, and the same bits later.

On a real small file system, where one can be mounted; elsewhere the tests are skipped.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest
import yaml
from harness import ROOT, command, contents, run_both
from small_disk import Filler

from fednlp.results import files
from fednlp.results.run_folder import RunFolder

CHANGES = {"algorithm": "scaffold", "evaluation.min_client_examples": 5}


@pytest.fixture(scope="module")
def expected(small_config, tmp_path_factory):
    """The configuration, what its folders hold, and their bytes on disk."""
    out = tmp_path_factory.mktemp("expected")
    runs = run_both(small_config(CHANGES), out)
    used = sum(-(-p.stat().st_size // 4096) * 4096 for p in out.rglob("*") if p.is_file())
    return small_config(CHANGES), {run.path.name: contents(run.path) for run in runs}, used


def tried(levels, expected, disk):
    """Runs at each fill level: told in one line, continued to the same bits. How many failed."""
    config, folders, used = expected
    path, out, filler = disk.parent / "run.yaml", disk / "runs", Filler(disk)
    path.write_text(yaml.safe_dump(config.resolved(), sort_keys=False))
    failed = set()
    for level in levels:
        filler.leave(int(level * 1.3 * used))
        answer = command("run", path, "--out", out)
        if answer.code:
            line = answer.one_line()
            assert "No space left on device" in line and str(disk) in line, line
            assert "free space" in line, line
            failed.add(line.partition(": cannot")[0].rpartition("/")[2])
            assert not list(disk.rglob("*.tmp")), "a half-written file stays"
            for log in disk.rglob("rounds.jsonl"):
                assert log.read_bytes()[-1:] in (b"\n", b""), "half a line"
        filler.remove()
        again = command("run", path, "--out", out)
        assert again.code == 0, again.err
        assert {p.name: contents(p) for p in out.iterdir()} == folders
        subprocess.run(["rm", "-rf", str(out)], check=True)
    return failed


def test_a_run_at_some_fill_levels(expected, disk):
    failed = tried([n / 6 for n in range(6)], expected, disk)
    assert len(failed) >= 2, failed


@pytest.mark.long
def test_a_run_at_many_fill_levels(expected, disk):
    failed = tried([n / 150 for n in range(150)], expected, disk)
    assert len(failed) >= 5, failed  # which of the small files it hits depends on their sizes


@pytest.mark.parametrize("left", [0, 4096, 20_000, 60_000])
def test_a_full_cache_costs_the_cache_only(left, expected, disk, monkeypatch):
    """Parsed data, token stores, the trained tokenizer."""
    from fednlp import experiment

    config, folders, _ = expected
    path, out = disk.parent / "run.yaml", disk.parent / "runs"
    path.write_text(yaml.safe_dump(config.resolved(), sort_keys=False))
    monkeypatch.setenv("FEDNLP_CACHE", str(disk / "cache"))
    experiment._corpus.cache_clear()
    experiment._partition.cache_clear()
    Filler(disk).leave(left)
    answer = command("run", path, "--out", out)
    assert answer.code == 0, answer.err
    assert {p.name: contents(p) for p in out.iterdir()} == folders
    kept = {p.name for p in (disk / "cache").rglob("*")} if (disk / "cache").exists() else set()
    assert not [name for name in kept if name.startswith(".")], "temporary files stay"


def test_plots_and_exports_on_a_full_disk(expected, disk, small_config):
    config, _, _ = expected
    out = disk / "runs"
    federated, _ = run_both(config, out)
    filler = Filler(disk)
    for left in (0, 8192, 50_000):
        filler.leave(left)
        line = command("plot", out).one_line()
        assert "No space left" in line and "plots" in line, line
        assert not list(disk.rglob(".*.tmp"))
        line = command("export-model", federated.path, disk / "model").one_line()
        assert "o space left" in line and "model" in line, line
        assert not (disk / "model").exists() and not list(disk.glob(".model*"))
    filler.remove()
    assert command("plot", out).code == 0
    shutil.rmtree(out / "plots")  # the disk has hardly room for both
    assert command("export-model", federated.path, disk / "model").code == 0


def test_half_a_line_is_taken_back(disk):
    """The log, a client state and a checkpoint, each on its own."""
    import torch

    folder = disk / "run"
    with RunFolder(folder) as run:
        run.log({"round": 1, "bytes_up": 0, "bytes_down": 0})
        before = (folder / "rounds.jsonl").read_bytes()
        Filler(disk).leave(0)
        with pytest.raises(ValueError, match=r"rounds\.jsonl: cannot be written \(No space left"):
            run.log({"round": 2, "note": "x" * 10_000, "bytes_up": 0, "bytes_down": 0})
        assert (folder / "rounds.jsonl").read_bytes() == before
        state = {"weights": torch.zeros(10_000)}
        with pytest.raises(ValueError, match=r"000003-000001\.safetensors: cannot be written"):
            run.put_client_state(3, 1, state)
        with pytest.raises(ValueError, match=r"round-000001\.safetensors: cannot be written"):
            run.put_state(1, state)
        assert not list(folder.rglob("*.tmp"))
        Filler(disk).remove()
        run.log({"round": 2, "bytes_up": 0, "bytes_down": 0})
        run.put_state(2, state)
        run.commit(2)
        assert len(run.rounds()) == 2


def test_a_full_disk_at_the_command_line(expected, disk):
    """The program itself: exit code 2 and one line."""
    import sys

    config, _, _ = expected
    path = disk.parent / "run.yaml"
    path.write_text(yaml.safe_dump(config.resolved(), sort_keys=False))
    Filler(disk).leave(0)
    line = [sys.executable, str(ROOT / "run_bench.py"), "run", str(path), "--out", str(disk / "r")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert "No space left" in done.stderr
    assert files.not_written(path, OSError(28, "No space left on device")).fix in done.stderr
