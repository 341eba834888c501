"""`fednlp.results.load`: the numbers are those of the files, the dtypes those of the page."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from folder_damage import damage
from harness import QUIET, ROOT

from fednlp.errors import UserError
from fednlp.results import load
from fednlp.results.frames import clients, columns, rounds, runs
from fednlp.results.gap import gaps
from fednlp.results.reading import load_run, load_runs
from fednlp.runs import run_pair


@pytest.fixture(scope="module")
def runs_dir(small_config, tmp_path_factory):
    """Two tasks, three methods (one with personal weights), two seeds, references for one task."""
    out = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        for method in ("FedAvg", {"name": "FedProx", "mu": 0.1}):
            changes = {"rounds": 3, "seed": seed, "evaluation.every": 2, "algorithm": method}
            run_pair(small_config(changes), out, QUIET)
    more = {"algorithm": "ditto", "evaluation": {"min_client_examples": 5, "local_only": 1}}
    run_pair(small_config({**more, "rounds": 1}), out, QUIET)
    tagging = {"dataset.name": "synthetic_events", "centralized.budget": "none", "rounds": 1}
    run_pair(small_config(tagging), out, QUIET)
    (out / "notes.txt").write_text("no run")
    return out


@pytest.fixture(scope="module")
def tables(runs_dir):
    return load(runs_dir)


def test_a_row_is_a_run(tables, runs_dir):
    known = load_runs(runs_dir)
    assert tables.problems == []
    assert tables.runs["run"].tolist() == [run.path.name for run in known]
    for (_, row), run in zip(tables.runs.iterrows(), known, strict=True):
        result = run.result
        key = result.primary_metric
        assert row["id"] == result.id and row["seed"] == result.seed
        assert row["score"] == result.selected.test[key] == row[f"test.{key}"]
        assert row["last_score"] == result.last.test[key]
        assert row["floor"] == result.floor["test"][key]
        assert row["score_stderr"] == result.selected.test_stderr
        assert row["rounds"] == result.costs.rounds == len(run.rounds)
        for name, value in result.costs.model_dump().items():
            assert row[f"costs.{name}"] == value, name
        if result.clients is None:
            assert row["kind"] == "centralized" and pd.isna(row["clients.mean"])
        else:
            assert row["clients.coverage"] == result.clients.coverage
            assert row["cohort"] == run.identity["sampling"]["clients_per_round"]
        assert row["setting.client.lr"] == run.identity["client"]["lr"]
        assert row["setting.model.card.scratch.architecture"] == "bert"
    assert pd.isna(tables.runs["test.accuracy"]).sum() == 1  # of the other task


def test_gaps_are_those_of_the_gap_table(tables, runs_dir):
    lines = gaps(load_runs(runs_dir))
    assert len(lines) == 3
    found = tables.runs.dropna(subset=["gap"])
    assert len(found) == 5
    for line in lines:
        own = found[found["algorithm"] == line.algorithm]
        assert own["seed"].tolist() == list(line.seeds)
        assert own["gap"].mean() == pytest.approx(line.gap.mean)
        assert own["last_gap"].mean() == pytest.approx(line.last.mean)
        assert own["centralized"].mean() == pytest.approx(line.centralized)
        assert own["skew"].iloc[0] == pytest.approx(line.skew)
        assert (own["partition"] == line.partition).all() and (own["client"] == line.client).all()
        if line.relative is not None:
            assert own["relative_gap"].mean() == pytest.approx(line.relative.mean)
    assert tables.runs.loc[tables.runs["kind"] == "centralized", "gap"].isna().all()


def test_a_row_is_a_round(tables, runs_dir):
    assert len(tables.rounds) == tables.runs["rounds"].sum()
    for name, own in tables.rounds.groupby("run", sort=False):
        run = load_run(runs_dir / name)
        key, curve = run.result.primary_metric, dict(run.validation_curve())
        assert own["round"].tolist() == [record["round"] for record in run.rounds]
        assert own["total_bytes"].tolist() == run.cumulative_bytes()
        for (_, row), record in zip(own.iterrows(), run.rounds, strict=True):
            for column in ("examples", "steps", "real_tokens", "bytes_up", "weights_sha256"):
                assert row[column] == record[column]
            for column in ("train_loss", "device_seconds", "evaluation_seconds", "wall_seconds"):
                assert row[column] == record[column]
            assert row["cohort"] == len(record.get("clients", []))
            assert row["skipped"] == len(record.get("skipped", []))
            value = curve.get(record["round"], np.nan)
            np.testing.assert_equal([row["validation"], row[f"validation.{key}"]], [value, value])
        seconds = np.cumsum([record["device_seconds"] for record in run.rounds])
        np.testing.assert_allclose(own["total_device_seconds"], seconds)


def test_a_row_is_a_client(tables, runs_dir):
    federated = tables.runs.loc[tables.runs["kind"] == "federated", "run"]
    assert set(tables.clients["run"]) == set(federated)
    for name, own in tables.clients.groupby("run"):
        file = pd.read_csv(runs_dir / name / "clients.csv")
        own = own.reset_index(drop=True)
        for column in file:
            pd.testing.assert_series_equal(own[column], file[column], check_dtype=False)
    assert tables.clients["global_score"].notna().any()
    assert tables.clients["local_only"].notna().sum() == 1


# dtypes ------------------------------------------------------------------------------------------


def dtypes(frame):
    return {name: str(dtype) for name, dtype in frame.dtypes.items()}


def test_dtypes_do_not_depend_on_what_is_there(tables, tmp_path):
    empty = load(tmp_path)
    for frame, none, fixed in (
        (tables.runs, empty.runs, list(runs.DTYPES)),
        (tables.rounds, empty.rounds, list(rounds.COLUMNS)),
        (tables.clients, empty.clients, list(clients.COLUMNS)),
    ):
        assert len(none) == 0 and list(none) == fixed
        found = dtypes(frame)
        assert {name: found[name] for name in fixed} == dtypes(none)
        for name in set(frame) - set(fixed):
            free = name.startswith("setting.")
            assert found[name] in ({"float64", "boolean", "string"} if free else {"float64"})
    assert {str(runs.DTYPES[name]) for name in ("run", "task")} == {"string"}
    assert dtypes(tables.rounds)["round"] == dtypes(tables.clients)["client"] == "int64"
    assert dtypes(tables.runs)["setting.seed"] == "float64"
    assert empty.problems == []


def test_settings_of_several_kinds():
    assert str(columns.free_form([1, 2.5, None]).dtype) == "float64"
    assert str(columns.free_form([True, None]).dtype) == "boolean"
    mixed = columns.free_form(["a", 1, [2], None])
    assert mixed.tolist()[:3] == ["a", "1", "[2]"] and pd.isna(mixed[3])


def test_tables_join_and_are_tidy(tables):
    joined = tables.rounds.merge(tables.runs[["run", "algorithm", "seed"]], on="run")
    assert len(joined) == len(tables.rounds)
    assert not tables.rounds.duplicated(["run", "round"]).any()
    assert not tables.clients.duplicated(["run", "client"]).any()
    assert tables.runs["run"].is_unique


# what is wrong -----------------------------------------------------------------------------------


def test_no_directory(tmp_path):
    with pytest.raises(UserError, match="no such directory"):
        load(tmp_path / "none")


def test_a_missing_reference_is_named_and_its_run_stays(runs_dir, tmp_path):
    for path in runs_dir.glob("*FedAvg-s0*"):
        shutil.copytree(path, tmp_path / path.name)
    tables = load(tmp_path)
    assert len(tables.runs) == 2 and tables.runs["gap"].isna().all()
    (problem,) = tables.problems
    assert "its centralized reference is not in this directory" in problem


READ = ("result.json", "identity.json", "rounds.jsonl", "clients.csv", "checkpoints/manifest.json")


@pytest.mark.parametrize("file", READ)
def test_a_damaged_folder_is_named_and_left_out(file, runs_dir, tmp_path):
    """Whatever happens to a file: either nothing changes, or the folder is a problem."""
    names = sorted(path.name for path in runs_dir.glob("*-FedAvg-s*"))
    whole, broken = names[0], names[1]
    rng = random.Random(file)
    shutil.copytree(runs_dir / whole, tmp_path / whole)
    sound = load(tmp_path)
    for _ in range(12):
        shutil.rmtree(tmp_path / broken, ignore_errors=True)
        shutil.copytree(runs_dir / broken, tmp_path / broken)
        expected = load(tmp_path)
        how = damage(tmp_path / broken / file, rng)
        found = load(tmp_path)
        if broken in set(found.runs["run"]):  # nothing that is read has changed
            pd.testing.assert_frame_equal(found.rounds, expected.rounds)
            pd.testing.assert_frame_equal(found.clients, expected.clients)
            continue
        assert found.runs["run"].tolist() == [whole], how
        pd.testing.assert_frame_equal(found.rounds, sound.rounds)
        named = [
            line
            for line in found.problems
            if broken in line and "its centralized reference" not in line
        ]
        missing = not (tmp_path / broken / "result.json").exists()
        assert len(named) == 1 or missing, (how, found.problems)


def test_records_of_older_programs_have_no_checksum(runs_dir, tmp_path):
    (path,) = runs_dir.glob("*events*-FedAvg-s0*")
    folder = tmp_path / path.name
    shutil.copytree(path, folder)
    manifest = json.loads((folder / "checkpoints/manifest.json").read_text())
    manifest["log_sha256"] = ""
    (folder / "checkpoints/manifest.json").write_text(json.dumps(manifest))
    assert len(load(tmp_path).rounds) == 1
    log = (folder / "rounds.jsonl").read_text()
    (folder / "rounds.jsonl").write_text(log.replace('"round": 1', '"round": 7'))
    (problem,) = load(tmp_path).problems
    assert "rounds.jsonl:1: is round 7" in problem


def test_pandas_is_imported_by_the_call_only():
    code = (
        "import sys; from fednlp.results import load;"
        "print(callable(load), 'pandas' in sys.modules, 'torch' in sys.modules);"
        "import fednlp.results.reading; from fednlp.results import load; print(callable(load))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "False", "False", "True"]
