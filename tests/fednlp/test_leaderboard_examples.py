"""Pairs of methods over test examples on the site, from the predictions of real runs."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from fednlp.leaderboard import example_pairs
from fednlp.leaderboard.build import build
from fednlp.results.example_comparison import PREDICTIONS, example_difference
from fednlp.results.gap import gaps
from fednlp.results.method_comparison import contests
from fednlp.results.reading import load_runs
from fednlp.results.schema import Result

QUICK = Path(__file__).parents[2] / "results" / "quick.zip"


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Three methods on one benchmark, two seeds."""
    folder = tmp_path_factory.mktemp("real")
    with zipfile.ZipFile(QUICK) as archive:
        for name in archive.namelist():
            if "topics" in name and ("uniform" in name or "centralized" in name):
                archive.extract(name, folder)
    return folder


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr("fednlp.statistics.examples.EXAMPLE_RESAMPLES", 50)
    monkeypatch.setattr(example_pairs, "EXAMPLE_RESAMPLES", 50)


@pytest.fixture
def runs(real, tmp_path):
    return Path(shutil.copytree(real, tmp_path / "runs"))


def told(site):
    """The comparisons of the downloads by pair, and the text of the benchmark's page."""
    entries = json.loads((site / "data/all.json").read_text())["comparisons"]
    (page,) = (site / "benchmark").glob("*.html")
    return {(entry["first"], entry["second"]): entry for entry in entries}, page.read_text()


def test_the_site_has_the_pairs_of_the_command_from_folders_and_submissions(
    runs, tmp_path, monkeypatch
):
    (contest,) = contests(gaps(load_runs(runs)))
    plain = {
        (pair.first, pair.second): example_difference(
            contest.runs[pair.first], contest.runs[pair.second]
        )
        for pair in contest.pairs
    }
    (tmp_path / "entries").mkdir()
    shutil.copy(QUICK, tmp_path / "entries")
    (benchmark,) = build([runs], tmp_path / "site").board.benchmarks
    assert benchmark.over_examples.differences == plain and len(plain) == 3
    submitted = build([tmp_path / "entries"], tmp_path / "other").board.benchmarks
    (same,) = [other for other in submitted if other.key == benchmark.key]
    assert len(submitted) == 4 and same.over_examples == benchmark.over_examples
    found, page = told(tmp_path / "site")
    for names, difference in plain.items():
        entry = found[names]
        assert entry["examples"] == 600 and entry["examples_note"] == ""
        assert entry["examples_difference"] == difference.difference
        assert tuple(entry["examples_interval"]) == difference.interval
        assert (entry["examples_stderr"], entry["examples_p"]) == (difference.stderr, difference.p)
    assert page.count("<small>over 600 test examples, the models as they are: ") == 3
    monkeypatch.setattr(example_pairs, "example_scores", None)  # all come from the cache
    monkeypatch.setattr(example_pairs, "unpacked", None)
    for source, site in (("runs", "site"), ("entries", "other")):
        again = build([tmp_path / source], tmp_path / site).board.benchmarks
        assert [b.over_examples for b in again if b.key == benchmark.key] == [same.over_examples]


def _changed(folder, **columns):
    """Other predictions, with the sum of their file in the result."""
    file = folder / PREDICTIONS
    pd.read_parquet(file).assign(**columns).to_parquet(file, index=False)
    result = Result.model_validate_json((folder / "result.json").read_text())
    files = result.files | {PREDICTIONS: hashlib.sha256(file.read_bytes()).hexdigest()}
    changed = result.model_copy(update={"files": files})
    (folder / "result.json").write_bytes(changed.as_json())


DAMAGES = {
    "other": (lambda f: (f / PREDICTIONS).write_bytes(b"PAR1"), "are not those that the result"),
    "score": (lambda f: _changed(f, selected_accuracy=1.0), "score 1.000000, not 0."),
    "examples": (lambda f: _changed(f, content_sha256="<b>same</b>"), "of other test examples"),
    "texts": (lambda f: _changed(f, selected_gold="=1"), "texts for numbers"),
    "classes": (lambda f: _changed(f, selected_predicted=2**40), "predicted that cannot be"),
    "columns": (lambda f: _changed(f, selected_accuracy=None), "cannot be read (Wrong)"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_pair_without_sound_predictions_says_so_and_the_others_stay(runs, tmp_path, damage):
    (folder,) = runs.glob("*FedProx-s1-*")
    change, words = DAMAGES[damage]
    change(folder)
    build([runs], tmp_path / "site")
    found, page = told(tmp_path / "site")
    for names, entry in found.items():
        spoilt = any("FedProx" in name for name in names)
        assert (words in entry["examples_note"]) == spoilt == (entry["examples_p"] is None)
    assert page.count("not over test examples: ") == page.count(words) == 2
    assert page.count("<small>over 600 test examples") == 1


@pytest.mark.parametrize(
    "bound, words",
    [
        (("MOST_EXAMPLES", 3599), "at most 60 runs with 3,599 test examples"),
        (("MOST_RUNS", 5), "at most 5 runs with 300,000 test examples"),
    ],
)
def test_what_would_take_too_long_is_left_out_and_the_page_says_why(
    real, tmp_path, monkeypatch, bound, words
):
    monkeypatch.setattr(example_pairs, *bound)
    monkeypatch.setattr(example_pairs, "example_scores", None)
    build([real], tmp_path / "site")
    found, page = told(tmp_path / "site")
    assert page.count(f"a site has {words}") == 1
    assert "would add 6 runs with 3,600. `gap RUNS_DIR --pairs` computes it." in page
    assert all("would add 6 runs" in entry["examples_note"] for entry in found.values())


def test_runs_that_stored_no_predictions_say_so(runs, tmp_path):
    for folder in runs.iterdir():
        result = Result.model_validate_json((folder / "result.json").read_text())
        (folder / "result.json").write_bytes(result.model_copy(update={"files": {}}).as_json())
    build([runs], tmp_path / "site")
    assert told(tmp_path / "site")[1].count("seed 0: no predictions are stored") == 3
