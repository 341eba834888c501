"""What the study's report and its look at selection on test compute."""

from __future__ import annotations

import shutil
import sys

import pytest
from rich.console import Console

from benchmarks import selection_on_test, study_report
from fednlp import config as configuration
from fednlp.errors import UserError
from fednlp.evaluation import Evaluator
from fednlp.experiment import Experiment
from fednlp.results.files import read_tensors
from fednlp.results.manifest import read_manifest
from fednlp.results.reading import load_run
from fednlp.runs import run_pair

KEPT = {"rounds": 4, "evaluation.every": 2, "checkpoint.keep_every": 2}


def run(config, out):
    federated, _ = run_pair(config, out, Console(quiet=True))
    return load_run(out / federated.folder)


def test_selection_scores_every_validated_round_on_test(small_config, tmp_path):
    finished = run(small_config(KEPT), tmp_path)
    found = selection_on_test.selection(finished)
    experiment = Experiment(configuration.load(finished.path / "config.yaml"))
    manifest, scores = read_manifest(finished.path / "checkpoints" / "manifest.json"), {}
    for number, file in manifest.kept.items():
        weights = read_tensors(finished.path / file, manifest.sha256[file])["weights"]
        outcome = Evaluator(experiment).test(weights)
        scores[int(number)] = outcome.scored.metrics["accuracy"]
    assert set(scores) == {2, 4}
    assert found.on_test == max(scores.values()) and found.last == scores[4]
    assert found.on_validation == finished.result.selected.test["accuracy"]
    assert found.optimism >= 0.0


def test_a_run_that_kept_too_little_is_left_out(small_config, tmp_path):
    assert selection_on_test.selection(run(small_config(), tmp_path)) is None


def test_its_table_names_every_method(small_config, tmp_path, monkeypatch, capsys):
    run(small_config(KEPT), tmp_path)
    monkeypatch.setattr(sys, "argv", ["selection_on_test", str(tmp_path)])
    selection_on_test.main()
    text = capsys.readouterr().out
    assert "| method | seeds | selected on validation |" in text and "FedAvg" in text
    monkeypatch.setattr(sys, "argv", ["selection_on_test", str(tmp_path / "nothing")])
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UserError, match="no run kept"):
        selection_on_test.main()


def test_the_report_has_every_line_of_a_submission(tmp_path, monkeypatch):
    results, docs = tmp_path / "results", tmp_path / "docs"
    for folder in (results, docs):
        folder.mkdir()
    monkeypatch.setattr(study_report, "RESULTS", results)
    monkeypatch.setattr(study_report, "DOCS", docs)
    with pytest.raises(UserError, match=r"holds no study-\*\.zip"):
        study_report.main()
    shutil.copy(study_report.ROOT / "results" / "quick.zip", results / "study-quick.zip")
    suites = tmp_path / "suites"
    suites.mkdir()
    shutil.copy(study_report.SUITES / "quick.yaml", suites / "study-quick.yaml")
    monkeypatch.setattr(study_report, "SUITES", suites)
    study_report.main()
    text = (docs / "results.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| Fed")]
    images = [line for line in text.splitlines() if line.startswith("![curves](")]
    assert len(rows) == 12 and len(images) == 4
    for image in images:
        assert (docs / image.removeprefix("![curves](").rstrip(")")).is_file()
