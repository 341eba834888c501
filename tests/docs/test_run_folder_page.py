"""The page on run folders says what is in one: schema, files, records, manifest."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from pathlib import Path
from typing import Annotated, get_args, get_origin

import pytest
from markdown_pages import code, page, table
from rich.console import Console

from fednlp import config as configuration
from fednlp.environment import _EXACT
from fednlp.results import bounds, schema
from fednlp.results.manifest import Manifest
from fednlp.runs import run_pair

PAGE = "docs/run-folder.md"
RECORDS = [
    *("Result", "Tuning", "Trial", "Data", "Model", "Score", "Reference", "ClientScores", "Costs"),
]


@pytest.mark.parametrize("name", RECORDS)
def test_schema_tables_are_the_schema(name: str) -> None:
    rows = [[code(v) for v in list(row.values())[:2]] for row in table(PAGE, name)]
    expected = getattr(schema, name).__annotations__
    assert rows == [[field, _plain(kind)] for field, kind in expected.items()]


def _plain(kind: str) -> str:
    """An annotation without its bounds, which the page tells once for all."""

    def of(name: re.Match[str]) -> str:
        bounded = getattr(bounds, name[0], None)
        return get_args(bounded)[0].__name__ if get_origin(bounded) is Annotated else name[0]

    return re.sub(r"\w+", of, kind).replace('"', "'")


def test_every_record_has_a_table() -> None:
    records = [v for v in vars(schema).values() if isinstance(v, type)]
    defined = {c.__name__ for c in records if issubclass(c, schema.Record)} - {"Record"}
    assert defined == set(RECORDS)


def test_manifest_table_is_the_manifest() -> None:
    fields = [field.name for field in dataclasses.fields(Manifest)]
    assert [code(row["field"]) for row in table(PAGE, "manifest")] == fields


def test_what_must_be_equal_for_equal_bits_is_named() -> None:
    text = " ".join(page(PAGE).split("Equal bits need")[1].split("--allow-inexact")[0].split())
    assert all(name in text for name in _EXACT)


def test_files_records_and_columns_are_those_of_a_run(clone: Path) -> None:
    """A method with personal weights and clients trained alone writes every column there is."""
    config = configuration.build(
        {
            "dataset": {
                "name": "synthetic_topics",
                "sizes": {"train": 80, "validation": 20, "test": 40},
            },
            "model": "tiny",
            "partition": {"name": "uniform", "clients": 4},
            "algorithm": "ditto",
            "sampling": {"clients_per_round": 2},
            "tokens": {"max_length": 48},
            "evaluation": {"min_client_examples": 5, "local_only": 1},
            "rounds": 1,
        },
        "test",
    )
    federated, central = run_pair(config, clone, Console(quiet=True))
    assert central is not None
    folder = clone / federated.folder
    found = {path.name + "/" * path.is_dir() for path in folder.iterdir()}
    assert {code(row["file"]) for row in table(PAGE, "files")} == found
    only = {path.name for path in folder.iterdir()} - {
        path.name for path in (clone / central.folder).iterdir()
    }
    rows = table(PAGE, "files")
    marked = {code(r["file"]) for r in rows if "federated runs only" in r["content"]}
    assert only == marked

    record = json.loads((folder / "rounds.jsonl").read_text().splitlines()[-1])
    assert [code(row["key"]) for row in table(PAGE, "rounds")] == list(record)
    columns = next(csv.reader((folder / "clients.csv").open()))
    assert sorted(code(row["column"]) for row in table(PAGE, "clients")) == sorted(columns)
