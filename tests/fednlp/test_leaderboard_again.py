"""A leaderboard that is built again: what is read, hashed, kept and removed."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace

import pytest
from site_pages import BASE, two_methods

from benchmarks.synthetic_runs import write_run
from fednlp.leaderboard import known_folders
from fednlp.leaderboard.build import build
from fednlp.leaderboard.cache import NAME
from fednlp.leaderboard.digest import folder_key


@pytest.fixture
def runs(tmp_path):
    return two_methods(tmp_path / "runs")


def test_a_second_build_reads_no_folder_and_a_new_run_only_itself(runs, tmp_path):
    site = tmp_path / "site"
    assert build([runs], site).read == 12
    before = {p: p.read_bytes() for p in site.rglob("*") if p.is_file() and p.name != NAME}
    again = build([runs], site)
    assert (again.read, again.removed) == (0, 0) and again.kept == 24
    assert before == {p: p.read_bytes() for p in before}
    write_run(runs, replace(BASE, seed=9))
    assert build([runs], site).read == 1


@pytest.fixture
def hashed(monkeypatch):
    """The folders that are hashed."""
    found = []

    def counted(folder):
        found.append(folder.name)
        return folder_key(folder)

    monkeypatch.setattr(known_folders, "folder_key", counted)
    return found


def test_files_that_are_as_they_were_are_not_hashed_again(runs, tmp_path, hashed, monkeypatch):
    site = tmp_path / "site"
    later = time.time_ns() + 2 * known_folders.SETTLED
    monkeypatch.setattr(known_folders, "time_ns", lambda: later)
    assert build([runs], site).read == len(hashed) == 12
    hashed.clear()
    assert build([runs], site).read == len(hashed) == 0
    first, second, third, *_ = sorted(runs.iterdir())
    before = (first / "config.yaml").stat()
    with open(first / "config.yaml", "r+b") as stream:  # in place, as long, with its old mtime
        stream.write(b"#")
    os.utime(first / "config.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))
    shutil.copy2(second / "config.yaml", tmp_path / "other")
    os.replace(tmp_path / "other", second / "config.yaml")  # another file with the same content
    (third / "environment.json").unlink()
    assert build([runs], site).read == 2 and hashed == [first.name, second.name, third.name]
    monkeypatch.setattr(known_folders, "VERSION", "another form of digests")
    hashed.clear()
    build([runs], site)
    assert len(hashed) == 12


def test_a_change_within_the_tick_of_the_first_hash_is_seen(runs, tmp_path, hashed, monkeypatch):
    states = {}  # a clock that stands still: the system tells the same before and after the change
    real = known_folders._state
    monkeypatch.setattr(known_folders, "_state", lambda p: states.setdefault(p, real(p)))
    build([runs], tmp_path / "site")
    path = next(p for p in runs.iterdir() if "FedAvg" in p.name)
    with open(path / "environment.json", "r+b") as stream:
        stream.write(b"{")
    hashed.clear()
    build([runs], tmp_path / "site")
    assert len(hashed) == 12
    page = next((tmp_path / "site/run").glob(f"{path.name[-12:]}*.html")).read_text()
    assert "does not hold environments" in page


def test_pages_of_runs_that_are_gone_go(runs, tmp_path):
    site = tmp_path / "site"
    build([runs], site)
    gone = next(p for p in runs.iterdir() if "FedProx" in p.name)
    shutil.rmtree(gone)
    assert build([runs], site).removed == 2
    assert sum(1 for _ in (site / "run").glob("*.html")) == 11


@pytest.mark.parametrize("damage", ["rubbish", "of another program"])
def test_a_cache_that_cannot_be_read_is_made_again(runs, tmp_path, damage):
    import sqlite3

    site = tmp_path / "site"
    build([runs], site)
    if damage == "rubbish":
        (site / NAME).write_bytes(b"not a database" * 1000)
    else:
        with sqlite3.connect(site / NAME) as database:
            database.execute("UPDATE digests SET content = x'00'")
    assert build([runs], site).read == 12
    assert build([runs], site).read == 0
