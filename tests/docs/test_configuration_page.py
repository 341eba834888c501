"""The reference of keys is that of the code: names, types, defaults, variables."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from config_reference import keys
from markdown_pages import ROOT, blocks, code, page, table

from algorithms import ALGORITHMS, SERVER_OPTIMIZERS, AlgorithmError, ClientOptimizer
from fednlp import config as configuration
from fednlp import config_schema, suite

PAGE = "docs/configuration.md"


def test_keys_types_and_defaults_are_those_of_the_code() -> None:
    documented = [(code(r["key"]), r["type"], code(r["default"])) for r in table(PAGE, "keys")]
    assert documented == list(keys())


def test_every_key_is_explained() -> None:
    for marker in ("keys", "suite", "environment"):
        assert all(row["meaning"].endswith(".") for row in table(PAGE, marker))


def parameters(component: type) -> str:
    fields = [f for f in dataclasses.fields(component) if f.name != "server"]
    return ", ".join(f"`{field.name}={field.default}`" for field in fields)


def test_algorithms_with_their_parameters() -> None:
    rows = {code(row["`algorithm.name`"]): row for row in table(PAGE, "algorithms")}
    assert list(rows) == list(ALGORITHMS)
    optimizers = {cls: name for name, cls in SERVER_OPTIMIZERS.items()}
    for name, cls in ALGORITHMS.items():
        assert rows[name]["parameters"] == parameters(cls)
        assert code(rows[name]["server optimizer"]) == optimizers[type(cls().server)]
        assert rows[name]["client optimizer"] == _accepted(cls)


def _accepted(cls: type) -> str:
    def accepts(optimizer: str, momentum: float) -> bool:
        try:
            cls().check(ClientOptimizer(optimizer, 0.1, momentum))
        except AlgorithmError:
            return False
        return True

    allowed = accepts("adamw", 0.0), accepts("sgd", 0.9), accepts("sgd", 0.0)
    return {
        (True, True, True): "any",
        (False, True, True): "`sgd`",
        (False, False, True): "`sgd` without momentum",
    }[allowed]


def test_server_optimizers_with_their_parameters() -> None:
    rows = {code(row["`server.optimizer`"]): row["parameters"] for row in table(PAGE, "server")}
    assert rows == {name: parameters(cls) for name, cls in SERVER_OPTIMIZERS.items()}


def test_suite_keys() -> None:
    assert [code(row["key"]) for row in table(PAGE, "suite")] == list(suite._KEYS)


def test_environment_variables_are_all_of_them() -> None:
    used = set()
    for package in ("fednlp", "tasks", "partitioners", "algorithms"):
        for path in (ROOT / package).rglob("*.py"):
            used |= set(re.findall(r"FEDNLP_[A-Z]+", path.read_text(encoding="utf-8")))
    assert {code(row["variable"]) for row in table(PAGE, "environment")} == used


def test_short_forms_are_all_of_them() -> None:
    section = page(PAGE).split("## Short forms")[1].split("\n\n")[1]
    assert tuple(re.findall(r"`(\w+)`", section)) == config_schema.SHORT_FORMS


def test_inheritance_drops_the_parameters_of_another_component(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks(PAGE, "yaml"):
        if block.name:
            Path(block.name).write_text(block.text, encoding="utf-8")
    config = configuration.load(Path("skewed.yaml"))
    assert config.partition.name == "label_shards"
    assert config.partition.parameters == {"labels_per_client": 2}
    assert config.rounds == configuration.load(Path("mine.yaml")).rounds != 10
