"""The table of all data sets is of the suite that made it, and still what the suite gives."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from markdown_pages import ROOT, code, table

from fednlp.console import console
from fednlp.results.gap import gaps
from fednlp.results.reading import load_runs
from fednlp.runs import run_pair
from fednlp.suite import load_suite

SUITE = ROOT / "configs" / "suites" / "every-dataset.yaml"
RERUN = ("sst2", "btc")  # two of those that take seconds, of two tasks


def planned() -> dict[str, object]:
    return {entry.config.dataset.name: entry.config for entry in load_suite(SUITE, [])}


def rows() -> dict[str, dict[str, str]]:
    return {code(row["data set"]): row for row in table("docs/datasets.md", "every-dataset")}


def test_the_rows_are_the_data_sets_of_the_suite() -> None:
    configs = planned()
    assert sorted(rows()) == sorted(configs)
    assert len(rows()) == len(table("docs/datasets.md", "every-dataset"))
    for name, row in rows().items():
        limit = configs[name].dataset.limit
        assert row["examples"] == f"{limit['train']} / {limit['test']}", name


@pytest.mark.long
@pytest.mark.skipif("FEDNLP_DATA" not in os.environ, reason="needs FEDNLP_DATA")
@pytest.mark.parametrize("name", RERUN)
def test_a_run_gives_the_numbers_of_the_table(name: str, tmp_path: Path) -> None:
    run_pair(planned()[name], tmp_path, console)
    (found,) = gaps(load_runs(tmp_path, problems := []), problems)
    assert not problems
    row = rows()[name]
    assert found.metric == row["metric"]
    for column, value in (("floor", found.floor), ("centralized", found.centralized),
                          ("FedAvg", found.federated)):  # fmt: skip
        assert f"{value:.3f}" == row[column], column
