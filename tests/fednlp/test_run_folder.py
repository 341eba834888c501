"""The folder of a run: one commit point, checksums, one holder, one line for whatever is wrong."""

from __future__ import annotations

import json
import os
import re
import time

import pytest
import torch
from harness import forked

from fednlp import conclusion
from fednlp.errors import UserError
from fednlp.results import files
from fednlp.results.manifest import Manifest, read_manifest
from fednlp.results.reading import load_run, load_runs
from fednlp.results.run_folder import RunFolder

WEIGHTS = {"weights": torch.arange(5.0)}


def record(number):
    return {"round": number, "validation": {"accuracy": 0.5}, "bytes_up": 1, "bytes_down": 1}


def commit(folder, number, **options):
    folder.log(record(number))
    folder.put_state(number, {"weights": torch.arange(5.0) + number})
    folder.commit(number, **options)


def names(folder):
    return sorted(
        str(path.relative_to(folder.path))
        for part in ("checkpoints", "clients")
        for path in (folder.path / part).glob("*.safetensors")
    )


def test_what_is_committed_is_found_again(tmp_path):
    with RunFolder(tmp_path / "a") as folder:
        assert folder.manifest.completed == 0 and folder.rounds() == []
        commit(folder, 1, best=0.5)
        commit(folder, 2)
        commit(folder, 3)
    with RunFolder(tmp_path / "a") as folder:
        manifest = folder.manifest
        assert (manifest.completed, manifest.best_round, manifest.best_metric) == (3, 1, 0.5)
        assert torch.equal(folder.tensors(manifest.state)["weights"], torch.arange(5.0) + 3)
        assert torch.equal(folder.tensors(manifest.best)["weights"], torch.arange(5.0) + 1)
        assert [r["round"] for r in folder.rounds()] == [1, 2, 3]
        assert len(names(folder)) == 2  # round 2 was neither last nor best


def test_what_is_not_committed_never_happened(tmp_path):
    with RunFolder(tmp_path) as folder:
        folder.put_client_state(4, 0, WEIGHTS)
        commit(folder, 1, best=0.5)
        folder.put_client_state(4, 1, {"weights": torch.zeros(5)})
        folder.put_client_state(5, 1, WEIGHTS)
        folder.log(record(2))
        assert torch.equal(folder.client_state(4)["weights"], torch.zeros(5))  # within the round
        (tmp_path / "checkpoints" / ".round-000002.safetensors.1.tmp").write_bytes(b"half")
        (tmp_path / ".result.json.1.tmp").write_bytes(b"half")
    with RunFolder(tmp_path) as folder:
        assert folder.client_state(5) is None
        assert torch.equal(folder.client_state(4)["weights"], WEIGHTS["weights"])
        assert len(folder.rounds()) == 1
        assert (tmp_path / "rounds.jsonl").stat().st_size == folder.manifest.log_bytes
        assert names(folder) == [
            "checkpoints/round-000001.safetensors", "clients/000004-000000.safetensors",
        ]  # fmt: skip
        assert not list(tmp_path.rglob("*.tmp")), "a killed process's temporary files stay"


@pytest.mark.parametrize("left", ["rounds.jsonl", "checkpoints", "clients"])
def test_rounds_without_their_manifest_are_refused(tmp_path, left):
    with RunFolder(tmp_path) as folder:
        folder.put_client_state(4, 0, WEIGHTS)
        commit(folder, 1, best=0.5)
    (tmp_path / "checkpoints" / "manifest.json").unlink()
    for name in {"rounds.jsonl", "checkpoints", "clients"} - {left}:
        for path in (tmp_path / name).glob("*") if name != "rounds.jsonl" else [tmp_path / name]:
            path.unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    with pytest.raises(UserError, match=f"manifest.json: is missing, but there is {left}"):
        RunFolder(tmp_path).__enter__()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


def test_a_run_that_was_killed_before_its_first_commit_begins_again(tmp_path):
    with RunFolder(tmp_path) as folder:
        folder.log(record(1))
        files.write_tensors(tmp_path / "checkpoints" / "round-000001.safetensors", WEIGHTS)
    with RunFolder(tmp_path) as folder:
        assert folder.manifest == Manifest() and names(folder) == [] == folder.rounds()


