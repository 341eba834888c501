"""LoRA: only adapters and fresh weights are trained; a merged model gives the same logits."""

from __future__ import annotations

import pytest
import torch
from small_models import (
    AUTO,
    build,
    folders,
    local_card,
    loss_of,
    one_line,
    scratch_card,
    tied_pairs,
    tokenizer,
)

from tasks.errors import DataError
from tasks.lora import merge_lora

__all__ = ["folders", "tokenizer"]

CASES = [
    ("bert", "text_classification"),
    ("bert", "seq2seq"),
    ("distilbert", "text_classification"),
    ("roberta", "sequence_tagging"),
    ("roberta", "seq2seq"),
    ("albert", "question_answering"),
    ("bart", "seq2seq"),
    ("bart", "text_classification"),
    ("t5", "seq2seq"),
    ("t5", "question_answering"),
]
LORA = {"lora": {"r": 2, "alpha": 4.0}}


def logits(model, tokenizer):
    batch = tokenizer(["the cat", "a dog ran"], padding=True, return_tensors="pt")
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    if model.can_generate():
        inputs["decoder_input_ids"] = batch["input_ids"]
    with torch.no_grad():
        output = model(**inputs)
    return output.logits if "logits" in output else output.start_logits


@pytest.mark.parametrize(("architecture", "task"), CASES)
def test_only_adapters_and_fresh_weights_are_trained(architecture, task, folders, tokenizer):
    model = build(local_card(folders(architecture)), task, tokenizer, overrides=LORA)
    for name, parameter in model.named_parameters():
        head = name.startswith(("classif", "pre_classifier", "qa_outputs"))
        fresh = "crossattention" in name or name.startswith(("decoder.cls", "decoder.lm_head"))
        assert parameter.requires_grad == ("lora_" in name or head or fresh), name
    assert any("lora_A" in name for name, _ in model.named_parameters())
    assert not any("crossattention" in n and "lora" in n for n, _ in model.named_parameters())
    loss_of(model, task, tokenizer).backward()


@pytest.mark.parametrize(("architecture", "task"), CASES)
def test_merged_model_is_plain_and_equal(architecture, task, folders, tokenizer, tmp_path):
    import transformers

    card = local_card(folders(architecture))
    model = build(card, task, tokenizer, overrides=LORA)
    plain = build(card, task, tokenizer)
    torch.testing.assert_close(logits(model, tokenizer), logits(plain, tokenizer))  # B = 0
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(0))
    expected = logits(model, tokenizer)
    assert (expected - logits(plain, tokenizer)).abs().max() > 1e-4
    merged = merge_lora(model)
    assert type(merged) is type(plain)
    assert merged.state_dict().keys() == plain.state_dict().keys()
    torch.testing.assert_close(logits(merged, tokenizer), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(logits(model, tokenizer), expected)  # the adapted model is untouched
    assert any("lora_A" in name for name, _ in model.named_parameters())
    if task == "seq2seq":
        assert all(one is other for one, other in tied_pairs(merged))
    merged.save_pretrained(tmp_path)
    again = getattr(transformers, AUTO[task]).from_pretrained(tmp_path).eval()
    # a classifier that is read back computes its last layer for all tokens: equal but for rounding
    torch.testing.assert_close(logits(again, tokenizer), logits(merged, tokenizer))


def test_adapters_are_drawn_from_the_seed(folders, tokenizer):
    card = local_card(folders("bert"))
    before = torch.get_rng_state()
    starts = []
    for seed in (1, 1, 2):
        model = build(card, "text_classification", tokenizer, seed=seed, overrides=LORA)
        starts.append(next(p for n, p in model.named_parameters() if "lora_A" in n))
    assert torch.equal(starts[0], starts[1]) and not torch.equal(starts[0], starts[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_targets_and_sizes(tokenizer):
    lora = {"r": 3, "targets": ["query", "key"]}
    model = build(scratch_card(), "sequence_tagging", tokenizer, overrides={"lora": lora})
    sizes = [p.numel() for n, p in model.named_parameters() if "lora_" in n]
    assert sizes == [3 * 16] * (2 * 2 * 2)  # A and B of two maps in two layers
    with pytest.raises(DataError, match=r"lora\.targets: nothing_like_it") as error:
        build(
            scratch_card(),
            "sequence_tagging",
            tokenizer,
            overrides={"lora": {"targets": ["nothing_like_it"]}},
        )
    assert one_line(error)


def test_a_model_without_adapters_merges_to_its_copy(tokenizer):
    model = build(scratch_card(), "sequence_tagging", tokenizer)
    assert torch.equal(logits(merge_lora(model), tokenizer), logits(model, tokenizer))
