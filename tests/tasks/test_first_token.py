"""A classifier whose last layer is computed for one token is the classifier it was."""

from __future__ import annotations

import copy

import pytest
import torch

from tasks.first_token import read_first_token_only

SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
         "intermediate_size": 40, "vocab_size": 99, "max_position_embeddings": 64,
         "num_labels": 5}  # fmt: skip


def classifier(name, **more):
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        DistilBertConfig,
        DistilBertForSequenceClassification,
        RobertaConfig,
        RobertaForSequenceClassification,
    )

    torch.manual_seed(0)
    if name == "bert":
        return BertForSequenceClassification(BertConfig(**SIZES, **more))
    if name == "roberta":
        return RobertaForSequenceClassification(RobertaConfig(**SIZES, **more))
    return DistilBertForSequenceClassification(
        DistilBertConfig(vocab_size=99, dim=32, n_layers=2, n_heads=4, hidden_dim=40)
    )


def batch(padded):
    ids = torch.randint(5, 99, (4, 11), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    if padded:
        mask[0, 6:] = mask[2, 1:] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("name", ["bert", "roberta"])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("attention", ["sdpa", "cpu kernels"])
def test_logits_and_gradients_are_the_same(name, padded, attention):
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    plain = classifier(name, **none).train()
    fast = copy.deepcopy(plain)
    assert read_first_token_only(fast)
    if attention == "cpu kernels":
        from fednlp.cpu_kernels import use_cpu_kernels

        use_cpu_kernels(fast)
    found = []
    for model in (plain, fast):
        logits = model(**batch(padded)).logits
        (logits * torch.arange(20.0).view(4, 5)).sum().backward()
        grads = [p.grad.reshape(-1) for p in model.parameters() if p.grad is not None]
        found.append((logits, torch.cat(grads)))
    for one, other in zip(*found, strict=True):
        assert one.shape == other.shape and one.abs().max() > 0.01
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5 * float(one.detach().abs().max()))


def test_the_last_layer_sees_one_token_and_a_copy_keeps_that():
    model = classifier("bert")
    read_first_token_only(model)
    for each in (model.eval(), copy.deepcopy(model)):
        hidden = each.base_model(**batch(True)).last_hidden_state
        assert hidden.shape == (4, 1, 32)
    with torch.no_grad():
        model.base_model.encoder.layer[-1].output.dense.weight.zero_()
    assert not torch.equal(model(**batch(True)).logits, each(**batch(True)).logits)


def test_dropout_stays_on_in_training():
    model = classifier("bert", attention_probs_dropout_prob=0.5, hidden_dropout_prob=0.0)
    model.config.classifier_dropout = 0.0
    read_first_token_only(model)
    model.train()
    assert not torch.equal(model(**batch(False)).logits, model(**batch(False)).logits)


def test_eager_attention_is_left_alone():
    model = classifier("bert")
    model.set_attn_implementation("eager")
    assert not read_first_token_only(model)


def test_other_architectures_are_left_alone():
    model = classifier("distilbert")
    assert not read_first_token_only(model)
    assert model.base_model(**batch(True)).last_hidden_state.shape == (4, 11, 32)
