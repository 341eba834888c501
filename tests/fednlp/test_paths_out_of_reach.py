"""Paths that the system does not let us look up: one line that names them and says why."""

from __future__ import annotations

import os
import shutil
import signal

import pytest
import yaml
from harness import command, forked, forked_as_user, run, written

from fednlp import cli
from fednlp.errors import UserError, one_line
from fednlp.results.reading import load_runs

DATASET = {
    "name": "mine", "task": "text_classification", "version": 1, "licence": "CC0",
    "language": "en", "description": "d", "skew": "label", "test": {"fraction": 0.2},
    "local": {"reader": "table", "files": {"train": "f.csv"}},
}  # fmt: skip
MODEL = {"name": "m", "description": "d", "licence": "l", "tasks": ["text_classification"]}
LONG = "a" * 300


@pytest.fixture
def place(tmp_path, small_data, monkeypatch):
    """Files of a user, some in a closed folder; the working directory."""
    closed = tmp_path / "closed"
    closed.mkdir()
    for name in ("d", "out"):
        (closed / name).mkdir()
    written(closed, own=small_data(), card=DATASET, model={**MODEL, "local": {"path": "x"}})
    (closed / "f.csv").write_text("label,text\n0,a\n1,b\n" * 9)
    (closed / "mine.py").write_text("from algorithms import FedAvg as Mine\n")
    written(tmp_path, run=small_data(), card={**DATASET, "local": {
        "reader": "table", "files": {"train": str(closed / "f.csv")}
    }})  # fmt: skip
    written(tmp_path, model={**MODEL, "local": {"path": str(closed / "model")}})
    written(tmp_path, child={"extends": "closed/own.yaml"})
    (tmp_path / "open").mkdir()
    (tmp_path / "closed-folder").mkdir()
    monkeypatch.chdir(tmp_path)
    closed.chmod(0)
    yield tmp_path
    closed.chmod(0o755)


CLOSED = [
    (("gap", "closed/d"), {}, "closed/d: cannot be read"),
    (("plot", "closed/d"), {}, "closed/d: cannot be read"),
    (("show", "closed/own.yaml"), {}, "closed/own.yaml: cannot be read"),
    (("show", "child.yaml"), {}, "child.yaml:1: "),
    (("show", "run.yaml"), {"FEDNLP_DATA": "closed/d"}, "FEDNLP_DATA: closed/d cannot be read"),
    (("show", "run.yaml"), {"FEDNLP_CONFIGS": "closed/d"}, "FEDNLP_CONFIGS: closed/d cannot"),
    (("show", "run.yaml", "dataset=card.yaml"), {}, "closed/f.csv"),
    (("show", "run.yaml", "dataset=closed/card.yaml"), {}, "closed/card.yaml: cannot be read"),
    (("show", "run.yaml", "model=model.yaml"), {}, "local.path: "),
    (("show", "run.yaml", "algorithm=closed/mine.py:Mine"), {}, "algorithm.name: "),
    (("show", "run.yaml", "partition=null", "partition.file=closed/p.npz"), {}, "closed/p.npz: "),
    (("export-model", "closed/d", "x"), {}, "closed/d: cannot be read"),
    (("partition", "verify", "closed/d"), {}, "closed/d: cannot be read"),
    (("partition", "import", "closed/p.csv", "--out", "x"), {}, "closed/p.csv: cannot be read"),
    (("run", "run.yaml", "--out", "closed/out"), {}, "closed/out"),
]
CLOSED_IDS = [" ".join((*arguments, *variables)) for arguments, variables, _ in CLOSED]