def test_client_states_of_the_selected_round_are_kept(tmp_path):
    with RunFolder(tmp_path) as folder:
        folder.put_client_state(0, 0, WEIGHTS)
        commit(folder, 1, best=0.5)
        folder.put_client_state(0, 1, {"weights": torch.ones(5)})
        commit(folder, 2)
        assert torch.equal(folder.client_state(0, best=True)["weights"], WEIGHTS["weights"])
        assert torch.equal(folder.client_state(0)["weights"], torch.ones(5))
        commit(folder, 3, best=0.6)
        assert torch.equal(folder.client_state(0, best=True)["weights"], torch.ones(5))
        assert len(list((tmp_path / "clients").iterdir())) == 1


def test_kept_rounds_survive(tmp_path):
    with RunFolder(tmp_path) as folder:
        for number in range(1, 6):
            commit(folder, number, best=0.5 if number == 1 else None, keep=number in (2, 4))
        assert set(folder.manifest.kept) == {"2", "4"}
        assert names(folder) == [f"checkpoints/round-00000{n}.safetensors" for n in (1, 2, 4, 5)]


def test_adopting_shares_files_and_leaves_the_donor_whole(tmp_path):
    with RunFolder(tmp_path / "donor") as donor:
        donor.put_client_state(7, 0, WEIGHTS)
        commit(donor, 1, best=0.5)
        donor.log(record(2))  # never committed
        with RunFolder(tmp_path / "heir") as heir:
            heir.adopt(donor)
            assert heir.manifest == donor.manifest and heir.rounds() == [record(1)]
            commit(heir, 2, best=0.7)
            assert torch.equal(heir.client_state(7)["weights"], WEIGHTS["weights"])
    with RunFolder(tmp_path / "donor") as donor:
        assert donor.manifest.completed == 1
        assert torch.equal(donor.tensors(donor.manifest.state)["weights"], torch.arange(5.0) + 1)


def test_one_process_at_a_time(tmp_path):
    def intrude():
        with pytest.raises(UserError, match=f"is held by process {holder}") as error:
            RunFolder(tmp_path).__enter__()
        assert "\n" not in str(error.value)

    holder = os.getpid()
    with RunFolder(tmp_path):
        assert forked(intrude) == 0
    with RunFolder(tmp_path):
        pass


def test_a_folder_that_cannot_be_opened_is_not_held(tmp_path):
    with RunFolder(tmp_path) as folder:
        commit(folder, 1)
    manifest = tmp_path / "checkpoints" / "manifest.json"
    good = manifest.read_bytes()
    manifest.write_text("{")
    for _ in range(2):
        with pytest.raises(UserError, match="not readable as JSON"):
            RunFolder(tmp_path).__enter__()
    manifest.write_bytes(good)
    with RunFolder(tmp_path) as folder:
        assert folder.manifest.completed == 1


def test_a_log_that_is_longer_than_any_file(tmp_path):
    with RunFolder(tmp_path) as folder:
        commit(folder, 1)
    manifest = tmp_path / "checkpoints" / "manifest.json"
    text = re.sub(r'"log_bytes": ?\d+', f'"log_bytes": {10**30}', manifest.read_text())
    manifest.write_text(text)
    with pytest.raises(UserError, match=rf"of {10**30} committed bytes"):
        RunFolder(tmp_path).__enter__()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not readable as JSON"),
        ("[]", "not a manifest"),
        ('{"completed": 1, "colour": "red"}', "not a manifest of this version.*colour"),
        ('{"log_bytes": -1}', "a log of -1 bytes"),
    ],
)
def test_a_damaged_manifest_is_one_line(tmp_path, content, message):
    path = tmp_path / "manifest.json"
    path.write_text(content)
    with pytest.raises(UserError, match=message) as error:
        read_manifest(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_tensors_are_checked_against_their_checksum(tmp_path):
    path = tmp_path / "x.safetensors"
    checksum = files.write_tensors(path, WEIGHTS)
    assert torch.equal(files.read_tensors(path, checksum)["weights"], WEIGHTS["weights"])
    data = bytearray(path.read_bytes())
    data[-3] ^= 16
    path.write_bytes(data)
    with pytest.raises(UserError, match="checksum"):
        files.read_tensors(path, checksum)
    path.unlink()
    with pytest.raises(UserError, match="no such file"):
        files.read_tensors(path, checksum)


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    files.write_json(path, {"a": 1})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"No space left on device.*free space"):
        files.write_json(path, {"a": 2})
    assert files.read_json(path) == {"a": 1} and os.listdir(tmp_path) == ["result.json"]


