"""What a run tells of its search, against its own settings."""

from __future__ import annotations

import pytest
from harness import run_both
from run_tampering import centralized_folder, copied_runs, edit, failures, renew, report_of

from fednlp.results import files
from fednlp.results.gap import gaps
from fednlp.results.reading import load_run, load_runs
from fednlp.results.schema import Trial, Tuning
from fednlp.results.tuning import UNTUNED, tuning_note, with_tuning


def tuned(folder, values, scores=(0.2, 0.5, None, 0.5)):
    """The run, as if its second trial had been `values`."""
    below_and_above = zip((0.001, 0.002, 0.7, 0.8), scores, strict=True)
    trials = [Trial(values=dict.fromkeys(values, v), validation=s) for v, s in below_and_above]
    trials[1] = Trial(values=values, validation=scores[1])
    tuning = Tuning(seeds=[100], rounds=1, trials=trials, chosen=1, tied=1, edges=[])
    result = with_tuning(load_run(folder).result, tuning)
    files.write_bytes(folder / "result.json", result.as_json())


NEW = {"values": {"client.lr": 0.3, "algorithm.mu": 0.3, "server.lr": 0.3}, "validation": 0.1}


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
        (lambda r: r["tuning"]["trials"].append(NEW), "the notes"),
        (lambda r: r["tuning"]["trials"].append({**NEW, "values": {}}), "other keys"),
        (lambda r: r["tuning"]["trials"].append(r["tuning"]["trials"][0]), "of one before it"),
        (lambda r: r["tuning"].update(seeds=[100, 100]), "with seeds [100, 100]"),
        (lambda r: r["tuning"].update(rounds=999), "trials of 999 rounds for a run of"),
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


def retold(folder, tuning):
    """A search with its note, by somebody who writes both."""
    result = with_tuning(load_run(folder).result, tuning)
    files.write_bytes(folder / "result.json", result.as_json())
    renew(folder)


def untold(folder):
    """As if nothing had been searched."""

    def remove(result):
        note = tuning_note(Tuning.model_validate(result["tuning"]))
        notes = [UNTUNED if known == note else known for known in result["notes"]]
        result.update(tuned=False, tuning=None, notes=notes)

    edit(folder / "result.json", remove)
    renew(folder)


def test_a_search_that_only_one_of_a_pair_tells_leaves_the_gap_untuned(folder):
    """As where a suite with a search and one without it share a directory."""

    def told():
        (check,) = [c for c in report_of(folder, 0).checks if c.name == "gap"]
        (line,) = gaps(load_runs(folder.parent))
        assert check.outcome == "passed" and line.tuned == ("untuned" not in check.detail)
        return check.detail

    central = centralized_folder(folder.parent)
    assert "untuned" not in told()
    untold(folder)
    assert "untuned: settings of the reference were searched for, those of the run not" in told()
    untold(central)
    assert not caught(folder)
    tuned(folder, {"client.lr": 0.002, "algorithm.mu": 0.1, "server.lr": 0.5})
    assert "untuned: settings of the run were searched for, those of the reference not" in told()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: {"trials": t.trials[:3], "tied": 0}, "trials: 3 for the run, but 4"),
        (lambda t: {"rounds": 2}, "rounds of a trial: 2 for the run, but 1"),
        (lambda t: {"seeds": [100, 101]}, "seeds of a trial: 2 for the run, but 1"),
    ],
)
def test_another_budget_than_that_of_the_reference(change, words, folder):
    tuning = load_run(folder).result.tuning
    retold(folder, tuning.model_copy(update=change(tuning)))
    assert words in caught(folder)["gap"]


@pytest.mark.parametrize(
    ("values", "edges", "words"),
    [
        ((0.001, 0.002, 0.003, 0.004), ["lr"], "is told to be at the edge"),
        ((0.003, 0.002, 0.004, 0.005), [], "and not told to be"),
        ((0.003, 0.002, 0.004, 0.005), ["lr"], None),
        ((0.001, 0.002, 0.003, 0.004), [], None),
    ],
)
def test_edges_are_those_of_the_told_values(values, edges, words, folder):
    """Of the reference, whose rate is made to be 0.004 in the run."""
    central = centralized_folder(folder.parent)
    tuning = load_run(central).result.tuning
    scale = 0.004 / values[1]
    trials = [
        trial.model_copy(update={"values": {"lr": value * scale}})
        for value, trial in zip(values, tuning.trials, strict=True)
    ]
    retold(central, tuning.model_copy(update={"trials": trials, "edges": edges}))
    found = caught(central)
    assert (words in found["search"]) if words else not found
