"""What a run folder leads to is not ours: nothing behind a link, and no other name, is touched."""

from __future__ import annotations

import errno
import os
import shutil
import signal

import pytest
import yaml
from harness import command, contents, forked, forked_as_user, run

from fednlp.errors import UserError
from fednlp.results import files, own_names
from fednlp.results.plots import plot_gaps
from fednlp.results.run_folder import RunFolder

FOREIGN = {
    "chapter.tex": b"years of work", "round-000001.safetensors": b"weights of another",
    "000000-000001.safetensors": b"a state of another", "manifest.json": b"{}",
    ".config.yaml.1.tmp": b"a note",
}  # fmt: skip


@pytest.fixture(scope="module")
def made(small_config, tmp_path_factory):
    """A configuration, and the directory of its finished run, which keeps client states."""
    config = small_config({"algorithm": "scaffold", "centralized.budget": "none"})
    out = tmp_path_factory.mktemp("made")
    (out / "run.yaml").write_text(yaml.safe_dump(config.resolved(), sort_keys=False))
    run(config, out / "runs")
    return out / "run.yaml", out / "runs"


@pytest.fixture
def copied(made, tmp_path):
    """The command that runs it again, a copy of its folder without result, and foreign files."""
    config, runs = made
    shutil.copytree(runs, tmp_path / "runs")
    (folder,) = (tmp_path / "runs").iterdir()
    (folder / "result.json").unlink()
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    for name, data in FOREIGN.items():
        (thesis / name).write_bytes(data)
    return ("run", config, "--out", tmp_path / "runs"), folder, thesis


def untouched(thesis):
    return {path.name: path.read_bytes() for path in thesis.iterdir()} == FOREIGN


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@pytest.mark.parametrize("emptied", [False, True])
@pytest.mark.parametrize("name", [own_names.LOCK, *own_names.FOLDERS, *own_names.FILES])
def test_a_link_at_one_of_our_names_is_refused(name, emptied, copied):
    arguments, folder, thesis = copied
    if emptied:
        remove(folder / "checkpoints")
        remove(folder / "rounds.jsonl")
    remove(folder / name)
    inside = name in own_names.FOLDERS
    (folder / name).symlink_to(thesis if inside else thesis / "chapter.tex")
    before = {path: os.lstat(path).st_mtime_ns for path in folder.rglob("*")}
    if name == "result.json":  # then the run is only read
        assert str(folder / name) in command(*arguments).one_line()
        with pytest.raises(UserError, match=r"result\.json: is a link"):
            RunFolder(folder).__enter__()
    else:
        line = command(*arguments).one_line()
        kind = "directory" if inside else "file"
        assert f"{folder / name}: is a link; expected a {kind} of the run itself; move" in line
    assert untouched(thesis)
    assert {path: os.lstat(path).st_mtime_ns for path in folder.rglob("*")} == before


def test_a_link_to_the_manifest_is_refused(copied):
    arguments, folder, thesis = copied
    (folder / "checkpoints" / "manifest.json").unlink()
    (folder / "checkpoints" / "manifest.json").symlink_to(thesis / "manifest.json")
    assert "manifest.json: is a link" in command(*arguments).one_line()
    assert untouched(thesis)


@pytest.mark.parametrize("name", [own_names.LOCK, "rounds.jsonl"])
def test_a_link_that_comes_later_is_not_followed(name, tmp_path, monkeypatch):
    """Between the look and the opening: the system itself refuses."""
    (tmp_path / "a").mkdir()
    (tmp_path / "important.txt").write_text("important\n")
    (tmp_path / "a" / name).symlink_to(tmp_path / "important.txt")
    monkeypatch.setattr(own_names, "require_own", lambda folder: None)
    monkeypatch.setattr(own_names, "FILES", ())
    with (
        pytest.raises(UserError, match=f"{name}: cannot be written"),
        RunFolder(tmp_path / "a") as f,
    ):
        f.log({"round": 1})
    assert (tmp_path / "important.txt").read_text() == "important\n"


def test_names_that_are_not_ours_stay(made, copied, tmp_path):
    arguments, folder, thesis = copied
    for place in ("checkpoints/notes.txt", "clients/notes.txt", ".notes.1.tmp", "notes.txt",
                  "checkpoints/old-round-000001.safetensors", "clients/.notes.1.tmp"):  # fmt: skip
        (folder / place).write_bytes(b"mine")
    (folder / "checkpoints" / "kept").mkdir()
    # a link at a name that is ours to remove: the link goes, what it leads to stays
    (folder / "checkpoints" / "round-000099.safetensors").symlink_to(thesis / "chapter.tex")
    (folder / ".config.yaml.1.0123abcd.tmp").write_bytes(b"half")
    assert command(*arguments).code == 0
    left = [p for p in folder.rglob("*") if p.is_file() and p.read_bytes() == b"mine"]
    assert len(left) == 6 and (folder / "checkpoints" / "kept").is_dir()
    assert not os.path.lexists(folder / "checkpoints" / "round-000099.safetensors")
    assert not (folder / ".config.yaml.1.0123abcd.tmp").exists() and untouched(thesis)
    _, runs = made
    for name, value in contents(runs / folder.name).items():
        assert contents(folder)[name] == value, name


