"""Models: every architecture on every task, reproducible starts, ties, errors in one line."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import (
    ARCHITECTURES,
    AUTO,
    TEXTS,
    build,
    equal,
    folders,
    labels_of,
    local_card,
    loss_of,
    needs_data,
    one_line,
    scratch_card,
    state,
    task_named,
    tied_pairs,
    tokenizer,
)

from fednlp.cards import model_card
from tasks.errors import DataError
from tasks.models import build_model, maximum_length
from tasks.tokenizers import load_tokenizer

__all__ = ["folders", "tokenizer"]  # pytest finds fixtures among the names of a module


@pytest.mark.parametrize("task", AUTO)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_serves_every_task(architecture, task, tokenizer):
    card = scratch_card(architecture)
    if (architecture, task) == ("bart", "sequence_tagging"):
        with pytest.raises(DataError, match="has no AutoModelForTokenClassification") as error:
            build(card, task, tokenizer)
        assert one_line(error)
        return
    model = build(card, task, tokenizer)
    assert not model.training
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    loss_of(model, task, tokenizer).backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    if task == "seq2seq":
        expected = architecture if architecture == "t5" else "bart"
        assert model.config.model_type == expected
        ids = tokenizer("the cat", return_tensors="pt")["input_ids"]
        made = model.generate(input_ids=ids, max_new_tokens=5)
        start = 0 if architecture == "t5" else tokenizer.sep_token_id
        assert made.shape[0] == 1 and made[0, 0] == start
    elif task != "question_answering":
        assert model.config.num_labels == 3
        assert model.config.id2label[2] == labels_of(task)[2]


def test_attention_is_sdpa_by_default(tokenizer):
    assert build(scratch_card(), "seq2seq", tokenizer).config._attn_implementation == "sdpa"


@pytest.mark.parametrize("task", ["text_classification", "seq2seq"])
def test_a_seed_decides_all_fresh_weights_and_leaves_global_generators(task, tokenizer):
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    first = state(build(scratch_card(), task, tokenizer, seed=3))
    torch.rand(7)
    torch.set_rng_state(before[2])
    second = state(build(scratch_card(), task, tokenizer, seed=3))
    other = state(build(scratch_card(), task, tokenizer, seed=4))
    assert equal(first, second) and not equal(first, other)
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_a_head_on_pretrained_weights_is_drawn_from_the_seed(folders, tokenizer):
    card = local_card(folders("bert"))
    models = [build(card, "sequence_tagging", tokenizer, seed=seed) for seed in (1, 1, 2)]
    head = [m.classifier.weight for m in models]
    base = [m.bert.embeddings.word_embeddings.weight for m in models]
    assert torch.equal(head[0], head[1]) and not torch.equal(head[0], head[2])
    assert torch.equal(base[0], base[2])
    assert head[0].abs().max() > 0


@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        ("bert", "text_classification"),
        ("distilbert", "question_answering"),
        ("roberta", "sequence_tagging"),
        ("albert", "text_classification"),
        ("bart", "seq2seq"),
        ("bart", "question_answering"),
        ("t5", "seq2seq"),
        ("t5", "sequence_tagging"),
    ],
)
def test_pretrained_weights_arrive(architecture, task, folders, tokenizer):
    model = build(local_card(folders(architecture)), task, tokenizer)
    reference = build(
        scratch_card(architecture),
        "seq2seq" if architecture in ("bart", "t5") else "text_classification",
        tokenizer,
        seed=99,
    )
    name = next(n for n, _ in reference.named_parameters() if "layer" in n and "weight" in n)
    prefix = "" if name in dict(model.named_parameters()) else "transformer."
    assert torch.equal(model.get_parameter(prefix + name), reference.get_parameter(name))
    loss_of(model, task, tokenizer).backward()


@pytest.mark.parametrize("architecture", ["bert", "roberta"])
def test_an_encoder_becomes_encoder_and_decoder(architecture, folders, tokenizer):
    model = build(local_card(folders(architecture)), "seq2seq", tokenizer)
    assert model.config.model_type == "encoder-decoder"
    encoder, decoder = model.encoder.base_model, model.decoder.base_model
    for side in (encoder, decoder):
        assert torch.equal(
            side.embeddings.word_embeddings.weight, encoder.embeddings.word_embeddings.weight
        )
    assert decoder.config.is_decoder and decoder.config.add_cross_attention
    assert not encoder.config.is_decoder
    assert model.config.decoder_start_token_id == tokenizer.cls_token_id
    assert model.config.eos_token_id == tokenizer.sep_token_id
    loss_of(model, "seq2seq", tokenizer).backward()
    batch = tokenizer(["the cat", "a dog ran to Paris"], padding=True, return_tensors="pt")
    batch.pop("token_type_ids")
    made = model.generate(**batch, max_new_tokens=4)
    assert made.shape[0] == 2 and (made[:, 0] == tokenizer.cls_token_id).all()


@pytest.mark.parametrize("task", ["text_classification", "seq2seq"])
def test_an_unused_pooler_is_frozen(task, folders, tokenizer):
    model = build(local_card(folders("bert")), task, tokenizer)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    pooler = {name for name, _ in model.named_parameters() if "pooler" in name}
    assert pooler and frozen == (set() if task == "text_classification" else pooler)


@pytest.mark.parametrize("architecture", ["bart", "t5", "bert", "roberta"])
@pytest.mark.parametrize("overrides", [{}, {"freeze_embeddings": True}, {"lora": {"r": 2}}])
def test_ties_are_kept_and_counted_once(architecture, overrides, folders, tokenizer):
    model = build(local_card(folders(architecture)), "seq2seq", tokenizer, overrides=overrides)
    pairs = tied_pairs(model)
    assert all(one is other for one, other in pairs)
    sizes = [p.shape for n, p in model.named_parameters() if p.shape[0] == len(tokenizer) > p.ndim]
    tables = sum(len(shape) == 2 for shape in sizes)
    assert tables == (2 if model.config.model_type == "encoder-decoder" else 1)


@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        *((a, "question_answering") for a in ARCHITECTURES),
        *((a, "seq2seq") for a in ("bert", "roberta", "bart", "t5")),
    ],
)
def test_save_and_reload_gives_equal_logits(architecture, task, folders, tokenizer, tmp_path):
    import transformers

    model = build(local_card(folders(architecture)), task, tokenizer)
    model.save_pretrained(tmp_path)
    again = getattr(transformers, AUTO[task]).from_pretrained(tmp_path)
    first, second = state(model), state(again)
    assert equal(first, second)
    assert torch.equal(loss_of(model, task, tokenizer), loss_of(again.eval(), task, tokenizer))


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "albert", "bart", "t5"])
def test_first_layers_only(architecture, folders, tokenizer):
    task = "question_answering"
    card = local_card(folders(architecture))
    model = build(card, task, tokenizer, overrides={"layers": 1})
    whole = build(card, task, tokenizer)
    assert model.config.num_hidden_layers == 1
    assert build(local_card(folders(architecture), layers=1), task, tokenizer).config.to_dict() == (
        model.config.to_dict()
    )
    if architecture != "albert":  # one layer, applied once instead of twice
        assert model.num_parameters() < whole.num_parameters()
    loss_of(model, task, tokenizer).backward()
    kept = dict(whole.named_parameters())
    base = [n for n in dict(model.named_parameters()) if "qa_outputs" not in n]
    assert all(torch.equal(model.get_parameter(n), kept[n]) for n in base)


def test_dropout_override_makes_training_deterministic(tokenizer):
    for architecture in ARCHITECTURES:
        options = {"dropout": 0.0}
        model = build(
            scratch_card(architecture), "text_classification", tokenizer, overrides=options
        )
        model.train()
        losses = [loss_of(model, "text_classification", tokenizer) for _ in range(2)]
        assert torch.equal(*losses), architecture


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_max_length_up_to_the_positions(architecture, tokenizer):
    task = "text_classification"
    model = build(scratch_card(architecture), task, tokenizer, max_length=32)
    longest = maximum_length(model.config)
    assert longest == (None if architecture == "t5" else 32)
    ids = torch.full((1, 32), tokenizer.unk_token_id)
    ids[0, 0], ids[0, -1] = tokenizer.cls_token_id, tokenizer.sep_token_id
    assert model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.shape == (1, 3)
    if longest is not None:
        with pytest.raises(DataError, match="max_length: 33; expected at most 32") as error:
            build(scratch_card(architecture), task, tokenizer, max_length=33)
        assert one_line(error)


def test_wrong_task_and_labels(folders, tokenizer):
    card = local_card(folders("bert"), tasks=["seq2seq"])
    with pytest.raises(DataError, match="task question_answering; expected one of seq2seq"):
        build(card, "question_answering", tokenizer)
    with pytest.raises(DataError, match="1 labels"):
        build_model(
            scratch_card(),
            task_named("text_classification"),
            labels=["only"],
            tokenizer=tokenizer,
            seed=0,
        )
    with pytest.raises(DataError, match="distilbert encoder, which cannot be a decoder") as error:
        build(local_card(folders("distilbert")), "seq2seq", tokenizer)
    assert one_line(error)


def test_too_many_layers(folders, tokenizer):
    with pytest.raises(DataError, match="layers: 3; expected at most 2") as error:
        build(local_card(folders("bert")), "seq2seq", tokenizer, overrides={"layers": 3})
    assert one_line(error)


def test_a_tokenizer_of_another_model(folders, tokenizer, tmp_path):
    other = load_tokenizer(
        scratch_card().model_copy(
            update={"tokenizer": scratch_card().tokenizer.model_copy(update={"vocab_size": 500})}
        ),
        lambda: [*TEXTS, *(["many other words were written here by somebody"] * 4)],
        tmp_path,
    )[0]
    assert len(other) > len(tokenizer)
    with pytest.raises(DataError, match=r"tokenizer: .* tokens; expected at most") as error:
        build(local_card(folders("bert")), "seq2seq", other)
    assert one_line(error)


def test_unknown_folder(tokenizer, tmp_path):
    with pytest.raises(DataError, match="no folder at") as error:
        build(local_card(tmp_path / "nowhere"), "seq2seq", tokenizer)
    assert one_line(error)


def test_relative_folder_needs_a_data_root(folders, tokenizer, monkeypatch):
    folder = folders("bert")
    card = local_card(folder.name)
    build(card, "sequence_tagging", tokenizer, data_root=folder.parent)
    monkeypatch.setenv("FEDNLP_DATA", str(folder.parent))
    build(card, "sequence_tagging", tokenizer)
    monkeypatch.delenv("FEDNLP_DATA")
    with pytest.raises(DataError, match="set FEDNLP_DATA"):
        build(card, "sequence_tagging", tokenizer)


def damage_config(folder):
    (folder / "config.json").write_text("{not json")


def remove_config(folder):
    (folder / "config.json").unlink()


def remove_weights(folder):
    (folder / "model.safetensors").unlink()


def pickle_weights(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def truncate_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def damage_header(folder):
    path = folder / "model.safetensors"
    path.write_bytes(b"\xff" * 16 + path.read_bytes()[16:])


def drop_a_layer(folder):
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = {n: t for n, t in load_file(path).items() if "layer.1." not in n}
    save_file(weights, path, metadata={"format": "pt"})


def widen(folder):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"intermediate_size": 64}))


def remote_code(folder):
    path = folder / "config.json"
    content = json.loads(path.read_text()) | {"model_type": "mine"}
    content["auto_map"] = {"AutoConfig": "mine.Config"}
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "damage",
    [
        damage_config,
        remove_config,
        remove_weights,
        pickle_weights,
        truncate_weights,
        damage_header,
        drop_a_layer,
        widen,
        remote_code,
    ],
)
@pytest.mark.parametrize("task", ["sequence_tagging", "seq2seq"])
def test_damaged_folders_are_told_in_one_line(damage, task, folders, tokenizer, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(folders("bert"), folder)
    damage(folder)
    with pytest.raises(DataError) as error:
        build(local_card(folder), task, tokenizer)
    assert one_line(error) and str(folder) in str(error.value)


def test_a_hub_card_reads_the_pinned_revision_from_the_cache(folders, tmp_path):
    """No network: a hub cache is laid out by hand, and another revision is not found in it."""
    revision = "0123456789" * 4
    snapshot = tmp_path / "hub" / "models--someone--model" / "snapshots" / revision
    shutil.copytree(folders("bert"), snapshot)
    code = f"""
