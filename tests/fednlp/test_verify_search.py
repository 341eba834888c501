"""What a run tells of its search, against its own settings."""

from __future__ import annotations

import pytest
from harness import run_both
from run_tampering import centralized_folder, copied_runs, edit, failures, renew, report_of

from fednlp.results import files
from fednlp.results.load import load_run
from fednlp.results.schema import Trial, Tuning
from fednlp.results.tuning import with_tuning


def tuned(folder, values, scores=(0.2, 0.5, None, 0.5)):
    """The run, as if its second trial had been `values`."""
    trials = [Trial(values={k: 0.5 for k in values}, validation=score) for score in scores]
    trials[1] = Trial(values=values, validation=scores[1])
    tuning = Tuning(seeds=[100], rounds=1, trials=trials, chosen=1, tied=1, edges=[])
    result = with_tuning(load_run(folder).result, tuning)
    files.write_bytes(folder / "result.json", result.as_json())


@pytest.fixture(scope="module")
def made(small_config, tmp_path_factory):
    out = tmp_path_factory.mktemp("tuned")
    changes = {
        "algorithm": {"name": "FedProx", "mu": 0.1}, "server": {"lr": 0.5},
        "client.lr": 0.002, "centralized.client": {"lr": 0.004},
    }  # fmt: skip
    federated, central = run_both(small_config(changes), out)
    tuned(federated.path, {"client.lr": 0.002, "algorithm.mu": 0.1, "server.lr": 0.5})
    tuned(central.path, {"lr": 0.004})
    return out


@pytest.fixture
def folder(made, tmp_path):
    return copied_runs(made, tmp_path / "runs")


def caught(folder):
    return failures(report_of(renew(folder), 0))


def test_a_search_that_is_told_right(folder):
    assert not caught(folder) and not caught(centralized_folder(folder.parent))
    (check,) = [c for c in report_of(folder, 0).checks if c.name == "search"]
    assert check.detail == "4 trials of 1 round with seed 100"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.update(tuned=False), "tuned is False"),
        (lambda r: r.update(tuned=True, tuning=None), "tuned is True"),
        (lambda r: r["tuning"].update(chosen=3), "trial 4 is chosen, but trial 2 is the best"),
        (lambda r: r["tuning"].update(tied=0), "equal to the chosen one"),
        (lambda r: r["tuning"]["trials"][0].update(validation=0.9), "trial 1 is the best"),
        (lambda r: r["tuning"]["trials"].append({"values": {}, "validation": 0.1}), "the notes"),
        (lambda r: r["tuning"].update(rounds=2), "the notes"),
        (lambda r: r["tuning"].update(seeds=[100, 101]), "the notes"),
    ],
)
def test_an_edited_search(change, words, folder):
    edit(folder / "result.json", change)
    assert words in caught(folder)["search"]


@pytest.mark.parametrize("key", ["client.lr", "algorithm.mu", "server.lr", "client.momentum"])
def test_settings_that_the_run_does_not_have(key, folder):
    """The notes are forged as well."""
    values = {"client.lr": 0.002, "algorithm.mu": 0.1, "server.lr": 0.5, key: 0.7}
    tuned(folder, values)
    assert f"the search chose {key} 0.7, but the run has" in caught(folder)["search"]


def test_the_runs_own_seed_among_those_of_the_search_is_told(folder):
    result = load_run(folder).result
    own = result.tuning.model_copy(update={"seeds": [result.seed]})
    files.write_bytes(folder / "result.json", with_tuning(result, own).as_json())
    report = report_of(renew(folder), 0)
    (check,) = [c for c in report.checks if c.name == "search"]
    assert check.outcome == "passed" and "this run's own among them" in check.detail
