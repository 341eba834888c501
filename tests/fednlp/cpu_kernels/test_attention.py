"""The attention with dropout against the plain formula, and inside every architecture."""

import copy

import pytest
import torch

from fednlp.cpu_kernels import attention as kernel
from fednlp.cpu_kernels import dropout, use_cpu_kernels

BATCH, HEADS, LENGTH, SEEN, WIDTH = 3, 2, 7, 5, 8
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
         "intermediate_size": 40, "vocab_size": 99, "max_position_embeddings": 64}  # fmt: skip


class Layer:
    is_causal = False


def plain(query, key, value, mask, keep, scaling):
    scores = query @ key.transpose(-1, -2) * scaling
    if mask is not None:
        scores = scores.masked_fill(~mask, -1e30) if mask.dtype is torch.bool else scores + mask
    return ((scores.softmax(-1) * keep) @ value).transpose(1, 2)


def drawn(length=LENGTH, seen=SEEN):
    torch.manual_seed(0)
    sizes = [length, seen, seen]
    return [torch.randn(BATCH, HEADS, n, WIDTH, requires_grad=True) for n in sizes]


@pytest.mark.parametrize("mask", ["none", "bool", "added"])
def test_equals_the_plain_formula_forward_and_backward(mask):
    visible = torch.rand(BATCH, 1, LENGTH, SEEN) > 0.4
    visible[..., 0] = True
    given = {"none": None, "bool": visible, "added": torch.randn(BATCH, 1, LENGTH, SEEN)}[mask]
    results = []
    for way in ("plain", "kernel"):
        leaves = drawn()
        torch.manual_seed(5)
        if way == "plain":
            keep = kernel.survivors((BATCH, HEADS, LENGTH, SEEN), 0.2)
            out = plain(*leaves, given, keep, WIDTH**-0.5)
        else:
            out, weights = kernel.attention(Layer(), *leaves, given, dropout=0.2)
            assert weights is None
        (out * torch.arange(out.numel()).view(out.shape)).sum().backward()
        results.append([out, *(leaf.grad for leaf in leaves)])
    for one, two in zip(*results, strict=True):
        assert torch.allclose(one, two, rtol=1e-4, atol=1e-5 * float(one.detach().abs().max()))


@pytest.mark.parametrize("asked", [True, False])
def test_causal_without_a_mask_sees_no_future(asked):
    layer = Layer()
    layer.is_causal = not asked  # what is asked for goes before what the layer says
    query, key, value = drawn(LENGTH, LENGTH)
    out, _ = kernel.attention(
        layer, query, key, value, None, dropout=0.1, is_causal=True if asked else None
    )
    out[:, 2].sum().backward()
    assert value.grad[:, :, :3].abs().sum() > 0 and value.grad[:, :, 3:].abs().max() == 0


def models():
    from transformers import (
        AlbertConfig,
        AlbertForQuestionAnswering,
        BartConfig,
        BartForConditionalGeneration,
        BertConfig,
        BertForSequenceClassification,
        BertLMHeadModel,
        BertModel,
        DistilBertConfig,
        DistilBertForSequenceClassification,
        EncoderDecoderModel,
        RobertaConfig,
        RobertaForTokenClassification,
        T5Config,
        T5ForConditionalGeneration,
    )  # fmt: skip

    decoder = BertConfig(**SIZES, is_decoder=True, add_cross_attention=True)
    sizes = {"layers": 2, "attention_heads": 4, "ffn_dim": 40}
    bart = {f"{side}_{k}": size for side in ("encoder", "decoder") for k, size in sizes.items()}
    return {
        "bert": (2, lambda: BertForSequenceClassification(BertConfig(**SIZES))),
        "roberta": (2, lambda: RobertaForTokenClassification(RobertaConfig(**SIZES))),
        "albert": (2, lambda: AlbertForQuestionAnswering(
            AlbertConfig(embedding_size=16, attention_probs_dropout_prob=0.1, **SIZES))),
        "distilbert": (2, lambda: DistilBertForSequenceClassification(
            DistilBertConfig(vocab_size=99, dim=32, n_layers=2, n_heads=4, hidden_dim=40))),
        "bart": (6, lambda: BartForConditionalGeneration(
            BartConfig(vocab_size=99, d_model=32, dropout=0.0, attention_dropout=0.1, **bart))),
        "encoder-decoder": (6, lambda: EncoderDecoderModel(
            encoder=BertModel(BertConfig(**SIZES)), decoder=BertLMHeadModel(decoder))),
        "t5": (0, lambda: T5ForConditionalGeneration(  # a bias on positions: torch's kernel
            T5Config(vocab_size=99, d_model=32, d_kv=8, d_ff=40, num_layers=2, num_heads=4,
                     dropout_rate=0.0))),
    }  # fmt: skip


@pytest.mark.parametrize("name", list(models()))
def test_every_architecture_uses_it_and_without_dropping_equals_torch(name, monkeypatch):
    """With masks of ones, logits and gradients are those of the plain model in evaluation mode."""
    calls = []

    def ones(shape, p):
        calls.append(p)
        return torch.ones(shape)

    monkeypatch.setattr(kernel, "survivors", ones)
    monkeypatch.setattr(dropout, "survivors", lambda shape, p: torch.ones(shape))
    attentions, build = models()[name]
    torch.manual_seed(0)
    module = build().eval()
    switched = copy.deepcopy(module).train()
    use_cpu_kernels(switched)
    ids = torch.randint(5, 99, (3, 10))
    mask = torch.ones_like(ids)
    mask[0, 6:] = 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    if module.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids[:, :7]
    outputs = []
    for model in (module, switched):
        out = model(**inputs)[0]
        out.square().mean().backward()
        grads = [p.grad.reshape(-1) for p in model.parameters() if p.grad is not None]
        outputs.append([out, torch.cat(grads)])
    assert calls == [0.1] * attentions
    for one, two in zip(*outputs, strict=True):
        assert torch.allclose(one, two, rtol=1e-3, atol=1e-5)
