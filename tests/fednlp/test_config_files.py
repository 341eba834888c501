"""Configuration files and overrides: YAML, what a file extends, what the command line says."""

from __future__ import annotations

import pytest
from harness import command, line_of, written

from fednlp import config as configuration
from fednlp.yaml_files import load_mapping, parse_value

# YAML itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rounds: 1\nseed: 0\nrounds: 2\n", ["bad.yaml:3", "'rounds' stands twice", "line 1"]),
        ("client:\n  lr: 1\n  lr: 2\n", ["bad.yaml:3", "'lr' stands twice", "line 2"]),
        ("rounds: [1\nseed: 0\n", ["bad.yaml:", "not valid YAML"]),
        ("client: {lr: 1\n", ["bad.yaml", "not valid YAML"]),
        ("- a\n- b\n", ["bad.yaml", "holds a list", "mapping"]),
        ("", ["bad.yaml", "holds nothing"]),
        ("just words\n", ["bad.yaml", "holds text"]),
        ("x: !!python/object/apply:os.getcwd []\n", ["bad.yaml:1", "found the tag", "getcwd"]),
        ("datset: x\n", ["bad.yaml:1", "datset: unknown key", "did you mean 'dataset'?"]),
        ("1: 2\n", ["bad.yaml:1"]),
        ("rounds: &a [*a]\n", ["bad.yaml:1"]),
    ],
)
def test_bad_yaml_is_one_line(text, words, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    line = command("run", path, "--out", tmp_path / "runs").one_line()
    assert all(word in line for word in words), line


def test_files_that_are_none(tmp_path):
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x81")
    assert "not UTF-8" in command("run", binary).one_line()
    assert "no such file" in command("run", tmp_path / "nowhere.yaml").one_line()
    assert "is a directory" in command("run", tmp_path).one_line()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("-1e5", -1e5), ("1.5E+2", 150.0), (".5e1", 5.0), ("1e-3x", "1e-3x"),
        ("3", 3), ("0.1", 0.1), ("null", None), ("[1, 2]", [1, 2]), ("true", True), ("e3", "e3"),
        ("010", "010"), ("1:30", "1:30"), ("0x1f", "0x1f"), ("1_000", "1_000"),  # 8, 90, ... in 1.1
        ("-3", -3), ("+4", 4), ("0", 0), (".5", 0.5), ("1.", 1.0), (".inf", float("inf")),
    ],
)  # fmt: skip
def test_numbers_are_what_they_look_like(text, value):
    found = parse_value(text, "here")
    assert found == value and type(found) is type(value)


def test_places_are_lines_of_the_file(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("# a comment\n\nclient:\n  lr: 1e-3\nsampling: {name: uniform}\n")
    data, places = load_mapping(path)
    assert data["client"]["lr"] == 0.001
    assert places == {
        ("client",): f"{path}:3",
        ("client", "lr"): f"{path}:4",
        ("sampling",): f"{path}:5",
        ("sampling", "name"): f"{path}:5",
    }


# extends and overrides ----------------------------------------------------------------------------


def test_a_child_lays_its_keys_over_its_parents(small_data, tmp_path):
    written(
        tmp_path,
        base=small_data({"rounds": 7}),
        middle={"extends": "base.yaml", "client": {"lr": 0.5}, "seed": 3},
        child={"extends": "middle.yaml", "seed": 4, "algorithm": "fedprox"},
    )
    config = configuration.load(tmp_path / "child.yaml")
    assert (config.rounds, config.seed, config.client.lr) == (7, 4, 0.5)
    assert config.client.batch_size == 8 and config.algorithm.name == "fedprox"


def test_a_component_of_another_name_starts_afresh(small_data, tmp_path):
    dirichlet = {"name": "dirichlet", "alpha": 0.1, "clients": 4}
    written(
        tmp_path,
        base=small_data(partition=dirichlet, algorithm={"name": "fedprox", "mu": 0.5}),
        child={"extends": "base.yaml", "partition": {"name": "uniform", "clients": 2},
               "algorithm": {"name": "fedavg"}},
        same={"extends": "base.yaml", "partition": {"alpha": 0.2}},
    )  # fmt: skip
    child = configuration.load(tmp_path / "child.yaml")
    assert child.partition.parameters == {} and child.algorithm.parameters == {}
    same = configuration.load(tmp_path / "same.yaml")
    assert same.partition.parameters == {"alpha": 0.2} and same.partition.clients == 4


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_circle_of_extends_is_one_line(length, tmp_path):
    for number in range(length):
        path = tmp_path / f"{number}.yaml"
        path.write_text(f"extends: {(number + 1) % length}.yaml\nrounds: 1\n")
    line = command("show", tmp_path / "0.yaml").one_line()
    assert "0.yaml" in line and "extends itself" in line


def test_a_missing_parent_and_a_parent_that_is_no_name(tmp_path):
    written(tmp_path, a={"extends": "nowhere.yaml"}, b={"rounds": 1, "extends": [1]})
    assert (
        "a.yaml:1: extends nowhere.yaml, which is no file"
        in command("show", tmp_path / "a.yaml").one_line()
    )
    assert "b.yaml:1: 'extends'" in command("show", tmp_path / "b.yaml").one_line()


def test_an_error_of_a_parent_names_the_parent(small_data, tmp_path):
    written(tmp_path, base=small_data({"client.lrr": 1.0}), child={"extends": "base.yaml"})
    line = command("show", tmp_path / "child.yaml").one_line()
    number = line_of(tmp_path / "base.yaml", "client.lrr")
    assert f"base.yaml:{number}: client.lrr: unknown key" in line


def test_overrides_beat_files_and_are_typed(small_data, tmp_path):
    written(tmp_path, a=small_data())
    config = configuration.load(
        tmp_path / "a.yaml",
        ["client.lr=1e-3", "rounds=9", "algorithm=fedprox", "algorithm.mu=0.5",
         "model.lora.r=2", "partition.skew=label", "evaluation.validation_examples=null"],
    )  # fmt: skip
    assert (config.client.lr, config.rounds) == (0.001, 9)
    assert config.algorithm.name == "fedprox" and config.algorithm.parameters == {"mu": 0.5}
    assert config.model.lora.r == 2 and config.partition.skew == "label"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rounds", ["override 'rounds'", "key.sub=value"]),
        ("=3", ["override '=3'", "key.sub=value"]),
        ("client..lr=3", ["override 'client..lr=3'"]),
        ("client.lrr=3", ["client.lrr", "did you mean 'lr'?"]),
        ("rounds=three", ["rounds", "'three'"]),
        ("rounds=[1", ["override 'rounds=[1'", "not a YAML value"]),
        ("algorithm.nu=1", ["algorithm.nu", "unknown key"]),
    ],
)
def test_a_bad_override_is_one_line(text, words, small_data, tmp_path):
    written(tmp_path, a=small_data())
    line = command("run", tmp_path / "a.yaml", text, "--out", tmp_path / "runs").one_line()
    assert all(word in line for word in words), line


def test_seeds_and_output_that_cannot_be(small_data, tmp_path):
    written(tmp_path, a=small_data())
    config = tmp_path / "a.yaml"
    for seeds in ("0,x", "0;1", "1.5"):
        assert seeds in command("run", config, "--seeds", seeds).one_line()
    assert "seed" in command("run", config, "--seeds=-1", "--out", tmp_path / "r").one_line()
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert "taken" in command("run", config, "--out", taken).one_line()
