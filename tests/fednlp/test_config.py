"""Bad configurations: one line that names the file, the key and what to do; exit code 2."""

from __future__ import annotations

import pytest
import yaml
from harness import ROOT, command, line_of, written

from fednlp import config as configuration
from fednlp.config_schema import RunConfig
from fednlp.suite import load_suite
from fednlp.yaml_files import load_mapping


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


# keys and types -----------------------------------------------------------------------------------


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
        ("engine.color", 2, "known: "),
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
        ("client", 3, "mapping"),
        ("precision", "fp16", "'fp32' or 'bf16'"),
        ("sampling.name", "random", "'uniform', 'proportional' or 'activity'"),
        ("dataset.source", "web", "'auto', 'local', 'hub' or 'synthetic'"),
        ("model.freeze_embeddings", "yes please", "boolean"),
        ("partition.held_out", 1.0, "less than 1"),
        ("evaluation.local_only", 51, "less than or equal to 50"),
        ("engine.workers", 5000, "found 5000; expected 'auto' or less than or equal to 1024"),
        (
            "engine.workers",
            "two",
            "engine.workers: found 'two'; expected 'auto' or a valid integer",
        ),
        ("engine.together", 0, "engine.together: found 0; expected greater than 0 or 'auto'"),
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


# impossible combinations --------------------------------------------------------------------------


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


# a method in a file -------------------------------------------------------------------------------


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
