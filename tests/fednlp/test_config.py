"""Bad configurations: one line that names the file, the key and what to do; exit code 2."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from harness import ROOT, command

from fednlp import config as configuration
from fednlp.config import RunConfig
from fednlp.errors import UserError
from fednlp.suite import load_suite
from fednlp.yaml_files import load_mapping, parse_value

COMMANDS = ["run", "suite", "gap", "plot", "list", "show", "check", "export-model"]


@pytest.fixture
def refused(small_data, tmp_path):
    """A function: dotted changes of a good configuration -> the line that refuses it.

    The commands must stop before anything is trained or written.
    """

    def refuse(changes, *, by="run"):
        data = small_data(changes)
        path = tmp_path / "bad.yaml"
        path.write_text(yaml.safe_dump(data))
        out = tmp_path / "runs"
        options = ["--out", out] if by == "run" else []
        line = command(by, path, *options).one_line()
        assert not list(out.glob("*/*")), "something was run before the error was found"
        return line

    return refuse


def line_of(path: Path, key: str) -> int:
    """Where a dotted key stands in a YAML file."""
    node, line = yaml.compose(path.read_text()), 0
    for part in key.split("."):
        name, node = next(pair for pair in node.value if pair[0].value == part)
        line = name.start_mark.line + 1
    return line


# keys and types ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("round", 3, "did you mean 'rounds'?"),
        ("client.learning_rate", 0.1, "known: "),
        ("client.epoch", 2, "did you mean 'epochs'?"),
        ("sampling.clients_per_rounds", 2, "did you mean 'clients_per_round'?"),
        ("model.lora.rank", 4, "known: "),
        ("model.lora.target", ["query"], "did you mean 'targets'?"),
        ("evaluation.validation_example", 4, "did you mean 'validation_examples'?"),
        ("dataset.size", {"train": 9}, "did you mean 'sizes'?"),
        ("tokens.maxlength", 4, "did you mean 'max_length'?"),
        ("centralized.budgets", "none", "did you mean 'budget'?"),
        ("checkpoint.keep-every", 2, "did you mean 'keep_every'?"),
        ("engine.worker", 2, "known: "),
    ],
)
def test_an_unknown_key_names_the_nearest_and_its_line(key, value, hint, refused, tmp_path):
    line = refused({key: value})
    number = line_of(tmp_path / "bad.yaml", key)
    assert f"bad.yaml:{number}: {key}: unknown key" in line and hint in line


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("rounds", "ten", "valid integer"),
        ("rounds", 2.5, "integer"),
        ("rounds", 0, "greater than 0"),
        ("rounds", True, "integer"),
        ("seed", -1, "greater than or equal to 0"),
        ("client.lr", "fast", "valid number"),
        ("client.lr", 0, "greater than 0"),
        ("client.lr", float("nan"), "finite"),
        ("client.optimizer", "adam", "'adamw' or 'sgd'"),
        ("client.momentum", 1.0, "less than 1"),
        ("client.schedule", "cosine", "'constant' or 'linear'"),
        ("client", 3, "dictionary"),
        ("precision", "fp16", "'fp32' or 'bf16'"),
        ("sampling.name", "random", "'uniform', 'proportional' or 'activity'"),
        ("dataset.source", "web", "'auto', 'local', 'hub' or 'synthetic'"),
        ("model.freeze_embeddings", "yes please", "boolean"),
        ("partition.held_out", 1.0, "less than 1"),
        ("evaluation.local_only", 51, "less than or equal to 50"),
        ("engine.device", "tpu", "'auto', 'cpu' or 'cuda'"),
    ],
)
def test_a_wrong_value_names_what_stood_there_and_what_should(
    key, value, expected, refused, tmp_path
):
    line = refused({key: value})
    number = line_of(tmp_path / "bad.yaml", key)
    assert f"bad.yaml:{number}: {key}: found {value!r}" in line and expected in line


@pytest.mark.parametrize("key", ["dataset", "model", "partition"])
def test_a_missing_section_is_named(key, small_data, tmp_path):
    data = small_data()
    del data[key]
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(data))
    line = command("show", path).one_line()
    assert f"{path}: {key}: is missing" in line


def test_a_missing_name_is_named(small_data, tmp_path):
    data = small_data()
    del data["dataset"]["name"]
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(data))
    assert "dataset.name: is missing" in command("run", path).one_line()


# impossible combinations ------------------------------------------------------------------------

ADAMW = {"optimizer": "adamw", "lr": 0.001}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"client": {**ADAMW, "momentum": 0.9}}, ["client.momentum", "'adamw'", "sgd"]),
        ({"client.warmup": 0.1}, ["client.warmup", "'constant'", "linear"]),
        ({"algorithm": "scaffold", "client": ADAMW}, ["client.optimizer", "scaffold_gradient"]),
        ({"algorithm": "scaffold", "client.momentum": 0.9}, ["client.optimizer", "momentum 0"]),
        ({"algorithm": "fednova", "client": ADAMW}, ["client.optimizer", "fednova", "sgd"]),
        ({"sampling.clients_per_round": 5}, ["clients_per_round", "only 4", "at most 4"]),
        (
            {"dataset.name": "synthetic_facts", "tokens.doc_stride": 48},
            ["tokens.doc_stride", "max_length", "48"],
        ),
        ({"partition.clients": None}, ["partition.clients", "is missing"]),
        ({"partition.name": None}, ["partition", "neither a name nor a file"]),
        ({"partition": {"name": "uniform", "file": "x.npz", "clients": 4}}, ["partition", "file"]),
        ({"partition.clients": 97}, ["97"]),
        ({"partition.min_size": 30}, ["min_size", "30"]),
        ({"algorithm": "fedavgg"}, ["algorithm", "fedavgg", "did you mean 'fedavg'?"]),
        ({"algorithm": {"name": "fedprox", "nu": 1}}, ["algorithm.nu: unknown key; known: mu"]),
        ({"algorithm": {"name": "fedprox", "muu": 1}}, ["algorithm.muu", "did you mean 'mu'?"]),
        ({"algorithm": {"name": "fedprox", "mu": -1}}, ["algorithm.mu", "-1", ">= 0"]),
        (
            {"algorithm": {"name": "fedprox", "mu": "big"}},
            ["algorithm.mu", "'big'; expected a valid number"],
        ),
        ({"algorithm": {"name": "fedavg", "mu": 1}}, ["algorithm.mu: unknown key; none is known"]),
        ({"algorithm": {"name": "fedavg", "server": {"lr": 1}}}, ["algorithm.server", "server"]),
        ({"algorithm": "nowhere.py:Mine"}, ["nowhere.py", "no such file"]),
        (
            {"algorithm": "fedadam", "server.optimizer": "yogi"},
            ["server.optimizer", "yogi", "fedadam", "fedavg"],
        ),
        ({"server.optimizer": "adm"}, ["server.optimizer", "'adm'", "did you mean 'adam'?"]),
        ({"server.optimizer": "adam", "server.beta": 0.9}, ["server.beta", "did you mean 'beta"]),
        ({"server.momentum": 0.9}, ["server.momentum", "unknown key"]),
        ({"partition.name": "dirichle"}, ["partition.name", "dirichle", "did you mean dirichlet"]),
        ({"partition": {"name": "dirichlet", "clients": 4}}, ["partition.alpha", "missing"]),
        (
            {"partition": {"name": "dirichlet", "clients": 4, "alhpa": 1.0}},
            ["partition.alhpa", "did you mean alpha?"],
        ),
        ({"partition": {"name": "dirichlet", "clients": 4, "alpha": 0}}, ["alpha", "0"]),
        ({"partition": {"name": "dirichlet", "clients": 4, "alpha": "x"}}, ["alpha", "'x'"]),
        ({"partition.alpha": 1.0}, ["partition.alpha", "unknown"]),
        ({"partition.skew": "mood"}, ["partition.skew", "'mood'", "label"]),
        ({"dataset.name": "synthetic_topic"}, ["dataset", "did you mean 'synthetic_topics'?"]),
        ({"dataset.source": "local"}, ["synthetic_topics", "local"]),
        ({"dataset.sizes.tarin": 5}, ["sizes.tarin", "train"]),
        ({"model.name": "tinny"}, ["model", "did you mean 'tiny'?"]),
        ({"model.freeze_layers": 9}, ["freeze_layers", "9", "at most 2"]),
        ({"model.layers": 9}, ["layers", "9"]),
        ({"model.lora": {"targets": ["nothing"]}}, ["lora.targets", "nothing"]),
        ({"model.lora": {}, "model.freeze_layers": 1}, ["lora", "freeze"]),
        ({"tokens.max_length": 4096}, ["max_length", "4096", "256"]),
        ({"centralized.client": {"learning": 1}}, ["centralized.client.learning", "unknown key"]),
        ({"centralized.client": {"lr": "x"}}, ["centralized.client", "lr", "'x'"]),
        ({"centralized.client": {"momentum": 0.9}, "client": ADAMW}, ["momentum", "adamw"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_impossible_combination_is_one_line(changes, words, refused):
    line = refused(changes)
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    "changes",
    [
        {"client": {**ADAMW, "momentum": 0.9}},
        {"algorithm": {"name": "fedprox", "nu": 1}},
        {"algorithm": "scaffold", "client": ADAMW},
        {"partition": {"name": "dirichlet", "clients": 4, "alhpa": 1.0}},
        {"server.optimizer": "adm"},
        {"model.name": "tinny"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_impossible_combination_names_the_file(changes, refused):
    assert "bad.yaml" in refused(changes)


def test_the_keys_that_are_named_are_keys_that_may_be_set(refused):
    """The server optimizer is a field of a method, but has a section of its own."""
    assert refused({"algorithm": {"name": "fedprox", "nu": 1}}).endswith("known: mu")


def test_show_refuses_what_run_refuses(refused):
    for changes in ({"algorithm": "fedavgg"}, {"partition.clients": 97}, {"client.lrr": 1}):
        assert refused(changes, by="show") == refused(changes)


def test_show_prints_nothing_above_an_error(small_data, tmp_path):
    written(tmp_path, bad=small_data({"partition.clients": 97}))  # found when the data are read
    answer = command("show", tmp_path / "bad.yaml")
    assert answer.one_line() and not answer.out


def test_a_diverging_run_is_told_apart_from_a_bug(small_data, tmp_path):
    path = tmp_path / "hot.yaml"
    data = small_data({"client.lr": 1e30, "client.clip_norm": None, "centralized.budget": "none"})
    path.write_text(yaml.safe_dump(data))
    line = command("run", path, "--out", tmp_path / "runs").one_line()
    assert "not finite" in line and "client.lr" in line


def test_a_diverging_reference_is_told_too(small_data, tmp_path):
    """Else its score would be read as what centralized training reaches."""
    path = tmp_path / "hot.yaml"
    path.write_text(
        yaml.safe_dump(small_data({"centralized.client": {"lr": 1e30, "clip_norm": None}}))
    )
    line = command("run", path, "--out", tmp_path / "runs").one_line()
    assert "not finite" in line


# a method in a file ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import nothing_like_this\n", ["mine.py:1", "ModuleNotFoundError"]),
        ("x = 1\ny = 1 / 0\n", ["mine.py:2", "ZeroDivisionError"]),
        ("def broken(:\n", ["mine.py", "SyntaxError"]),
        ("from algorithms import FedAvg\nclass Mein(FedAvg): pass\n", ["'Mine'", "Mein"]),
        ("Mine = 3\n", ["'Mine' is not an algorithm"]),
        (
            "from algorithms import Algorithm\nclass Mine(Algorithm): pass\n",
            ["Mine", "local_update"],
        ),
    ],
    ids=["import", "error", "syntax", "name", "no class", "abstract"],
)
def test_a_broken_method_file_is_one_line(source, words, refused, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(source)
    line = refused({"algorithm": f"{path}:Mine"})
    assert all(word in line for word in words), line


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


def written(folder, **files):
    for name, data in files.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(data))
    return folder


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


# the resolved configuration -----------------------------------------------------------------------


def test_a_resolved_configuration_resolves_to_itself(small_config, tmp_path):
    config = small_config({"algorithm": {"name": "fedprox", "mu": 0.5}, "server.lr": 0.5})
    path = tmp_path / "resolved.yaml"
    path.write_text(yaml.safe_dump(config.resolved()))
    assert configuration.load(path) == config


def test_short_forms_are_names(small_data):
    long = small_data()
    short = {**long, "model": "tiny", "algorithm": "fedavg"}
    assert configuration.build(short, "here") == configuration.build(long, "here")


def test_a_configuration_cannot_be_changed(small_config):
    with pytest.raises(ValueError, match="frozen"):
        small_config().rounds = 3
    assert set(RunConfig.model_fields) >= {"dataset", "algorithm", "centralized", "checkpoint"}


def test_every_shipped_configuration_is_valid():
    found = [p for p in sorted((ROOT / "configs").rglob("*.yaml"))
             if p.parent.name not in ("datasets", "models")]  # fmt: skip
    for path in found:
        if "matrix" in load_mapping(path)[0]:
            assert load_suite(path, [])
        else:
            assert configuration.load(path).rounds > 0
    assert found, "no configuration is shipped"


# suites -----------------------------------------------------------------------------------------


@pytest.fixture
def suite_file(small_data, tmp_path):
    def write(**changes):
        data = {"name": "s", "base": small_data(), "seeds": [0, 1],
                "matrix": {"algorithm": ["fedavg", {"name": "fedprox", "mu": 0.1}],
                           "skew": {"even": {"partition.name": "uniform"},
                                    "odd": {"partition": {"name": "dirichlet", "alpha": 0.1,
                                                          "clients": 4}}}}}  # fmt: skip
        data |= changes
        path = tmp_path / "suite.yaml"
        path.write_text(yaml.safe_dump({k: v for k, v in data.items() if v is not None}))
        return path

    return write


def test_a_suite_is_the_product_of_its_axes_and_seeds(suite_file):
    runs = load_suite(suite_file(), ["rounds=3"])
    assert len(runs) == len({run.label for run in runs}) == 8
    assert all(run.config.rounds == 3 for run in runs)
    found = {
        (r.config.algorithm.name, r.config.partition.name, r.config.seed): r.config for r in runs
    }
    assert len(found) == 8
    assert found["fedprox", "dirichlet", 1].algorithm.parameters == {"mu": 0.1}
    assert found["fedavg", "dirichlet", 0].partition.parameters == {"alpha": 0.1}
    assert found["fedavg", "uniform", 0].partition.parameters == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"matirx": {}}, ["suite.yaml:", "matirx: unknown key", "did you mean 'matrix'?"]),
        ({"seeds": 3}, ["suite.yaml: seeds", "found 3", "list"]),
        ({"seeds": [0, -1]}, ["suite.yaml: seeds"]),
        ({"matrix": [1]}, ["suite.yaml: matrix", "mapping"]),
        ({"matrix": {"algorithm": []}}, ["suite.yaml: matrix.algorithm", "list"]),
        ({"matrix": {"algorithm": "fedavg"}}, ["suite.yaml: matrix.algorithm", "'fedavg'"]),
        ({"matrix": {"x": {"one": 3}}}, ["suite.yaml: matrix.x.one", "found 3"]),
        ({"matrix": {1: [2]}}, ["suite.yaml: matrix", "key 1"]),
        ({"matrix": {"x": {"one": {3: 3}}}}, ["suite.yaml: matrix.x.one", "key 3"]),
        ({"matrix": {"client.lrr": [1, 2]}}, ["suite.yaml", "client.lrr 1", "did you mean 'lr'"]),
        ({"matrix": {"x": {"one": {"client.optimizer": "adamw", "client.momentum": 0.5}}}},
         ["suite.yaml", "one", "client.momentum"]),
        ({"matrix": {"algorithm": ["fedavg", "fedprix"]}}, ["suite.yaml", "fedprix"]),
        ({"base": 3}, ["suite.yaml: base", "found 3"]),
        ({"base": "nowhere.yaml"}, ["nowhere.yaml", "no such file"]),
        ({"base": None}, ["suite.yaml", "is missing"]),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_bad_suite_is_one_line_before_anything_runs(changes, words, suite_file, tmp_path):
    out = tmp_path / "runs"
    line = command("suite", suite_file(**changes), "--out", out).one_line()
    assert all(word in line for word in words), line
    assert not list(out.glob("*/*"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"partition.skew": "mood"}, ["partition.skew", "'mood'"]),
        (
            {"partition": {"name": "cluster", "alpha": 1.0, "clients": 4, "encoder": "tiny"}},
            ["partition.encoder", "from scratch"],
        ),
        ({"partition.encoder": "bert-base-uncased"}, ["partition.encoder", "clusters nothing"]),
        ({"model.layers": 1}, ["model.layers", "from scratch"]),
        ({"tokens.max_length": 4096}, ["max_length", "4096", "256"]),
        ({"dataset": "synthetic_facts", "tokens.doc_stride": 48}, ["tokens.doc_stride", "48"]),
        ({"dataset.sizes.tarin": 5}, ["sizes.tarin", "train"]),
        ({"dataset": {"name": "squad", "sizes": {"train": 5}}}, ["sizes", "use limit"]),
        ({"dataset": "e2e_nlg", "partition": "natural"}, ["partition.name", "natural clients"]),
    ],
    ids=lambda value: next(reversed(value)) if isinstance(value, dict) else "",
)
def test_what_cards_tell_is_found_before_a_suite_starts(changes, words, suite_file, tmp_path):
    """Not after hours, when the turn of the last run comes."""
    out, matrix = tmp_path / "runs", {"x": {"good": {}, "bad": changes}}
    line = command("suite", suite_file(matrix=matrix), "--out", out).one_line()
    assert all(word in line for word in ["(bad / seed 0)", *words]), line
    assert not list(out.glob("*/*"))


def test_a_suite_plots_its_own_runs_if_there_is_a_gap(small_data, tmp_path):
    out = tmp_path / "runs"
    written(tmp_path, one=small_data(), suite={"base": "one.yaml"})
    alone = command("suite", tmp_path / "suite.yaml", "centralized.budget=none", "--out", out)
    assert alone.code == 0 and not (out / "plots").exists(), alone.err
    assert command("run", tmp_path / "one.yaml", "rounds=1", "--out", out).code == 0
    assert command("suite", tmp_path / "suite.yaml", "--out", out).code == 0
    (path,) = (out / "plots").glob("*.png")
    assert "2-rounds" in path.name


# the door ---------------------------------------------------------------------------------------


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
