"""An exported folder is the selected model, for whoever loads it with transformers."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
import transformers
from harness import DATASETS, command, experiment, run

from fednlp.errors import UserError
from fednlp.export import export
from fednlp.results.files import read_tensors
from fednlp.results.manifest import read_manifest
from tasks.batches import evaluation_plan

ALONE = {"centralized.budget": "none"}


def selected(finished):
    manifest = read_manifest(finished.path / "checkpoints" / "manifest.json")
    return read_tensors(finished.path / manifest.best, manifest.sha256[manifest.best])["weights"]


def logits(module, inputs):
    with torch.inference_mode():
        output = module.eval()(**inputs)
    if "start_logits" in output:
        return torch.stack([output.start_logits, output.end_logits])
    return output.logits


def both_logits(config, finished, target):
    """Logits of the flat model with the selected weights, and of the reloaded folder."""
    parts = experiment(config)
    parts.model.load(selected(finished))
    store = parts.stores["test"]
    planned = evaluation_plan(store, torch.arange(8).numpy(), 4096)[0]
    inputs = dict(parts.task.collate(store, planned).inputs)
    if parts.task.generates:
        inputs["decoder_input_ids"] = inputs["input_ids"][:, :5]
    loaded = getattr(transformers, parts.task.auto_class).from_pretrained(target)
    return logits(parts.model.module, inputs), logits(loaded, inputs), loaded, parts


@pytest.mark.parametrize("task", list(DATASETS))
@pytest.mark.parametrize("lora", [None, {"r": 2, "alpha": 8.0}], ids=["full", "lora"])
def test_the_reloaded_model_says_the_same(task, lora, small_config, tmp_path):
    changes = {"dataset.name": DATASETS[task], "client.lr": 0.3, "rounds": 1}
    config = small_config({**changes, **({"model.lora": lora} if lora else {})}, **ALONE)
    finished = run(config, tmp_path / "runs")
    target = tmp_path / "model"
    export(finished.path, target)
    ours, theirs, loaded, parts = both_logits(config, finished, target)
    assert torch.allclose(ours, theirs, atol=1e-5 if lora else 1e-6)
    assert not any("lora" in name for name in loaded.state_dict())
    parts.model.load(parts.initial_weights)  # the weights did change in training
    assert not torch.equal(parts.initial_weights, selected(finished))
    tokenizer = transformers.AutoTokenizer.from_pretrained(target)
    text = "The committee met on Monday."
    assert tokenizer(text)["input_ids"] == parts.tokenizer[0](text)["input_ids"]
    if parts.corpus.labels:
        assert list(loaded.config.id2label.values()) == parts.corpus.labels


def test_it_is_the_selected_round_not_the_last(small_config, tmp_path):
    """At a rate that changes no prediction the first round stays the best one."""
    config = small_config({"client.lr": 1e-6, "rounds": 3}, **ALONE)
    finished = run(config, tmp_path / "runs")
    assert finished.result.selected.round == 1 != finished.result.last.round
    export(finished.path, tmp_path / "model")
    ours, theirs, _, _ = both_logits(config, finished, tmp_path / "model")
    assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.fixture(scope="module")
def finished(small_config, tmp_path_factory):
    return run(small_config({"rounds": 1}, **ALONE), tmp_path_factory.mktemp("runs"))


def test_the_command_exports_once(finished, tmp_path):
    target = tmp_path / "model"
    transformers.utils.logging.enable_progress_bar()
    answer = command("export-model", finished.path, target)
    assert (answer.code, answer.err) == (0, "")  # no bar either
    assert (target / "model.safetensors").is_file() and (target / "tokenizer.json").is_file()
    assert "exists already" in command("export-model", finished.path, target).one_line()
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_run_that_is_not_finished_or_not_its_own_is_refused(finished, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished.path, copy)
    data = json.loads((copy / "result.json").read_text())
    data["selected"]["weights_sha256"] = "0" * 64
    (copy / "result.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match="not that of its checksum"):
        export(copy, tmp_path / "model")
    (copy / "result.json").unlink()
    with pytest.raises(UserError, match="no finished run"):
        export(copy, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_another_frozen_part_or_tokenizer_is_refused(small_config, tmp_path, monkeypatch):
    """The card still makes a model of the same size: only its frozen weights differ."""
    import yaml
    from harness import ROOT

    monkeypatch.chdir(tmp_path)
    finished = run(small_config({"rounds": 1, "model.freeze_layers": 1}, **ALONE), tmp_path / "a")
    known = json.loads((finished.path / "identity.json").read_text())
    for key in ("data", "frozen_weights", "tokenizer"):
        other = {**known, "content": {**known["content"], key: "0" * 64}}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("fednlp.export.read_identity", lambda _, other=other: other)
            message = command("export-model", finished.path, tmp_path / "model").one_line()
        assert f"identity.json: {key}" in message and "000000000000..." in message

    card = yaml.safe_load((ROOT / "configs" / "models" / "tiny.yaml").read_text())
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(card))
    changes = {"rounds": 1, "model.name": "m.yaml", "model.freeze_embeddings": True}
    finished = run(small_config(changes, **ALONE), tmp_path / "b")
    card["tokenizer"]["vocab_size"] = 300  # the embeddings are frozen: as many trained weights
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(card))
    with pytest.raises(UserError, match=r"identity.json: tokenizer.*restore the model card"):
        export(finished.path, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_target_in_a_folder_that_is_not_there_is_made_or_refused(finished, tmp_path):
    target = tmp_path / "deep" / "model"
    answer = command("export-model", finished.path, target)
    assert answer.code == 0 and (target / "config.json").is_file()
