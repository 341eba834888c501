"""A suite with a search, end to end: budgets, choice on validation alone, resumption, records."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml
from harness import command, digests

from fednlp.jobs import trials as trials_module
from fednlp.jobs.job import plan_jobs
from fednlp.jobs.trials import Trials, read_diverged
from fednlp.results import files
from fednlp.results.reading import load_run, load_runs
from fednlp.suite import read_suite

TUNE = {
    "trials": 2,
    "seeds": [9],
    "rounds": 1,
    "search": {"client.lr": [0.05, 0.5]},
    "variants": {"fedavgm": {"client.lr": [0.1], "server.lr": [0.5, 1.0]}},
}
MATRIX = {"method": {"fedavg": {}, "fedavgm": {"algorithm": "fedavgm"}}}


def suite_file(folder, base, **changes):
    data = {"base": base, "seeds": [0, 1], "matrix": MATRIX, "tune": TUNE, **changes}
    folder.mkdir(exist_ok=True)
    (folder / "suite.yaml").write_text(yaml.safe_dump(data))
    return folder / "suite.yaml"


@pytest.fixture(scope="module")
def tuned(small_data, tmp_path_factory):
    """The suite's file and its finished runs."""
    folder = tmp_path_factory.mktemp("tuned")
    path = suite_file(folder, small_data())
    answer = command("suite", path, "--out", folder / "runs")
    assert answer.code == 0, answer.err
    return path, folder / "runs", answer


def test_every_method_and_the_reference_has_the_same_budget(tuned):
    _, out, answer = tuned
    made = load_runs(out / "tuning")
    assert len(made) == 6  # 2 of each method, 2 of the reference that both share
    assert {run.result.seed for run in made} == {9}
    assert {run.result.costs.rounds for run in made} == {1}
    assert sum(run.result.kind == "centralized" for run in made) == 2
    assert "for every method and reference, 2 trials with 1 seed" in answer.out
    finals = load_runs(out)
    assert len(finals) == 6 and {run.result.seed for run in finals} == {0, 1}
    assert all(run.result.tuned and len(run.result.tuning.trials) == 2 for run in finals)


def test_results_tell_the_search_and_the_table_is_not_untuned(tuned):
    _, out, answer = tuned
    for run in load_runs(out):
        tuning = run.result.tuning
        assert (tuning.seeds, tuning.rounds) == ([9], 1)
        values = tuning.trials[tuning.chosen].values
        if run.result.kind == "centralized":
            assert run.result.client["lr"] == values["lr"]
        else:
            assert run.result.client["lr"] == values["client.lr"]
        assert any(note.startswith("tuned: ") for note in run.result.notes)
        assert not any(note.startswith("untuned") for note in run.result.notes)
    assert "Untuned" not in answer.out and "Tuned" in answer.out
    assert len({r.id for f in load_runs(out) for r in f.result.references}) == 2  # one a seed


def test_the_winner_is_the_best_on_validation(tuned):
    _, out, _ = tuned
    made = [run for run in load_runs(out / "tuning") if run.result.kind == "centralized"]
    scores = {r.result.client["lr"]: r.result.selected.validation["accuracy"] for r in made}
    central = next(run for run in load_runs(out) if run.result.kind == "centralized")
    best = max((0.05, 0.5), key=lambda lr: scores[lr])  # of equals the one that is listed first
    assert central.result.client["lr"] == best
    assert [t.validation for t in central.result.tuning.trials] == [scores[0.05], scores[0.5]]


def chosen(path, out):
    """What the search in `out` chooses."""
    suite = read_suite(path, [])
    search = Trials(suite, suite.search)
    planning = plan_jobs(search.wanted(), out / "tuning")
    scores = search.known_scores(planning, read_diverged(out / "tuning"))
    return [(one.label, one.config, dict(one.tuning)) for one in search.finals(scores)[0]]


def test_scores_on_test_cannot_change_the_choice(tuned):
    """Whatever the trials' test scores are: here the reverse of their order on validation."""
    path, out, _ = tuned
    before, kept = chosen(path, out), {}
    for run in load_runs(out / "tuning"):
        kept[run.path] = (run.path / "result.json").read_bytes()
        scores = {
            name: score.model_copy(update={"test": {k: 1 - v for k, v in score.test.items()}})
            for name, score in (("selected", run.result.selected), ("last", run.result.last))
        }
        lied = run.result.model_copy(update=scores)
        files.write_bytes(run.path / "result.json", lied.as_json())
    try:
        assert chosen(path, out) == before and len(before) == 4
    finally:
        for folder, content in kept.items():
            (folder / "result.json").write_bytes(content)


def test_validation_does_change_it(tuned, monkeypatch):
    """The test above can fail."""
    path, out, _ = tuned
    before = chosen(path, out)
    real = trials_module.validation_score
    monkeypatch.setattr(trials_module, "validation_score", lambda run: 1 - real(run))
    assert chosen(path, out) != before


