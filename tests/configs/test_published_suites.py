"""Published suites: every run is valid, the cost is stated, missing files are told at once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fednlp.jobs.whole import WholeSuite
from fednlp.suite import load_suite, read_suite

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "configs" / "suites"
SUITES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
RUNS = {"quick": 24, "skew-sweep": 120, "many-clients": 36, "fednlp-paper": 144,
        "fednlp-original": 48}  # fmt: skip


@pytest.mark.parametrize("name", SUITES)
def test_every_run_builds(name: str) -> None:
    """Trials included, by all that cards tell of data, split, model and method."""
    suite = read_suite(FOLDER / f"{name}.yaml", [])
    whole = WholeSuite(suite)
    assert len(whole.finals) == RUNS.get(name, len(whole.finals))
    assert len({one.label for one in whole.finals}) == len(whole.finals)
    assert all(one.config.engine.threads == 1 for one in whole.finals)


@pytest.mark.parametrize("name", SUITES)
def test_its_name_is_that_of_the_file_and_the_page_lists_it(name: str) -> None:
    data = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    assert data["name"] == name and data["description"]
    page = (ROOT / "docs" / "suites.md").read_text(encoding="utf-8")
    assert f"[{name}](../configs/suites/{name}.yaml)" in page


@pytest.mark.parametrize("name", RUNS)
def test_its_cost_is_stated(name: str) -> None:
    text = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))["description"]
    assert "Cost" in text and f"{RUNS[name]} federated runs" in text
    assert re.search(r"(minutes|hours|days) of", text) and re.search(r"files", text)
    assert "ntuned" in text or "searched" in text or name == "fednlp-original"


def test_trials_of_the_quick_suite_are_as_many_as_it_says() -> None:
    whole = WholeSuite(read_suite(FOLDER / "quick.yaml", []))
    assert whole.trials is not None
    searches = whole.trials.searches
    assert {len(s.tried) for s in searches} == {4}
    methods = sum(s.kind == "federated" for s in searches)
    assert methods == 12  # and a reference for each data set, which its splits share
    text = (FOLDER / "quick.yaml").read_text(encoding="utf-8")
    assert f"{4 * methods + 4 * 2} trials" in text


def test_the_settings_of_the_original() -> None:
    """Clients, cohorts, rounds, batches and lengths of its scripts; both suites alike."""
    expected = {
        "20newsgroups_full": ("distilbert-base-uncased", 100, 10, 300, 32, 256),
        "ontonotes5": ("distilbert-base-uncased", 30, 10, 20, 16, 128),
        "mrqa": ("distilbert-base-uncased", 6, 5, 6, 50, 128),
        "gigaword": ("bart-base", 100, 4, 15, 4, 256),
    }
    splits = {}
    for name in ("fednlp-paper", "fednlp-original"):
        for run in load_suite(FOLDER / f"{name}.yaml", []):
            c = run.config
            found = (c.model.name, c.partition.clients, c.sampling.clients_per_round, c.rounds,
                     c.client.batch_size, c.tokens.max_length)  # fmt: skip
            assert found == expected[c.dataset.name]
            split = (c.dataset.name, c.partition.name, c.partition.parameters.get("alpha"))
            splits.setdefault(name, set()).add(split)
    alphas = {
        ("20newsgroups_full", "dirichlet"): {10.0, 5.0, 1.0, 0.5, 0.1},
        ("20newsgroups_full", "quantity"): {5.0},
        ("ontonotes5", "dirichlet"): {0.1, 0.01},
        ("mrqa", "dirichlet"): {0.1, 0.01},
        ("gigaword", "cluster"): {0.1, 0.01},
    }
    wanted = {(*key, alpha) for key, several in alphas.items() for alpha in several}
    wanted |= {(data, "uniform", None) for data in expected}
    assert splits["fednlp-paper"] == splits["fednlp-original"] == wanted


def test_the_rates_of_the_original() -> None:
    for name in ("fednlp-paper", "fednlp-original"):
        for run in load_suite(FOLDER / f"{name}.yaml", []):
            c = run.config
            assert (c.client.schedule, c.client.schedule_span) == ("linear", "participation")
            assert (c.client.warmup, c.client.epochs) == (0.06, 1)
            assert c.client.lr == {"adamw": 5e-5, "sgd": 0.1}[c.client.optimizer]
            if c.algorithm.name == "FedProx":
                assert c.algorithm.parameters == {"mu": 0.5}
            if name == "fednlp-original":
                central = 3e-5 if c.dataset.name == "gigaword" else 5e-5
                assert c.centralized.client == {"optimizer": "adamw", "lr": central}


def test_only_the_original_ties_the_client_optimizer_to_the_method() -> None:
    paper = {r.config.client.optimizer for r in load_suite(FOLDER / "fednlp-paper.yaml", [])}
    assert paper == {"adamw"}
    runs = load_suite(FOLDER / "fednlp-original.yaml", [])
    assert {r.config.client.optimizer for r in runs} == {"sgd", "adamw"}
    assert {r.config.centralized.client["optimizer"] for r in runs} == {"adamw"}
    assert "the client optimizer and not the method" in " ".join(
        (FOLDER / "fednlp-original.yaml").read_text(encoding="utf-8").split()
    )


def test_files_that_are_not_there_are_told_before_anything_runs(tmp_path: Path) -> None:
    """One line for each reason, however many runs it stops; the others would have run."""
    env = {k: v for k, v in os.environ.items() if k != "FEDNLP_DATA"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_bench.py"), "suite", "fednlp-paper", "--out", "runs"],
        cwd=tmp_path, env=env, capture_output=True, text=True,
    )  # fmt: skip
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and all(line.startswith("error: ") for line in lines)
    assert 1 <= len(lines) <= 6 and "Traceback" not in done.stderr
    for name in ("20newsgroups", "ontonotes5", "mrqa", "gigaword"):
        assert any(name in line for line in lines), (name, lines)
    assert sum("and 26 more" in line for line in lines) >= 1
    assert not list((tmp_path / "runs").iterdir())