@pytest.mark.parametrize(("arguments", "variables", "message"), CLOSED, ids=CLOSED_IDS)
def test_what_lies_in_a_closed_folder(arguments, variables, message, place, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def attempt():
        line = command(*arguments).one_line()
        assert message in line and "Permission denied" in line, line
        assert "delete" not in line, line

    assert forked_as_user(attempt) == 0


def test_a_closed_cache_costs_the_cache_only(place, monkeypatch):
    monkeypatch.setenv("FEDNLP_CACHE", "closed/cache")
    assert forked_as_user(lambda: command("show", "run.yaml").out.index("rounds")) == 0


LONG_ONES = [
    (("run", LONG), {}),
    (("show", f"{LONG}.yaml"), {}),
    (("gap", LONG), {}),
    (("show", "run.yaml", f"dataset={LONG}"), {}),
    (("show", "run.yaml", f"dataset={LONG}.yaml"), {}),
    (("show", "run.yaml", f"model={LONG}"), {}),
    (("show", "run.yaml", f"algorithm={LONG}.py:Mine"), {}),
    (("show", "run.yaml", "partition=null", f"partition.file={LONG}"), {}),
    (("show", "long-child.yaml"), {}),
    (("show", "run.yaml", "dataset=long-card.yaml"), {}),
    (("show", "run.yaml"), {"FEDNLP_DATA": LONG}),
    (("show", "run.yaml"), {"FEDNLP_CONFIGS": LONG}),
    (("export-model", LONG, "x"), {}),
    (("partition", "import", LONG, "--out", "x"), {}),
    (("partition", "compare", LONG, LONG), {}),
    (("run", "run.yaml", "--out", LONG), {}),
]
LONG_IDS = [" ".join((*a, *v)).replace(LONG, "long") for a, v in LONG_ONES]


@pytest.mark.parametrize(("arguments", "variables"), LONG_ONES, ids=LONG_IDS)
def test_a_name_that_is_too_long(arguments, variables, place, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    local = {"reader": "table", "files": {"train": f"./{LONG}.csv"}}
    written(place, **{"long-card": {**DATASET, "local": local}})
    written(place, **{"long-child": {"extends": LONG}})
    assert "File name too long" in command(*arguments).one_line()


def test_a_card_or_configuration_that_is_a_pipe(place):
    for name in ("pipe.yaml", "pipe.csv"):
        os.mkfifo(place / name)
    written(place, suite={"base": "pipe.yaml"}, child={"extends": "pipe.yaml"})

    def attempt():
        signal.alarm(60)  # ends the child
        for arguments in (("show", "run.yaml", "dataset=pipe.yaml"), ("suite", "suite.yaml"),
                          ("show", "run.yaml", "model=pipe.yaml"),
                          ("partition", "import", "pipe.csv", "--out", "x")):  # fmt: skip
            assert "a pipe or a device" in command(*arguments).one_line()
        assert "which is no file" in command("show", "child.yaml").one_line()

    assert forked(attempt) == 0


def test_a_circle_of_links(place):
    (place / "a.yaml").symlink_to("b.yaml")
    (place / "b.yaml").symlink_to("a.yaml")
    written(place, suite={"base": "a.yaml"}, card={"extends": "a.yaml"})
    for arguments in (("show", "a.yaml"), ("suite", "suite.yaml"), ("show", "card.yaml"),
                      ("show", "run.yaml", "dataset=a.yaml")):  # fmt: skip
        assert "Too many levels of symbolic links" in command(*arguments).one_line()


def test_a_model_of_nobody(place):
    written(place, model={**MODEL, "local": {"path": "~nobody-at-all/model"}})
    assert (
        "local.path: ~nobody-at-all" in command("show", "run.yaml", "model=model.yaml").one_line()
    )


def test_a_run_folder_that_is_closed_is_told_and_not_left_out(small_config, tmp_path):
    """A table without it would be another table."""
    finished = run(small_config({"centralized.budget": "none", "rounds": 1}), tmp_path / "runs")
    shutil.copytree(finished.path, tmp_path / "runs" / "closed")
    (tmp_path / "runs" / "closed").chmod(0)

    def attempt():
        problems = []
        assert [r.path for r in load_runs(tmp_path / "runs", problems)] == [finished.path]
        (problem,) = problems
        assert "closed/result.json: cannot be read (Permission denied); make it rea" in problem

    assert forked_as_user(attempt) == 0
    (tmp_path / "runs" / "closed").chmod(0o755)


# the last resort --------------------------------------------------------------------------------


def test_what_the_system_says_of_a_file_is_one_line(monkeypatch, tmp_path):
    def refuse(name):
        raise PermissionError(13, "Permission denied", str(tmp_path / "x"))

    monkeypatch.setattr("fednlp.places.config_file", refuse)
    assert f"error: {tmp_path}/x: Permission denied" == command("show", "a.yaml").one_line()


def test_an_error_of_ours_keeps_its_traceback():
    assert one_line(ValueError("ours")) is None and one_line(OSError("no file")) is None
    assert one_line(UserError("a", "b")) == "a: b"
    assert one_line(OSError(5, "Input/output error", os.fsencode("x"))) == "x: Input/output error"


def test_one_run_out_of_reach_does_not_stop_a_suite(small_data, tmp_path, monkeypatch):
    """Nor does what nobody foresaw, as long as it names a file."""
    data = small_data({"centralized.budget": "none", "rounds": 1})
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(data))
    from fednlp import runs

    real = runs.run_pair

    def pair(config, *rest):
        if config.seed == 0:
            raise OSError(5, "Input/output error", "somewhere")
        return real(config, *rest)

    monkeypatch.setattr(runs, "run_pair", pair)
    answer = command("run", tmp_path / "run.yaml", "--seeds", "0,1", "--out", tmp_path / "runs")
    assert answer.code == 2 and "somewhere: Input/output error" in answer.err
    assert len(list((tmp_path / "runs").iterdir())) == 1 and cli.PROGRAM == "run_bench.py"