def test_again_it_only_prints(tuned):
    path, out, _ = tuned
    before = {p: p.stat().st_mtime_ns for p in out.rglob("result.json")}
    again = command("suite", path, "--out", out)
    assert again.code == 0 and "Gap to centralized" in again.out
    assert {p: p.stat().st_mtime_ns for p in out.rglob("result.json")} == before


def test_it_continues_where_trials_are_missing(tuned, tmp_path, small_data):
    """A trial that a kill has cut off is made; those that are finished are not."""
    path, out, _ = tuned
    copy = tmp_path / "runs"
    shutil.copytree(out, copy)
    lost = load_runs(copy / "tuning")[0].path
    shutil.rmtree(lost)
    for run in load_runs(copy):
        shutil.rmtree(run.path)
    kept = {p: p.stat().st_mtime_ns for p in (copy / "tuning").rglob("result.json")}
    assert command("suite", path, "--out", copy).code == 0
    assert {p: p.stat().st_mtime_ns for p in kept} == kept and (lost / "result.json").exists()
    assert [digests(run) for run in load_runs(copy)] == [digests(run) for run in load_runs(out)]


def test_side_by_side_chooses_the_same(tuned, tmp_path):
    path, out, _ = tuned
    answer = command("suite", path, "engine.threads=1", "--jobs", 2, "--out", tmp_path / "runs")
    assert answer.code == 0, answer.err
    found, expected = load_runs(tmp_path / "runs"), load_runs(out)
    assert [run.result.id for run in found] == [run.result.id for run in expected]
    assert [run.result.tuning for run in found] == [run.result.tuning for run in expected]


def test_a_run_that_was_there_untuned_is_told_to_be_tuned(tuned, small_data, tmp_path):
    path, out, _ = tuned
    run = next(r for r in load_runs(out) if r.result.kind == "federated")
    config = tmp_path / "one.yaml"
    config.write_text((run.path / "config.yaml").read_text())
    assert command("run", config, "--out", tmp_path / "runs").code == 0
    alone = load_run(tmp_path / "runs" / run.path.name)
    assert not alone.result.tuned and alone.result.id == run.result.id
    assert any(note.startswith("untuned") for note in alone.result.notes)
    assert command("suite", path, "--out", tmp_path / "runs").code == 0
    after = load_run(alone.path)
    assert after.result.tuning == run.result.tuning and after.rounds == alone.rounds
    assert sum("tuned: " in note for note in after.result.notes) == 1


def test_a_diverged_trial_is_the_worst_and_is_made_once(small_data, tmp_path):
    search = {"client.lr": [0.05, 1e30]}
    base = small_data({"client.clip_norm": None})
    tune = {**TUNE, "search": search, "variants": {}, "rounds": 2}
    path = suite_file(tmp_path, base, matrix={}, seeds=[0], tune=tune)
    answer = command("suite", path, "--out", tmp_path / "runs")
    assert answer.code == 0, answer.err
    assert "diverged (" in answer.out and not answer.err
    known = json.loads((tmp_path / "runs" / "tuning" / "diverged.json").read_text())
    assert len(known) == 2  # of the method and of the reference
    for run in load_runs(tmp_path / "runs"):
        assert [t.validation is None for t in run.result.tuning.trials] == [False, True]
        assert "diverged: 1" in run.result.notes[0] and run.result.client["lr"] == 0.05
    again = command("suite", path, "--out", tmp_path / "runs")
    assert again.code == 0 and "diverged (" not in again.out


def test_where_all_trials_diverge_the_runs_fail_in_one_line(small_data, tmp_path):
    base = small_data({"client.clip_norm": None, "centralized.budget": "none"})
    tune = {**TUNE, "search": {"client.lr": [1e30, 1e31]}, "variants": {}, "rounds": 2}
    path = suite_file(tmp_path, base, matrix={}, seeds=[0], tune=tune)
    answer = command("suite", path, "--out", tmp_path / "runs")
    assert answer.code == 2 and "1 of 1 runs failed:" in answer.err
    assert "all 2 federated trials became NaN or infinite" in answer.err


def test_a_trial_that_fails_otherwise_fails_its_cell_alone(small_data, tmp_path):
    """An incomplete budget is no search."""
    (tmp_path / "mine.py").write_text(
        "from algorithms import FedAvg\n"
        "class Mine(FedAvg):\n"
        "    def local_update(self, client):\n"
        "        raise KeyError('gone')\n"
    )
    matrix = {"method": {"fedavg": {}, "mine": {"algorithm": "mine.py:Mine"}}}
    path = suite_file(tmp_path, small_data(), matrix=matrix, tune={**TUNE, "variants": {}})
    answer = command("suite", path, "--out", tmp_path / "runs")
    assert answer.code == 2 and "2 of 4 runs failed:" in answer.err
    assert "(mine / seed 0 and 1 more): mine / trial 1" in answer.err and "gone" in answer.err
    assert sum(r.result.kind == "federated" for r in load_runs(tmp_path / "runs")) == 2