def test_a_writer_that_dies_leaves_the_old_file(tmp_path):
    path = tmp_path / "result.json"
    files.write_json(path, {"a": 1})

    def die():
        os.replace = lambda *_: os._exit(7)
        files.write_json(path, {"a": 2})

    assert forked(die) == 7
    assert files.read_json(path) == {"a": 1}


def test_nan_never_reaches_a_file(tmp_path):
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not os.listdir(tmp_path)


def test_a_manifest_knows_what_it_refers_to():
    manifest = Manifest(state="a", best="b", kept={"1": "c"}, clients={"0": "d"})
    assert manifest.referenced() == {"a", "b", "c", "d"} and Manifest().referenced() == set()


# a finished run ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(small_config, tmp_path_factory):
    from harness import run_both

    return run_both(small_config(), tmp_path_factory.mktemp("finished"))


def test_the_folder_holds_what_the_documentation_says(finished):
    federated, central = finished
    expected = {
        "checkpoints", "clients", "clients.csv", "config.yaml", "environment.json",
        "identity.json", "lock", "partition.npz", "predictions.parquet", "result.json",
        "rounds.jsonl",
    }  # fmt: skip
    assert {p.name for p in federated.path.iterdir()} == expected
    assert {p.name for p in central.path.iterdir()} == expected - {"partition.npz", "clients.csv"}
    (known,) = json.loads((federated.path / "environment.json").read_text())
    assert known["from_round"] == 1
    assert {"device", "threads", "torch", "transformers", "commit", "python"} <= known.keys()


def test_the_id_is_the_hash_of_the_identity_and_the_folder_carries_it(finished):
    import hashlib

    for run in finished:
        identity = json.loads((run.path / "identity.json").read_text())
        content = {**identity["content"], "rounds": identity["rounds"]}
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        assert digest == identity["id"] == run.result.id
        assert run.path.name == run.result.folder and run.path.name.endswith(digest[:12])


def test_the_stored_configuration_makes_the_same_run(finished):
    from pathlib import Path

    from harness import experiment

    from fednlp import config as configuration
    from fednlp.identity import federated_identity

    federated = finished[0]
    again = configuration.load(Path(federated.path / "config.yaml"))
    assert federated_identity(experiment(again)).id == federated.result.id


