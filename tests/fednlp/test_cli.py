"""What the commands do with odd surroundings: widths, environment variables, empty options."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from harness import ROOT, command

from fednlp.config import load
from fednlp.errors import UserError
from fednlp.places import config_file


@pytest.mark.parametrize("width", ["", "abc", "0", "-5", "12.5"])
def test_a_width_that_is_none_is_120_characters(width: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_bench.py"), "list", "tasks"],
        env={**os.environ, "COLUMNS": width}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "seq2seq" in done.stdout and not done.stderr


def test_waiting_threads_do_not_spin_unless_asked_to() -> None:
    code = "import fednlp.cli, os; print(os.environ['OMP_WAIT_POLICY'])"
    for given, expected in (({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")):
        env = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"} | given
        done = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT,
                              capture_output=True, text=True, check=True)  # fmt: skip
        assert done.stdout.strip() == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "a.yaml", "--skip-bad", "-1"], "error: run_bench.py run: Invalid value for '--"),
        (["run", "a.yaml", "--skip-bad", "x"], "see run_bench.py run --help"),
        (["run", "a.yaml", "--sead", "1"], "--sead"),
        (["run"], "Missing argument 'CONFIG'"),
        (["rum"], "rum"),
        (["--nope"], "--nope"),
        (["gap", "x" * 9999, "y" * 9999], "unexpected extra argument"),
        (["show", "a.yaml", "--skip-bad"], "--skip-bad"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_one_line(arguments: list[str], message: str) -> None:
    line = command(*arguments).one_line()
    assert message in line and len(line) < 1000


def test_help_stays_help() -> None:
    for arguments, code in (((), 2), (("--help",), 0), (("run", "--help"), 0)):
        answer = command(*arguments)
        assert answer.code == code and "Usage: run_bench.py" in answer.out and not answer.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "a.yaml", "--out", ""], "--out: is empty or the current directory"),
        (["run", "a.yaml", "--out", "."], "--out: is empty or the current directory"),
        (["run", "a.yaml", "--seeds", ""], "--seeds: found ''"),
        (["run", "."], ".: is a directory; expected a YAML file"),
        (["export-model", "nowhere", "x"], "nowhere: no such directory"),
        (["export-model", ".", "x"], ".: is no run folder"),
        (["show", "a.yaml", "partition.encoder=nope", "partition.skew=cluster"],
         "partition.encoder: no card 'nope'"),
        (["show", "a.yaml", "partition=null", "partition.file=."],
         "holds no partition.npz; expected a partition folder or a run folder"),
        (["show", "a.yaml", "partition=null", "partition.file=a.yaml"],
         "not readable as a partition (no .npz file)"),
        (["show", "child.yaml"], "child.yaml:1: extends gone.yaml, which is no file"),
    ],
)  # fmt: skip
def test_what_is_not_there_or_another_thing_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch, small_data
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(yaml.safe_dump(small_data()), encoding="utf-8")
    Path("child.yaml").write_text("extends: gone.yaml\n", encoding="utf-8")
    answer = command(*arguments)
    assert answer.code == 2 and message in answer.err and "Traceback" not in answer.err
    assert len(answer.err.strip().splitlines()) == 1 and "pickle" not in answer.err


def test_a_file_where_the_run_folder_belongs(tmp_path: Path, small_config) -> None:
    from fednlp.results.run_folder import RunFolder

    (tmp_path / "run").write_text("hi", encoding="utf-8")
    with pytest.raises(UserError, match="run: is a file; expected a run folder or nothing"):
        RunFolder(tmp_path / "run").__enter__()
    assert (tmp_path / "run").read_text(encoding="utf-8") == "hi"


def test_a_wrong_folder_of_cards_is_refused(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FEDNLP_CONFIGS", str(tmp_path / "none"))
    answer = command("list", "models")
    assert answer.code == 2 and "FEDNLP_CONFIGS" in answer.err


def test_suites_are_found_by_name() -> None:
    for name in ("suites/bench.yaml", "suites/bench", "bench.yaml", "bench"):
        assert config_file(name).name == "bench.yaml"


def test_an_octal_number_of_rounds_is_refused(tmp_path: Path, small_data) -> None:
    path = tmp_path / "a.yaml"
    text = yaml.safe_dump(small_data()).replace("rounds: 2", "rounds: 010")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"a.yaml:\d+: rounds: found '010'"):
        load(path)
