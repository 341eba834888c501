"""Models whose layers hold the weights of several clients, architecture by architecture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml
from harness import DATASETS
from torch import nn

from fednlp.engines.client import Asked
from fednlp.experiment import Experiment
from fednlp.together.module import NotTogether
from fednlp.together.trainer import TogetherTrainer

ENCODERS = ("bert", "distilbert", "roberta", "albert")
SIZES = {"layers": 2, "hidden": 16, "heads": 2, "intermediate": 32, "max_positions": 64}


@pytest.fixture
def experiment(small_config, tmp_path):
    """A function: an experiment of a task with an architecture from scratch."""

    def make(architecture: str, task: str = "text_classification", **changes) -> Experiment:
        scratch = {"architecture": architecture, **SIZES, "dropout": 0.0}
        card = {
            "name": architecture,
            "description": "for tests",
            "licence": "none",
            "tasks": list(DATASETS),
            "scratch": scratch,
            "tokenizer": {"vocab_size": 500},
        }
        (tmp_path / "card.yaml").write_text(yaml.safe_dump(card))
        sizes = {"train": 96, "validation": 16, "test": 16}
        data = {"dataset": {"name": DATASETS[task], "sizes": sizes}, **changes}
        return Experiment(small_config({"model.name": str(tmp_path / "card.yaml"), **data}))

    return make


def errors(parts: Experiment) -> list[float]:
    """Distance from one by one, relative to the change, of three clients with unequal starts."""
    trainer, start = parts.trainer(), parts.initial_weights
    shares = np.split(np.random.default_rng(2).permutation(31), [16, 21])
    asked = [
        Asked(trainer.course(share, round=0, client=k), start * (1 + 0.1 * k), None)
        for k, share in enumerate(shares)
    ]
    found = []
    for one, learned in zip(asked, TogetherTrainer(trainer, 3).train(asked), strict=True):
        trainer.begin(one.course, one.start).advance()
        expected = parts.model.weights
        found.append(float((learned.weights - expected).norm() / (expected - one.start).norm()))
    return found


@pytest.mark.parametrize("task", DATASETS)
@pytest.mark.parametrize("architecture", [*ENCODERS, "bart"])
def test_an_architecture_gives_the_same(architecture, task, experiment):
    if architecture == "bart" and task == "sequence_tagging":
        pytest.skip("bart has no head for it")
    assert max(errors(experiment(architecture, task))) < 1e-5


def test_a_frozen_base_of_any_kind_with_adapters_gives_the_same(experiment):
    parts = experiment("t5", "seq2seq", **{"model.lora": {"r": 2}})
    assert max(errors(parts)) < 1e-5


def test_an_encoder_decoder_of_two_berts_gives_the_same(experiment, monkeypatch):
    """Tied embeddings and a cross-attention."""
    from transformers import BertConfig, EncoderDecoderConfig, EncoderDecoderModel

    import tasks.models

    def made(card, task, *, tokenizer, seed, **_):
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        bert = BertConfig(vocab_size=len(tokenizer), intermediate_size=32, **sizes)
        both = EncoderDecoderConfig.from_encoder_decoder_configs(bert, bert)
        torch.manual_seed(seed)
        model = EncoderDecoderModel(both)
        for part in model.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0
        model.config.pad_token_id = tokenizer.pad_token_id
        model.config.decoder_start_token_id = tokenizer.bos_token_id or tokenizer.cls_token_id
        model.encoder.pooler = None
        return model

    monkeypatch.setattr(tasks.models, "build_model", made)
    assert max(errors(experiment("bert", "seq2seq"))) < 1e-5


def test_bf16_gives_nearly_the_same(experiment):
    """Products are rounded to 8 bits, in another order."""
    assert max(errors(experiment("bert", precision="bf16"))) < 3e-2


def test_the_model_itself_is_left_alone(experiment):
    parts = experiment("bert")
    module, before = parts.model.module, parts.model.weights.clone()
    kinds = [type(layer) for layer in module.modules()]
    together = TogetherTrainer(parts.trainer(), 4)
    assert [type(layer) for layer in module.modules()] == kinds
    assert torch.equal(parts.model.weights, before) and not module.training
    assert not any(p.requires_grad for p in together.module.parameters())


# what cannot be trained together ---------------------------------------------------------------


def test_t5_says_why_it_cannot(experiment):
    with pytest.raises(NotTogether, match=r"\w+ is a T5LayerNorm$"):
        TogetherTrainer(experiment("t5", "seq2seq").trainer(), 2)


class Around(nn.Module):
    """A classifier that reads a trained weight around its layer."""

    def __init__(self, inner: nn.Module, how: str) -> None:
        super().__init__()
        self.inner, self.how = inner, how

    def forward(self, **inputs):
        output = self.inner(**inputs)
        if self.how == "weight":
            output.logits = output.logits + self.inner.classifier.weight.sum()
        return output


@pytest.mark.parametrize("how", ["weight", "nothing"])
def test_a_weight_read_around_its_layer_is_found(how, experiment, monkeypatch):
    parts = experiment("bert")
    model = parts.model
    monkeypatch.setattr(model, "layout", {f"inner.{n}": p for n, p in model.layout.items()})
    monkeypatch.setattr(model, "module", Around(model.module, how))
    if how == "nothing":
        TogetherTrainer(parts.trainer(), 2)
        return
    with pytest.raises(NotTogether, match="do not read all of their weights themselves"):
        TogetherTrainer(parts.trainer(), 2)