def test_files_without_their_manifest_are_not_written_over(copied):
    arguments, folder, _ = copied
    for path in folder.iterdir():
        if path.name != "config.yaml":
            remove(path)
    (folder / "config.yaml").write_text("of something else\n")
    line = command(*arguments).one_line()
    assert "manifest.json: is missing, but there is config.yaml; expected what was" in line
    assert (folder / "config.yaml").read_text() == "of something else\n"


def test_a_run_folder_that_was_moved_and_linked_to_is_one(made, copied, tmp_path):
    arguments, folder, thesis = copied
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert command(*arguments).code == 0
    assert contents(folder) == contents(made[1] / folder.name)
    folder.unlink()
    folder.symlink_to(thesis)
    assert f"{folder}: is a link, and holds no checkpoints/man" in command(*arguments).one_line()
    assert untouched(thesis)


@pytest.mark.parametrize("name", [own_names.LOCK, "rounds.jsonl", own_names.MANIFEST])
def test_a_pipe_is_not_waited_for(name, copied):
    arguments, folder, _ = copied
    (folder / name).unlink()
    os.mkfifo(folder / name)

    def attempt():
        signal.alarm(60)  # ends the child
        assert f"{name}: is a pipe or a device; expected a file" in command(*arguments).one_line()

    assert forked(attempt) == 0


@pytest.mark.parametrize(
    "name", ["result.json", "identity.json", "rounds.jsonl", own_names.MANIFEST, "partition.npz"]
)
def test_who_reads_a_finished_run_waits_for_no_pipe(name, made, tmp_path):
    """`gap` and `run` read it, `export-model` its checkpoint, `partition verify` its split."""
    config, runs = made
    shutil.copytree(runs, tmp_path / "runs")
    (folder,) = (tmp_path / "runs").iterdir()
    (folder / name).unlink()
    os.mkfifo(folder / name)

    def attempt():
        signal.alarm(60)  # ends the child
        said = "a pipe or a device"
        if name == "partition.npz":
            for read in ("verify", "show"):
                assert said in command("partition", read, folder / name).one_line()
        else:
            assert f"{name}: cannot be read ({said})" in command("gap", folder.parent).err
            assert said in command("run", config, "--out", folder.parent).one_line()
            assert said in command("export-model", folder, tmp_path / "model").one_line()

    assert forked(attempt) == 0


def test_a_checkpoint_is_read_without_waiting(made, tmp_path):
    shutil.copytree(made[1], tmp_path / "runs")
    (folder,) = (tmp_path / "runs").iterdir()
    for path in (folder / "checkpoints").glob("*.safetensors"):
        path.unlink()
        os.mkfifo(path)

    def attempt():
        signal.alarm(60)
        line = command("export-model", folder, tmp_path / "model").one_line()
        assert "safetensors: cannot be read (a pipe or a device)" in line

    assert forked(attempt) == 0


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("name", ["checkpoints", "rounds.jsonl", "identity.json"])
def test_what_may_not_be_read_is_no_reason_to_delete_a_run(name, finished, made, tmp_path):
    config, runs = made
    shutil.copytree(runs, tmp_path / "runs")
    (folder,) = (tmp_path / "runs").iterdir()
    if not finished:
        (folder / "result.json").unlink()
    (folder / name).chmod(0)

    def attempt():
        line = command("run", config, "--out", folder.parent).one_line()
        assert f"{folder / name}" in line and "Permission denied" in line, line
        assert "make it readable" in line or "make it writable" in line, line
        assert "delete" not in line, line

    assert forked_as_user(attempt) == 0
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        (errno.EACCES, "make it readable"), (errno.EPERM, "make it readable"),
        (errno.EIO, "try again"), (errno.EMFILE, "try again"), (errno.ESTALE, "try again"),
        (errno.ENOENT, files.START_AGAIN), (errno.EISDIR, files.START_AGAIN),
    ],
)  # fmt: skip
def test_only_what_is_gone_is_a_reason_to_begin_again(code, fix, tmp_path):
    assert files.not_read(tmp_path, OSError(code, os.strerror(code))).fix == fix


def test_plots_are_not_written_through_a_link(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "plots").symlink_to(tmp_path / "thesis")
    with pytest.raises(UserError, match="plots: is a link; expected a directory for plots"):
        plot_gaps([], tmp_path / "plots")
