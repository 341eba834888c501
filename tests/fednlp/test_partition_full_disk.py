"""A disk that fills under every `partition` command: one line, and nothing half-written."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import command
from small_disk import Filler

from partitioners import Partition
from partitioners.formats import FORMATS

DATA = ("--dataset", "synthetic_topics", "dataset.sizes={train: 1500, validation: 20, test: 500}")
LEVELS = [n / 8 for n in range(8)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "split"
    assert command(*make_to(out)).code == 0
    return out


def make_to(out):
    options = ("--partitioner", "dirichlet", "--alpha", "0.5", "--clients", "12", "--out", out)
    return ("partition", "make", *DATA, *options)


def sweep_to(out):
    options = ("--partitioners", "dirichlet", "--alphas", "0.1,10", "--seeds", "0")
    return ("partition", "sweep", *DATA, *options, "--clients", "12", "--out", out)


def used(path: Path) -> int:
    """Bytes on disk, in blocks of 4 KiB, of a file or of all in a folder."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    folders = 1 + sum(p.is_dir() for p in path.rglob("*"))
    return 4096 * (folders + sum(-(-p.stat().st_size // 4096) for p in files))


def filled(line: tuple, disk: Path, target: Path, whole: int) -> None:
    """At every level below what it needs the command is refused and leaves nothing."""
    filler, refusals = Filler(disk), 0
    for level in LEVELS:
        filler.leave(int(level * whole))
        before = {path for path in disk.rglob("*") if not path.is_dir()}
        answer = command(*line)
        if answer.code:
            told = answer.one_line()
            assert "o space left on device" in told and target.name in told, told
            assert "free space" in told, told
            assert {path for path in disk.rglob("*") if not path.is_dir()} == before
            assert not target.exists()
            refusals += 1
        else:  # less was needed than the files take elsewhere
            assert target.exists() and level > 0.4, level
            _remove(target)
    assert refusals >= 4, refusals
    filler.remove()
    answer = command(*line)
    assert answer.code == 0, answer.err


def _remove(target: Path) -> None:
    import shutil

    shutil.rmtree(target) if target.is_dir() else target.unlink()


@pytest.mark.parametrize("form", FORMATS)
def test_export(form, made, disk, tmp_path):
    name = "split" + (FORMATS[form].suffixes or ("",))[0]
    data = () if FORMATS[form].examples == "never" else ("--with-data",)
    line = ("partition", "export", made, "--format", form, *data, "--out")
    assert command(*line, tmp_path / name).code == 0
    filled((*line, disk / name), disk, disk / name, used(tmp_path / name))
    back = command("partition", "import", disk / name, "--format", form, *DATA, "--out", disk / "b")
    assert back.code == 0, back.err
    train, again = (Partition.load(p / "partition.npz").splits["train"] for p in (made, disk / "b"))
    assert (train.indices == again.indices).all() and (train.offsets == again.offsets).all()


def test_make(made, disk):
    filled(make_to(disk / "split"), disk, disk / "split", used(made))


def test_import(made, disk):
    line = ("partition", "import", made / "partition.npz", "--out", disk / "split")
    filled(line, disk, disk / "split", used(made))


def test_pictures(made, disk, tmp_path):
    for line in (
        ("partition", "show", made, "--plots"),
        ("partition", "compare", made, made, "--plots"),
    ):
        assert command(*line, tmp_path / line[1]).code == 0
        filled((*line, disk / line[1]), disk, disk / line[1], used(tmp_path / line[1]))


def test_sweep(disk, tmp_path):
    assert command(*sweep_to(tmp_path / "sweep")).code == 0
    filled(sweep_to(disk / "sweep"), disk, disk / "sweep", used(tmp_path / "sweep"))
