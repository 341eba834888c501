"""What `configs/suites/embedded.yaml` promises: `pytest -m long`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from fednlp.places import config_file
from fednlp.results.reading import load_run
from fednlp.runs import run_pair
from fednlp.suite import PlannedRun, load_suite

RUNS = load_suite(config_file("suites/embedded.yaml"), [])
BENCHMARKS = sorted({run.config.dataset.name for run in RUNS})


def planned(dataset: str, partition: str) -> PlannedRun:
    (run,) = [
        run
        for run in RUNS
        if run.config.dataset.name == dataset and run.config.partition.name == partition
    ]
    return run


@pytest.mark.long
@pytest.mark.parametrize("dataset", BENCHMARKS)
def test_centralized_learns_and_strong_skew_costs(dataset: str, tmp_path: Path) -> None:
    scores = {}
    for partition in ("uniform", "dirichlet"):
        config = planned(dataset, partition).config
        federated, central = run_pair(config, tmp_path, Console(file=io.StringIO()))
        assert central is not None
        for name, identity in ((partition, federated), ("centralized", central)):
            result = load_run(tmp_path / identity.folder).result
            scores[name] = result.selected.test[result.primary_metric]
    assert 0.8 <= scores["centralized"] <= 0.95
    assert scores["dirichlet"] < scores["uniform"] + 0.02
    assert scores["dirichlet"] < scores["centralized"] - 0.1