@pytest.mark.parametrize(
    "changes",
    [
        {"client.lr": 0.2},
        {"seed": 1},
        {"rounds": 3},
        {"partition.seed": 1},
        {"algorithm": {"name": "fedprox", "mu": 0.1}},
        {"server.lr": 0.5},
        {"tokens.max_length": 40},
        {"sampling.clients_per_round": 3},
        {"dataset.limit": {"train": 90}},
        {"model.dropout": 0.0},
        {"precision": "bf16"},
        {"evaluation.validation_examples": 10},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_can_change_the_result_changes_the_id(changes, finished, small_config):
    from harness import experiment

    from fednlp.identity import federated_identity

    assert federated_identity(experiment(small_config(changes))).id != finished[0].result.id


@pytest.mark.parametrize(
    "changes",
    [
        {"engine.device": "cpu"},
        {"engine.threads": 1},
        {"engine.together": 2},
        {"checkpoint.every": 2},
        {"checkpoint.keep_every": 1},
        {"centralized.budget": "converged"},
        {"centralized.client": {"lr": 1.0}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_cannot_change_the_federated_result_keeps_its_id(changes, finished, small_config):
    from harness import experiment

    from fednlp.identity import federated_identity

    assert federated_identity(experiment(small_config(changes))).id == finished[0].result.id


def centralized_id(config):
    from harness import experiment

    from fednlp.identity import centralized_identity

    return centralized_identity(experiment(config)).id


@pytest.mark.parametrize(
    ("budget", "changes"),
    [
        ("converged", {"client.epochs": 3}),
        ("converged", {"evaluation.every": 2}),
        ("matched", {"client.schedule_span": "participation", "client.schedule": "linear"}),
        ("matched", {"tokens.doc_stride": 20}),
        ("matched", {"tokens.max_target_length": 16}),
    ],
)
def test_what_cannot_change_the_reference_keeps_its_id(budget, changes, small_config):
    base = {"centralized": {"budget": budget, "epochs": 2}}
    if "client.schedule" in changes:
        base["client.schedule"] = "linear"
    assert centralized_id(small_config(base)) == centralized_id(small_config({**base, **changes}))


@pytest.mark.parametrize(
    ("data", "changes", "matter"),
    [
        ("synthetic_facts", {"tokens.doc_stride": 20}, True),
        ("synthetic_facts", {"tokens.max_target_length": 16}, False),
        ("synthetic_headlines", {"tokens.max_target_length": 16}, True),
        ("synthetic_headlines", {"tokens.doc_stride": 20}, False),
    ],
)
def test_token_settings_count_where_the_task_reads_them(data, changes, matter, small_config):
    from harness import experiment

    from fednlp.identity import federated_identity

    base = {"dataset.name": data}
    ids = {federated_identity(experiment(small_config({**base, **c}))).id for c in ({}, changes)}
    assert len(ids) == 1 + matter
    ids = {centralized_id(small_config({**base, **c})) for c in ({}, changes)}
    assert len(ids) == 1 + matter


def test_cards_by_path_give_the_same_run_from_any_directory(
    finished, small_config, tmp_path, monkeypatch
):
    """The model card under another name: the same id; the stored paths do not depend on where."""
    import shutil

    from harness import ROOT, experiment, run

    from fednlp import config as configuration
    from fednlp.identity import federated_identity

    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "configs" / "models" / "tiny.yaml", "m.yaml")
    shutil.copy(ROOT / "configs" / "datasets" / "synthetic_topics.yaml", "d.yml")
    shutil.copy(finished[0].path / "partition.npz", "split.npz")
    (tmp_path / "mine.py").write_text("from algorithms import FedAvg as Mine\n")
    changes = {
        "model.name": "m.yaml",
        "dataset.name": "d.yml",
        "partition": {"name": None, "clients": None, "file": "split.npz"},
        "algorithm": "mine.py:Mine",
        "centralized.budget": "none",
    }
    made = run(small_config(changes), tmp_path / "runs")
    assert made.result.id == finished[0].result.id
    assert made.path.name.startswith("synthetic-topics-tiny-file-FedAvg-s0-")
    assert (made.result.data.name, made.result.model.name) == ("synthetic_topics", "tiny")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    again = configuration.load(made.path / "config.yaml")
    assert again.algorithm.name == f"{tmp_path / 'mine.py'}:Mine"
    assert federated_identity(experiment(again)).id == made.result.id


def test_a_run_is_found_by_its_id_whatever_its_label(finished, small_config):
    """The same split from a file, the same card by its path: nothing is trained again."""
    from harness import ROOT, run_both

    federated, central = finished
    out = federated.path.parent
    before = sorted(path.name for path in out.iterdir())
    stored = small_config(partition={"name": None, "file": str(federated.path / "partition.npz")})
    assert run_both(stored, out)[0].path == federated.path
    card = ROOT / "configs" / "datasets" / "synthetic_topics.yaml"
    again, reference = run_both(small_config({"dataset.name": str(card)}), out)
    assert (again.path, reference.path) == (federated.path, central.path)
    assert sorted(path.name for path in out.iterdir()) == before


def test_a_stored_split_gives_the_same_run(finished, small_config, tmp_path):
    from harness import digests, run

    stored = {"name": None, "clients": None, "file": str(finished[0].path / "partition.npz")}
    config = small_config(partition=stored, **{"centralized.budget": "none"})
    again = run(config, tmp_path)
    assert again.result.id == finished[0].result.id
    assert digests(again) == [r["weights_sha256"] for r in finished[0].rounds]


def test_a_split_of_other_data_is_refused(finished, small_data, tmp_path):
    import yaml
    from harness import command

    stored = {"name": None, "clients": None, "file": str(finished[0].path / "partition.npz")}
    path = tmp_path / "other.yaml"
    data = small_data({"dataset.name": "synthetic_events"}, partition=stored)
    path.write_text(yaml.safe_dump(data))
    line = command("run", path, "--out", tmp_path / "runs").one_line()
    assert "partition.npz" in line and "other data" in line


def test_costs_are_the_sums_of_the_rounds(finished):
    for run in finished:
        costs = run.result.costs
        for key in ("examples", "steps", "real_tokens", "padded_tokens", "bytes_up", "bytes_down"):
            assert getattr(costs, key) == sum(r[key] for r in run.rounds), key
        assert costs.rounds == len(run.rounds) == 2
        assert 0 < costs.real_tokens <= costs.padded_tokens
        assert costs.padding_waste == costs.padded_tokens / costs.real_tokens
        assert 0 < costs.device_seconds <= costs.wall_seconds
        assert costs.evaluation_seconds > 0 and costs.peak_memory_bytes > 10**8
    federated, central = finished
    assert (central.result.costs.bytes_up, central.result.costs.bytes_down) == (0, 0)
    vector = 4 * federated.result.model.trainable
    assert federated.result.costs.bytes_up == federated.result.costs.bytes_down == 4 * vector


def test_wall_seconds_count_clients_trained_alone(small_config, tmp_path, monkeypatch):
    from harness import run

    monkeypatch.setattr(conclusion, "train_alone", lambda *parts: time.sleep(1.0))
    made = run(small_config({"rounds": 1, "centralized.budget": "none"}), tmp_path)
    rounds = sum(record["wall_seconds"] for record in made.rounds)
    assert made.result.costs.wall_seconds > rounds + 1.0


def test_selection_is_by_validation_and_both_rounds_are_reported(small_config, tmp_path):
    from harness import run

    finished = run(
        small_config({"rounds": 5, "client.lr": 0.3, "centralized.budget": "none"}), tmp_path
    )
    curve = dict(finished.validation_curve())
    best = max(curve.values())
    first = min(number for number, value in curve.items() if value == best)
    result = finished.result
    assert (result.selected.round, result.last.round) == (first, 5)
    assert result.selected.validation["accuracy"] == best
    by_round = {r["round"]: r["weights_sha256"] for r in finished.rounds}
    for score in (result.selected, result.last):
        assert score.weights_sha256 == by_round[score.round]


def test_a_result_of_a_newer_version_or_of_another_shape_is_named_and_skipped(finished, tmp_path):
    import shutil

    good, newer, odd, torn = (tmp_path / name for name in ("a", "b", "c", "d"))
    for path in (good, newer, odd, torn):
        shutil.copytree(finished[0].path, path)
    data = json.loads((good / "result.json").read_text())
    (newer / "result.json").write_text(json.dumps({**data, "schema_version": 99}))
    (odd / "result.json").write_text(json.dumps({**data, "seed": "zero"}))
    (torn / "result.json").write_text((good / "result.json").read_text()[:100])
    (tmp_path / "notes.txt").write_text("not a run")
    problems = []
    assert [run.path.name for run in load_runs(tmp_path, problems)] == ["a"]
    assert len(problems) == 3
    for problem, path, words in zip(
        problems, (newer, odd, torn), ("schema version 99", "seed", "JSON"), strict=True
    ):
        assert str(path) in problem and words in problem and "\n" not in problem
    with pytest.raises(UserError, match="no such directory"):
        load_runs(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no such file"):
        load_run(tmp_path)
