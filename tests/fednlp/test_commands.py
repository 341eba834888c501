"""The commands: help, imports, exit codes, what they print and refuse."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from harness import ROOT, command, written

from fednlp.errors import UserError

COMMANDS = ["run", "suite", "gap", "plot", "list", "show", "check", "export-model", "partition"]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_of_every_command(name):
    answer = command(*([name] if name else []), "--help")
    assert answer.code == 0 and "Usage" in answer.out
    if not name:
        assert all(known in answer.out for known in COMMANDS)


def test_help_and_refusals_of_keys_import_nothing_heavy(tmp_path):
    """`--help` answers at once because of this; so does a typing error in a file."""
    code = (
        "import sys\n"
        "from fednlp.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'transformers', 'datasets', 'sklearn', 'scipy', 'pandas'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))\n"
    )
    for arguments in (["--help"], ["run", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.splitlines()[-1] == "heavy: []"


def test_the_program_itself_ends_with_2_and_no_traceback(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("round: 3\n")
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_bench.py"), "run", "bad.yaml"],
        cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "COLUMNS": "40"},
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: bad.yaml")


@pytest.mark.parametrize("what", ["tasks", "datasets", "models", "partitioners", "algorithms"])
def test_list_names_what_there_is(what):
    import tasks
    from algorithms import ALGORITHMS
    from partitioners import PARTITIONERS

    known = {
        "tasks": tasks.TASKS,
        "algorithms": ALGORITHMS,
        "partitioners": PARTITIONERS,
        "datasets": [p.stem for p in (ROOT / "configs" / "datasets").glob("*.yaml")],
        "models": [p.stem for p in (ROOT / "configs" / "models").glob("*.yaml")],
    }
    answer = command("list", what)
    text = "".join(answer.out.split()).replace("│", "").replace("┃", "")
    assert answer.code == 0 and known[what]
    for name in known[what]:
        assert any(part in text for part in (name, name[:12])), name


def test_other_commands_refuse_in_one_line(tmp_path):
    assert "did you mean 'models'?" in command("list", "model").one_line()
    assert "no such directory" in command("gap", tmp_path / "nowhere").one_line()
    assert "'xml'" in command("gap", tmp_path, "--format", "xml").one_line()
    assert "no finished federated run" in command("plot", tmp_path).one_line()
    assert "is no run folder" in command("export-model", tmp_path, tmp_path / "x").one_line()
    assert "no such file" in command("check", tmp_path / "mine.py:Mine").one_line()
    assert "unknown algorithm" in command("check", "fedavgg").one_line()
    assert "no finished federated run" in command("gap", tmp_path).one_line()


def test_show_runs_nothing_and_predicts(small_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, a=small_data())
    answer = command("show", "a.yaml")
    assert answer.code == 0 and os.listdir(tmp_path) == ["a.yaml"]
    for words in ("Predicted cost", "clients_per_round: 2", "synthetic_topics", "disk"):
        assert words in answer.out


def test_run_prints_the_table_and_its_folders(small_data, tmp_path):
    written(tmp_path, a=small_data())
    answer = command("run", tmp_path / "a.yaml", "--seeds", "0,1", "--out", tmp_path / "runs")
    assert answer.code == 0 and "Gap to centralized" in answer.out
    assert str(tmp_path / "runs") in answer.out and len(os.listdir(tmp_path / "runs")) == 4
    assert command("gap", tmp_path / "runs", "--format", "json").out.startswith("[")
    again = command("run", tmp_path / "a.yaml", "--seeds", "0,1", "--out", tmp_path / "runs")
    assert ": round " not in again.out and "Gap to centralized" in again.out
    plotted = command("plot", tmp_path / "runs")
    assert plotted.code == 0 and list((tmp_path / "runs" / "plots").iterdir())
    shutil.rmtree(tmp_path / "runs" / "plots")
    (tmp_path / "runs" / "plots").touch()
    assert "plots: cannot be made" in command("plot", tmp_path / "runs").one_line()


def test_messages_of_user_errors_are_one_line_whatever_they_quote():
    error = UserError("a\nb", "found\n\n'x'", "one\tthing", "do\nthis")
    assert str(error) == "a b: found 'x'; expected one thing; do this"
