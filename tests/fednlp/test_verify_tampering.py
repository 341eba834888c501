"""Whoever edits a run, and makes its checksums new, is caught by a check that names what he did."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from fuzzing import times
from harness import command, run_both
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from run_tampering import (
    MANIFEST,
    centralized_folder,
    copied_runs,
    edit,
    edit_rounds,
    failures,
    federated_folder,
    forge_test_scores,
    renew,
    report_of,
    without_weights,
)

from fednlp import config as configuration
from fednlp.config_schema import PartitionConfig
from fednlp.errors import UserError
from fednlp.evaluation import bootstrap_stderr
from fednlp.experiment import Experiment
from fednlp.flat_model import digest
from fednlp.identity import federated_identity
from fednlp.partitions.build import build_partition
from fednlp.results import files, own_names
from fednlp.verification.check import Wrong
from fednlp.verification.evidence import Evidence, finished_run
from fednlp.verification.remake import Remake
from fednlp.verification.scores import recorded
from fednlp.verification.verify import verify
from fednlp.verification.weight_scores import require_predictions
from partitioners import Partition
from partitioners.partition import Split
from partitioners.seal import seal
from tasks import TASKS
from tasks.task import TokenSettings

SUMMED = ("config.yaml", "environment.json", "clients.csv", "predictions.parquet")


@pytest.fixture(scope="module")
def made(small_config, tmp_path_factory):
    """A pair of runs, all rounds kept; the selected round is not the last."""
    out = tmp_path_factory.mktemp("made")
    changes = {
        "rounds": 5, "checkpoint.keep_every": 1, "evaluation.min_client_examples": 5, "seed": 1,
        "algorithm": "scaffold",
    }  # fmt: skip
    federated, _ = run_both(small_config(changes), out)
    assert federated.result.selected.round != federated.result.last.round
    return out


@pytest.fixture
def folder(made, tmp_path):
    return copied_runs(made, tmp_path / "runs")


def details(report):
    return {check.name: check.detail for check in report.every}


def caught(folder, rounds=0):
    return failures(report_of(renew(folder), rounds))


def test_nothing_is_caught_where_nothing_was_edited(folder):
    assert not caught(folder, rounds=1)


# an edited number ---------------------------------------------------------------------------


def test_an_edited_test_score(folder):
    edit(folder / "result.json", lambda r: r["selected"]["test"].update(accuracy=0.99))
    found = caught(folder)
    assert "selected.test.accuracy is 0.99" in found["test scores"]


def test_an_edited_test_score_with_its_predictions(folder):
    """All values per example say so too; the predictions themselves do not."""
    table = pd.read_parquet(folder / "predictions.parquet")
    for name in ("selected", "last"):
        table[f"{name}_gold"] = table[f"{name}_predicted"]
        table[f"{name}_accuracy"] = 1.0
        edit(folder / "result.json", lambda r, n=name: r[n]["test"].update(
            {"accuracy": 1.0, "macro_f1": 1.0}))  # fmt: skip
        edit(folder / "result.json", lambda r, n=name: r[n].update(test_stderr=0.0))
    table.to_parquet(folder / "predictions.parquet", index=False)
    found = caught(folder)
    assert "selected_accuracy is not that of" in found["predictions against the data"]


def test_an_edited_test_score_with_forged_predictions(folder):
    """The predictions are right answers; the stored weights give others."""
    table = pd.read_parquet(folder / "predictions.parquet")
    table["selected_predicted"] = table["selected_gold"]
    table["selected_accuracy"] = 1.0
    table["selected_prediction"] = [json.dumps(int(gold)) for gold in table["selected_gold"]]
    table.to_parquet(folder / "predictions.parquet", index=False)

    def forge(result):
        result["selected"]["test"] = {"accuracy": 1.0, "macro_f1": 1.0}
        result["selected"]["test_stderr"] = 0.0
        result["clients"] |= {"mean": 1.0, "std": 0.0, "worst_decile": 1.0}

    edit(folder / "result.json", forge)
    clients = pd.read_csv(folder / "clients.csv")
    clients["score"] = 1.0
    clients.to_csv(folder / "clients.csv", index=False)
    assert not caught(folder)
    found = caught(folder, rounds=1)
    assert "selected.test.accuracy is 1.0" in found["scores of the selected round"]


def test_an_edited_test_score_without_weights_is_caught_by_the_replay_that_comes_past(folder):
    forge_test_scores(without_weights(folder), right=True)
    assert report_of(folder, 0).verdict == "consistent"
    number = json.loads((folder / "result.json").read_text())["selected"]["round"]
    reports = (report_of(folder, 1, seed) for seed in range(20))
    early = next(r for r in reports if r.coverage.replayed[-1] < number)
    assert early.verdict == "scores not verified" and not early.passed
    found = failures(report_of(folder, rounds=5))
    for name in ("selected", "last"):
        words = f"{name}.test.accuracy is 1.0, but the replayed weights give"
        assert words in found[f"scores of the {name} round"]


def test_predictions_of_other_weights_are_told_apart_one_by_one(folder):
    evidence = Evidence(finished_run(folder))
    made = [json.loads(text) for text in evidence.predictions["last_prediction"]]
    require_predictions(evidence, "last", made, "stored")
    made[3] = made[3] + 1
    with pytest.raises(Wrong, match="the last prediction for row 3 is not that of the stored"):
        require_predictions(evidence, "last", made, "stored")


def test_a_reference_forged_to_be_worse_has_a_report_of_its_own(folder):
    central = centralized_folder(folder.parent)
    forge_test_scores(central, right=False)
    own, reference = verify(folder)
    assert own.verdict == "verified" and "a report of its own" in details(own)["gap"]
    assert reference.folder == central.name and reference.verdict == "failed"
    assert "selected.test.accuracy is 0.0" in details(reference)["scores of the selected round"]
    assert command("verify", folder, "--rounds", 1).code == 1


# another environment, which is the run's own claim ----------------------------------------------


def claim_a_gpu(folder):
    edit(folder / "environment.json", lambda e: [{**entry, "device": "A GPU"} for entry in e])


def other_last_weights(folder, by):
    """The last weights are moved by so much of their size, and told so everywhere."""
    manifest = json.loads((folder / MANIFEST).read_text())
    name = manifest["state"]
    tensors = files.read_tensors(folder / name, manifest["sha256"][name])
    weights = tensors["weights"]
    generator = torch.Generator().manual_seed(0)
    moved = torch.randn(weights.shape, generator=generator) * by * weights.std()
    tensors["weights"] = weights + moved
    files.write_tensors(folder / name, tensors)
    sha256 = digest(tensors["weights"])
    edit_rounds(folder, lambda r: r[-1].update(weights_sha256=sha256))
    edit(folder / "result.json", lambda r: r["last"].update(weights_sha256=sha256))
    return renew(folder)


def test_a_claimed_environment_is_refuted_by_rounds_of_the_same_bits(folder):
    claim_a_gpu(folder)
    other_last_weights(folder, 1e-4)
    found = failures(report_of(folder, rounds=5))
    (detail,) = (text for name, text in found.items() if name.startswith("replay of round"))
    assert detail.startswith("round 5: weights_sha256 is")
    assert "said to be made elsewhere (device A GPU" in detail and "the same bits here" in detail


def test_scores_have_no_tolerance_where_the_environment_is_refuted(folder):
    claim_a_gpu(folder)
    table = pd.read_parquet(folder / "predictions.parquet")
    wrong = table.index[table["last_accuracy"] == 0][0]  # one more is right: within the tolerance
    gold = int(table["last_gold"][wrong])
    table.loc[wrong, ["last_predicted", "last_accuracy"]] = gold, 1.0
    table.loc[wrong, "last_prediction"] = json.dumps(gold)
    table.to_parquet(folder / "predictions.parquet", index=False)
    scored = recorded(Evidence(finished_run(renew(folder))), "last")
    task = TASKS["text_classification"]([""] * 10, TokenSettings())
    forged = {"test": dict(scored.metrics), "test_stderr": bootstrap_stderr(task, scored)}
    edit(folder / "result.json", lambda r: r["last"].update(forged))
    assert not caught(folder)
    assert list(caught(folder, rounds=5)) == ["scores of the last round"]


def test_weights_are_compared_whatever_dropout_draws(folder, monkeypatch):
    """No bits coincide, and the environment may be another: the last weights are far off."""
    claim_a_gpu(folder)
    monkeypatch.setattr(Remake, "refute", lambda self, number: None)
    other_last_weights(folder, 1.0)
    found = failures(report_of(folder, rounds=5))
    assert any("weights of round 5 are" in text and "of the way" in text for text in found.values())


def test_an_edited_validation_metric(folder):
    """In result, rounds and manifest alike."""
    number = json.loads((folder / "result.json").read_text())["selected"]["round"]
    edit_rounds(folder, lambda r: r[number - 1]["validation"].update(accuracy=1.0))
    edit(folder / "result.json", lambda r: r["selected"]["validation"].update(accuracy=1.0))
    edit(folder / MANIFEST, lambda m: m.update(best_metric=1.0))
    assert not caught(folder)
    found = caught(folder, rounds=5)
    assert "selected.validation.accuracy is 1.0" in found["scores of the selected round"]
    assert any(name.startswith("replay") for name in found)


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda r: r["costs"].update(bytes_up=1), "result, identity and rounds"),
        (lambda r: r["costs"].update(device_seconds=0.001), "costs"),
        (lambda r: r["costs"].update(bytes_base=5), "costs"),
        (lambda r: r.update(correction_ratio=0.5), "costs"),
        (lambda r: r.update(skipped_uploads=3), "costs"),
        (lambda r: r.update(seed=7), "identity"),
        (lambda r: r["client"].update(lr=5.0), "identity"),
        (lambda r: r["algorithm"].update(name="FedAvg"), "identity"),
        (lambda r: r["partition"].update(checksum="0" * 64), "identity"),
        (lambda r: r["partition"].update(seed=7), "partition"),
        (lambda r: r["data"].update(fingerprint="0" * 64), "identity"),
        (lambda r: r["data"].update(name="20newsgroups"), "data and model"),
        (lambda r: r["data"].update(synthetic=False), "data and model"),
        (lambda r: r["model"].update(trainable=5), "data and model"),
        (lambda r: r["floor"]["test"].update(accuracy=0.123), "floor"),
        (lambda r: r["floor"]["validation"].update(accuracy=0.0), "floor made again"),
        (lambda r: r["last"].update(test_stderr=0.0), "test scores"),
        (lambda r: r["clients"].update(mean=0.9), "client scores"),
        (lambda r: r["clients"].update(worst_decile=0.9), "client scores"),
        (lambda r: r["clients"].update(personal=True), "client scores"),
        (lambda r: r["references"][0].update(budget="converged"), "gap"),
    ],
)  # fmt: skip
def test_an_edited_number_of_the_result(change, check, folder):
    edit(folder / "result.json", change)
    assert check in caught(folder)


@pytest.mark.parametrize(
    ("key", "value", "check"),
    [
        ("bytes_up", 10**6, "costs"),
        ("bytes_down", 10**6, "costs"),
        ("examples", 40, "cohorts"),
        ("steps", 10**6, "costs"),
        ("real_tokens", 10**9, "costs"),
        ("clients", [2, 3], "cohorts"),
        ("train_loss", 0.01, "replay"),
        ("weights_sha256", "0" * 64, "stored weights"),
    ],
)
def test_an_edited_number_of_a_round(key, value, check, folder):
    """Of round 3, with all totals made to fit."""

    def fit(records):
        records[2][key] = value

    edit_rounds(folder, fit)
    records = [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]
    total = {
        k: sum(r[k] for r in records)
        for k in ("examples", "steps", "real_tokens", "padded_tokens", "bytes_up", "bytes_down",
                  "device_seconds")
    }  # fmt: skip
    edit(folder / "result.json", lambda r: r["costs"].update(total))
    found = caught(folder, rounds=5 if check == "replay" else 0)
    assert any(name.startswith(check) for name in found), found


def test_bytes_that_are_a_multiple_but_not_those_of_the_method(folder):
    """SCAFFOLD that counts its weights and not its control variates."""

    def halve(records):
        for record in records:
            record["bytes_up"] //= 2
            record["bytes_down"] //= 2

    edit_rounds(folder, halve)

    def halve_totals(result):
        for key in ("bytes_up", "bytes_down"):
            result["costs"][key] //= 2

    edit(folder / "result.json", halve_totals)
    found = caught(folder)
    assert (
        list(found) == ["bytes of the method"] and "round 1: bytes_" in found["bytes of the method"]
    )


def test_an_edited_reference_is_caught_at_the_run_that_is_compared_with_it(folder):
    central = centralized_folder(folder.parent)
    edit(central / "result.json", lambda r: r["selected"]["test"].update(accuracy=0.2))
    renew(central)
    found = caught(folder)
    assert list(found) == ["gap"] and f"{central.name}: test scores" in found["gap"]


def test_edited_scores_of_personal_weights(small_config, tmp_path):
    changes = {"algorithm": "ditto", "evaluation.min_client_examples": 5}
    run_both(small_config(changes), tmp_path)
    folder = federated_folder(tmp_path)
    assert not caught(folder, rounds=1)
    table = pd.read_csv(folder / "clients.csv")
    table["score"] = 1.0
    table.to_csv(folder / "clients.csv", index=False)
    best = {"mean": 1.0, "std": 0.0, "worst_decile": 1.0}
    edit(folder / "result.json", lambda r: r["clients"].update(best))
    found = caught(folder, rounds=1)
    assert "is 1, but its weights give" in found["personal scores"]


def test_a_change_of_environment_that_the_notes_keep_silent(folder):
    edit(folder / "environment.json", lambda e: e.append({**e[0], "from_round": 3, "torch": "1.0"}))
    assert "from round 3: torch" in caught(folder)["sums of files"]


# a swapped checkpoint -----------------------------------------------------------------------


def test_a_swapped_checkpoint(folder):
    shutil.copy(folder / "checkpoints/round-000001.safetensors",
                folder / "checkpoints/round-000003.safetensors")  # fmt: skip
    assert "round 3 ended with" in caught(folder)["stored weights"]


def test_a_swapped_checkpoint_with_its_digest(folder):
    """The round that follows does not come from it, and it does not come from the one before."""
    name = "checkpoints/round-000003.safetensors"
    tensors = files.read_tensors(folder / name, json.loads(
        (folder / MANIFEST).read_text())["sha256"][name])  # fmt: skip
    tensors["weights"] = tensors["weights"] + 0.01 * torch.randn(tensors["weights"].shape)
    files.write_tensors(folder / name, tensors)
    edit_rounds(folder, lambda r: r[2].update(weights_sha256=digest(tensors["weights"])))
    result = json.loads((folder / "result.json").read_text())
    assert 3 not in (result["selected"]["round"], result["last"]["round"])
    found = caught(folder, rounds=5)
    (detail,) = (text for name, text in found.items() if name.startswith("replay of round"))
    assert detail.startswith("round 3: weights_sha256 is ")


# a changed partition ------------------------------------------------------------------------


def swapped(partition, split, hashes):
    """Clients 0 and 1 exchange an example; all sizes stay. hashes: they are exchanged too."""
    shares = partition.splits[split]
    indices, content = shares.indices.copy(), shares.hashes.copy()
    a, b = shares.offsets[0], shares.offsets[1]
    indices[[a, b]] = indices[[b, a]]
    content[[a, b]] = content[[b, a]] if hashes else content[[a, b]]
    changed = Split(indices, shares.offsets, content)
    return Partition({**partition.splits, split: changed}, partition.provenance,
                     partition.held_out, partition.histogram)  # fmt: skip


@pytest.mark.parametrize("hashes", [True, False])
def test_a_changed_partition(hashes, folder):
    stored = Partition.load(folder / "partition.npz")
    swapped(stored, "train", hashes).save(folder / "partition.npz")
    found = caught(folder)
    told = "other examples than the identity says" if hashes else "the hash of train row"
    assert told in found["partition against the data"]
    assert "partition against the data" in caught(folder, rounds=1)


def test_a_changed_partition_with_its_id(folder):
    """The id of another run that could be, but whose weights are not these."""
    changed = swapped(Partition.load(folder / "partition.npz"), "train", True)
    changed.save(folder / "partition.npz")
    config = configuration.load(folder / "config.yaml")
    parts = Experiment(config)
    parts.partition = build_partition(
        PartitionConfig(file=str(folder / "partition.npz")), parts.corpus, parts.task
    )
    identity = federated_identity(parts).as_json()
    (folder / "identity.json").write_text(json.dumps(identity))
    edit(folder / "result.json", lambda r: r.update(id=identity["id"]))
    edit(folder / "result.json", lambda r: r["partition"].update(checksum=parts.partition.checksum))
    found = caught(folder, rounds=5)
    assert "draw: 2 train examples lie elsewhere" in found["partition against the data"]
    assert any(name.startswith("replay of") for name in found)


def test_a_partition_of_other_sizes(folder):
    stored = Partition.load(folder / "partition.npz")
    shares = stored.splits["train"]
    offsets = shares.offsets.copy()
    offsets[1] += 3
    moved = {**stored.splits, "train": Split(shares.indices, offsets, shares.hashes)}
    Partition(moved, stored.provenance).save(folder / "partition.npz")
    found = caught(folder)
    assert "client 0 has 27 train examples" in found["partition"]
    assert "partition against the data" in found


# a run that was selected on test ------------------------------------------------------------


def test_a_run_selected_on_test(folder):
    """The last round, with its scores, predictions and checkpoint, becomes the selected one."""
    result = json.loads((folder / "result.json").read_text())
    last = result["last"]
    edit(folder / "result.json", lambda r: r.update(selected=last))

    def select(manifest):
        manifest.update(best=manifest["state"], best_round=last["round"])
        manifest.update(best_metric=last["validation"]["accuracy"])
        manifest.update(best_clients=manifest["clients"])

    edit(folder / MANIFEST, select)
    table = pd.read_parquet(folder / "predictions.parquet")
    for column in table.columns:
        if column.startswith("last_"):
            table[column.replace("last_", "selected_")] = table[column]
    table.to_parquet(folder / "predictions.parquet", index=False)
    found = caught(folder)
    assert f"round {last['round']} is selected, but round" in found["selected on validation"]


def test_a_run_selected_on_test_whose_curve_was_bent_to_it(folder):
    number = json.loads((folder / "result.json").read_text())["selected"]["round"]
    edit_rounds(folder, lambda r: [
        x["validation"].update(accuracy=0.0) for x in r if x["round"] != number
    ])  # fmt: skip
    edit(folder / "result.json", lambda r: r["last"]["validation"].update(accuracy=0.0))
    found = caught(folder, rounds=5)
    assert "last.validation.accuracy is 0.0" in found["scores of the last round"]
    assert any("validation is" in detail for name, detail in found.items() if "replay" in name)


# damage -------------------------------------------------------------------------------------


def harmless(name, before, after, path):
    """Whether the change left everything that is read of the file as it was."""
    if name.endswith(".json"):
        return json.loads(before) == json.loads(after)
    if name == "partition.npz":
        return seal(Partition.load(path)) == before
    return False


@settings(
    max_examples=times(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_flipped_byte_passes(data, made, tmp_path_factory):
    folder = federated_folder(made)
    names = sorted(
        str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name != "lock"
    )
    name = data.draw(st.sampled_from(names))
    path = folder / name
    before = path.read_bytes()
    place = data.draw(st.integers(0, len(before) - 1))
    flip = data.draw(st.integers(1, 255))
    after = bytearray(before)
    after[place] ^= flip
    sealed = seal(Partition.load(path)) if name == "partition.npz" else before
    try:
        path.write_bytes(after)
        report = report_of(folder)
        assert report.verdict == "failed" or harmless(name, sealed, bytes(after), path), (
            f"{name}, byte {place}: {before[place]} -> {after[place]}"
        )
    except UserError as error:
        assert "\n" not in str(error)
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize(
    "name", [*own_names.FILES, own_names.MANIFEST, "checkpoints/round-000002.safetensors"]
)
@pytest.mark.parametrize("content", [None, b"", b"\0" * 100, b"[]", b"{}", b'{"a": [1]}'])
def test_a_missing_or_foreign_file_fails(name, content, folder):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    answer = command("verify", folder, "--rounds", 1, "--seed", 1)
    assert answer.code in (1, 2) and "Traceback" not in answer.out + answer.err
    if answer.code == 2:
        answer.one_line()
    elif content is None and name in ("predictions.parquet", "config.yaml", "clients.csv"):
        own = answer.out.split(folder.name)[0]  # the report of this run: one cause, told once
        assert own.count("is missing") + own.count("o such file") == 1, own
        assert own.count("as sums of files") >= 2


def test_arrays_that_promise_more_than_they_hold(folder, tmp_path):
    """A partition of a terabyte in a kilobyte."""
    import zipfile

    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<i8', 'fortran_order': False, 'shape': (%d,), }"
    data = (header % 10**12).ljust(127) + b"\n"
    with zipfile.ZipFile(folder / "partition.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.npy", data)
    assert "promises more than it holds" in caught(folder)["partition"]
    with zipfile.ZipFile(folder / "partition.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(40):
            archive.writestr(f"{number}.npy", b"\0" * 2**24)
    assert "unpacks to more than" in caught(folder)["partition"]


def test_pickles_are_not_read(folder):
    array = np.array([{"a": 1}], dtype=object)
    np.savez(folder / "partition.npz", meta=array)
    assert "partition" in caught(folder)
