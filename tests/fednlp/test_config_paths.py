"""Paths start at the file that names them, or, on the command line, at the working directory."""

from __future__ import annotations

import pytest
import yaml
from harness import command

from fednlp import config as configuration
from fednlp.suite import load_suite

PATHS = {
    "dataset": "data/card.yaml",
    "model": {"name": "../m.yml", "dropout": 0.1},
    "algorithm": "mine.py:Mine",
    "partition": {"name": "cluster", "clients": 2, "encoder": "e.yaml"},
}


@pytest.fixture
def deep(tmp_path, monkeypatch):
    """A folder below another one; the commands run in a third."""
    (tmp_path / "top" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "top" / "deep"


def written(path, content):
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def named(config):
    partition = config.partition
    return [config.dataset.name, config.model.name, config.algorithm.name, partition.encoder]


def expected(deep):
    top = deep.parent
    return [f"{deep}/data/card.yaml", f"{top}/m.yml", f"{deep}/mine.py:Mine", f"{deep}/e.yaml"]


def test_in_a_file_they_start_at_that_file(deep):
    path = written(deep / "a.yaml", PATHS)
    assert named(configuration.load(path)) == expected(deep)
    child = written(deep.parent / "child.yaml", {"extends": "deep/a.yaml", "model": "m.yml"})
    assert named(configuration.load(child)) == expected(deep)
    stored = written(deep / "b.yaml", {**PATHS, "partition": {"file": "../p.npz"}})
    assert configuration.load(stored).partition.file == f"{deep.parent}/p.npz"
    names = written(
        deep / "c.yaml", {**PATHS, "dataset": "synthetic_topics", "algorithm": "fedavg"}
    )
    config = configuration.load(names)
    assert (config.dataset.name, config.algorithm.name) == ("synthetic_topics", "fedavg")


def test_on_the_command_line_they_start_at_the_working_directory(deep, tmp_path):
    path, here = written(deep / "a.yaml", PATHS), tmp_path / "elsewhere"
    config = configuration.load(path, ["dataset=x.yaml", "algorithm.name=y.py:Y"])
    assert (config.dataset.name, config.algorithm.name) == (f"{here}/x.yaml", f"{here}/y.py:Y")
    limited = {**PATHS, "dataset": {"name": "data/card.yaml", "limit": {"train": 9}}}
    path = written(deep / "d.yaml", limited)
    config = configuration.load(path, ["dataset=../top/deep/data/card.yaml"])
    assert config.dataset.limit == {"train": 9}  # the same card: nothing starts afresh


@pytest.mark.parametrize("base", ["base.yaml", PATHS])
def test_in_a_suite_they_start_at_the_suite(deep, base):
    if base is not PATHS:
        written(deep / "base.yaml", PATHS)
    matrix = {
        "algorithm": ["fedavg", "mine.py:Mine"],
        "data": {"one": {"dataset": "x.yaml"}, "two": {"dataset.name": "data/card.yaml"}},
    }
    runs = load_suite(written(deep / "s.yaml", {"base": base, "matrix": matrix}), ["model=z.yaml"])
    assert {run.config.dataset.name for run in runs} == {f"{deep}/x.yaml", f"{deep}/data/card.yaml"}
    assert {run.config.algorithm.name for run in runs} == {"fedavg", f"{deep}/mine.py:Mine"}
    assert runs[0].config.partition.encoder == f"{deep}/e.yaml"
    assert runs[0].config.model.name == str(deep.parent.parent / "elsewhere" / "z.yaml")


def test_an_error_says_where_it_looked(deep, small_data):
    path = written(deep / "a.yaml", small_data({"dataset": "gone.yaml"}))
    assert f"{deep}/gone.yaml: no such file" in command("show", path).one_line()
    path = written(deep / "a.yaml", small_data({"algorithm": "gone.py:Mine"}))
    assert f"{deep}/gone.py" in command("show", path).one_line()
    stored = {**small_data(), "partition": {"file": "gone.npz"}}
    path = written(deep / "a.yaml", stored)
    assert f"{deep}/gone.npz" in command("show", path).one_line()
