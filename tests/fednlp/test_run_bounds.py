"""A folder with numbers that no run can have measured: named and skipped, and the rest is shown."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import replace

import pytest
from harness import command

from benchmarks.synthetic_runs import Made, write_pair
from fednlp.leaderboard.build import board_of
from fednlp.results import load
from fednlp.results.bounds import DEEPEST, out_of_bounds
from fednlp.results.gap import relative_gap
from fednlp.results.own_names import MANIFEST
from fednlp.results.reading import load_run
from fednlp.results.schema import Result

BASE = Made(rounds=3)


@pytest.fixture
def runs(tmp_path):
    """Two methods on one seed."""
    folder = tmp_path / "runs"
    folder.mkdir()
    for method in ("FedAvg", "FedProx"):
        write_pair(folder, replace(BASE, method=method))
    return folder


def of(runs, method):
    (path,) = (p for p in runs.iterdir() if method in p.name)
    return path


def forge_result(path, change):
    """Changes the plain data of a result in place; its checksum is that of the new content."""
    file = path / "result.json"
    data = json.loads(file.read_text())
    del data["checksum"]
    change(data)
    content = {k: v for k, v in data.items() if v or k not in ("files", "tuning")}
    whole = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    file.write_text(json.dumps({**data, "checksum": whole}))


def forge_rounds(path, change):
    """Changes the records in place; the manifest names their checksum."""
    records = [json.loads(line) for line in (path / "rounds.jsonl").read_text().splitlines()]
    change(records)
    log = "".join(json.dumps(record) + "\n" for record in records).encode()
    (path / "rounds.jsonl").write_bytes(log)
    manifest = json.loads((path / MANIFEST).read_text())
    told = {"log_bytes": len(log), "log_sha256": hashlib.sha256(log).hexdigest()}
    (path / MANIFEST).write_text(json.dumps({**manifest, **told}))


def forge_identity(path, key, value):
    """Another content under its own id, which the result has too."""
    data = json.loads((path / "identity.json").read_text())
    data["content"][key] = value
    content = {**data["content"], "rounds": data["rounds"]}
    data["id"] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (path / "identity.json").write_text(json.dumps(data))
    forge_result(path, lambda result: result.update(id=data["id"]))


def skipped_everywhere(runs, bad):
    """Every reader names the folder in one line and shows the other method."""
    answers = {
        form: command("gap", runs, "--format", form)
        for form in ("csv", "json", "markdown", "table")
    }
    answers["pairs"] = command("gap", runs, "--pairs", "--format", "json")
    answers["plot"] = command("plot", runs)
    for form, answer in answers.items():
        lines = answer.err.splitlines()
        assert lines[0].startswith("skipped: ") and bad.name in lines[0], (form, answer)
        if form != "pairs":  # one method alone has no pair
            assert answer.code == 0 and len(lines) == 1, (form, answer)
    (row,) = csv.DictReader(io.StringIO(answers["csv"].out))
    assert row["algorithm"] == "FedProx" and len(json.loads(answers["json"].out)) == 1
    for form in ("table", "markdown"):
        assert "FedProx" in answers[form].out and "FedAvg" not in answers[form].out
    board = board_of([runs])
    assert [line.algorithm for line in board.lines] == ["FedProx"]
    assert len(board.problems) == 1 and bad.name in board.problems[0]
    tables = load(runs)
    assert set(tables.runs["algorithm"].dropna()) == {"FedProx"}
    assert len(tables.problems) == 1 and bad.name in tables.problems[0]


def set_at(*path, value):
    """A change of plain data: what stands at the keys."""

    def change(data):
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return change


DEEP: object = 0
for _ in range(DEEPEST + 1):
    DEEP = [DEEP]

FORGED = {
    "a metric of 1e308": set_at("selected", "test", "accuracy", value=1e308),
    "an accuracy of 5": set_at("selected", "test", "accuracy", value=5.0),
    "a negative metric": set_at("last", "test", "accuracy", value=-0.1),
    "a metric that is not the primary one": set_at("last", "test", "second_metric", value=1e308),
    "a floor": set_at("floor", "test", "accuracy", value=1.5),
    "an error over examples": set_at("selected", "test_stderr", value=1e308),
    "scores of clients": set_at("clients", "mean", value=7.0),
    "a cost": set_at("costs", "device_seconds", value=1e300),
    "a negative cost": set_at("costs", "peak_memory_bytes", value=-1),
    "an endless count": set_at("costs", "peak_memory_bytes", value=10**400),
    "a seed": set_at("seed", value=2**63),
    "an endless rate": set_at("client", "lr", value=10**400),
    "an endless skew": set_at("partition", "achieved", "js_distance", value=10**400),
    "a parameter of depth": set_at("partition", "parameters", "alpha", value=DEEP),
    "half a character": set_at("partition", "parameters", "alpha", value="\ud800"),
}


@pytest.mark.parametrize("what", FORGED)
def test_results(runs, what):
    bad = of(runs, "FedAvg")
    forge_result(bad, FORGED[what])
    skipped_everywhere(runs, bad)


RECORDS = {
    "a metric": set_at(1, "validation", "accuracy", value=5.0),
    "another metric": set_at(1, "validation", "second_metric", value=-1e308),
    "a loss": set_at(0, "train_loss", value=1e308),
    "an endless loss": set_at(0, "train_loss", value=10**400),
    "device seconds": set_at(1, "device_seconds", value=-1e300),
    "no number": set_at(0, "wall_seconds", value="long"),
    "a metric that is none": set_at(1, "validation", "other", value="good"),
    "no primary metric": set_at(1, "validation", value={"second_metric": 0.1}),
}


@pytest.mark.parametrize("what", RECORDS)
def test_records_of_rounds(runs, what):
    bad = of(runs, "FedAvg")
    forge_rounds(bad, RECORDS[what])
    skipped_everywhere(runs, bad)


@pytest.mark.parametrize("value", [10**400, DEEP])
def test_settings(runs, value):
    bad = of(runs, "FedAvg")
    forge_identity(bad, "note", value)
    skipped_everywhere(runs, bad)


def test_a_key_told_twice_stops_no_data_frame(runs):
    bad = of(runs, "FedAvg")
    forge_rounds(bad, lambda records: records[0].update({"validation.accuracy": 0.5}))
    tables = load(runs)
    assert len(tables.runs) == 2 and bad.name in tables.problems[0]


def test_a_seed_of_a_split_that_no_column_holds_stops_no_data_frame(runs):
    bad = of(runs, "FedAvg")
    forge_result(bad, set_at("partition", "seed", value=2**80))
    tables = load(runs)
    assert len(tables.runs) == 2 and bad.name in tables.problems[0]


def test_scores_of_clients_stop_no_data_frame(runs):
    bad = of(runs, "FedAvg")
    lines = (bad / "clients.csv").read_text().splitlines()
    lines[1] = lines[1].rpartition(",")[0] + ",5.0"
    (bad / "clients.csv").write_text("\n".join(lines) + "\n")
    tables = load(runs)
    assert len(tables.runs) == 2 and "clients.csv: score" in tables.problems[0]
    notes = {run.path: run.notes for run in board_of([runs]).runs}
    assert notes[bad] == ["clients.csv does not hold scores of clients"]


def test_the_ends_of_the_bounds_are_inside(runs):
    """A score of 0 and of 1, and the largest seed: the folder is shown."""
    good = of(runs, "FedAvg")

    def change(data):
        data["selected"]["test"]["accuracy"], data["last"]["test"]["accuracy"] = 0.0, 1.0

    forge_result(good, change)
    assert load_run(good).result.selected.test["accuracy"] == 0.0
    assert len(json.loads(command("gap", runs, "--format", "json").out)) == 2
    file = good / "result.json"
    largest = Result.model_validate_json(file.read_text()).model_copy(update={"seed": 2**63 - 1})
    file.write_bytes(largest.as_json())
    assert load(runs).runs["seed"].max() == 2**63 - 1


def test_free_form_data():
    assert out_of_bounds({"a": [1, 2.5, True, None, "x", -1e100]}) is None
    assert out_of_bounds({"a": [1, {"b": 2e100}]}) == "holds a number that is out of all bounds"
    assert out_of_bounds({"ä\ud800": 1}) == "holds half a character"
    assert out_of_bounds(["Größe 数据 😀"]) is None
    assert out_of_bounds(DEEP) == "is nested too deeply" and out_of_bounds(DEEP[0]) is None


def test_no_relative_gap_where_centralized_beats_the_floor_by_rounding():
    """1 / 5e-324 is no number, and 0.1 + 0.2 is no better than 0.3."""
    assert relative_gap(5e-324, 1.0, 0.0) is None and relative_gap(0.1 + 0.2, 0.5, 0.3) is None
    assert relative_gap(0.9, 0.8, 0.2) == pytest.approx(1 / 7)