from pathlib import Path
from small_models import *
from tasks.errors import DataError
from tasks.model_card import ModelCard
for revision in ("{revision}", "f" * 40):
    card = ModelCard(name="m", description="", licence="", tasks=["seq2seq", "sequence_tagging"],
                     hub={{"id": "someone/model", "revision": revision}})
    try:
        tokenizer, _ = load_tokenizer(card, lambda: [], Path("."))
        print(type(build(card, "sequence_tagging", tokenizer)).__name__)
    except DataError as error:
        print(error)
"""
    environment = os.environ | {
        "HF_HOME": str(tmp_path),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "BertForTokenClassification", done.stderr
    assert "connect to the network once" in lines[1] and len(lines) == 2


@pytest.mark.parametrize("name", ["tiny", "mini", "small"])
def test_scratch_cards_build(name, tokenizer):
    card = model_card(name)
    for task in AUTO:
        model = build(card, task, tokenizer, max_length=256)
        assert model.config.vocab_size == len(tokenizer)


@needs_data
@pytest.mark.parametrize("task", AUTO)
def test_minilm_folder(task, tmp_path):
    card = model_card("minilm-l6-h384")
    tokenizer, _ = load_tokenizer(card, lambda: [], tmp_path)
    model = build(card, task, tokenizer, overrides={"layers": 2}, max_length=512)
    loss_of(model, task, tokenizer).backward()
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())
    table = model.get_input_embeddings().weight
    assert table.dtype == torch.float32 and table.shape == (30522, 384)
    assert model.config.to_dict().get("num_hidden_layers", 2) == 2


def test_fresh_weights_are_wider_in_a_narrow_model(tokenizer):
    """0.02 at width 768, so 0.02 * sqrt(768 / 16) here, unless the card sets it."""
    for options, expected in (({}, 0.1386), ({"initializer_std": 0.5}, 0.5)):
        model = build(scratch_card("bert", **options), "seq2seq", tokenizer)
        spread = model.get_input_embeddings().weight[1:].std().item()
        assert spread == pytest.approx(expected, rel=0.05)
