"""Training on the occurring rows of the embedding against training on all of them."""

import numpy as np
import pytest
import torch

import fednlp.occurring_rows as occurring
from fednlp import config as configuration
from fednlp.experiment import Experiment


@pytest.fixture
def experiment(small_config, monkeypatch):
    monkeypatch.setattr(occurring, "WORTH", 0)
    monkeypatch.setattr(occurring, "LARGEST_SHARE", 1.0)

    def build(**client):
        config = small_config()
        data = configuration.merged(config.resolved(), {"client": client})
        return Experiment(configuration.build(data, "test"))

    return build


CLIENTS = [
    {"optimizer": "adamw", "lr": 1e-3, "clip_norm": None},
    {"optimizer": "adamw", "lr": 1e-3, "clip_norm": 0.05, "weight_decay": 0.1, "epochs": 2},
    {"optimizer": "sgd", "lr": 0.1, "clip_norm": 1.0, "weight_decay": 0.01},
    {"optimizer": "sgd", "lr": 0.1, "clip_norm": None, "momentum": 0.9},
]


@pytest.mark.parametrize("client", CLIENTS)
def test_equals_training_on_the_whole_vocabulary(experiment, client):
    parts = experiment(**client)
    trainer, start, examples = parts.trainer(), parts.initial_weights, parts.union[:24]
    ends = []
    for whole in (True, False):
        participation = trainer.participate(
            examples, start, round=0, client=0, whole_vocabulary=whole
        )
        assert (participation.steps.rows is None) == whole
        participation.advance()
        ends.append(parts.model.weights.clone())
    moved = (ends[0] - start).abs().max()
    exact = client["clip_norm"] is None and not client.get("weight_decay")
    tolerance = 0.0 if exact else 2e-3 * float(moved)
    assert float((ends[0] - ends[1]).abs().max()) <= tolerance
    assert float((ends[0] - ends[1]).norm()) <= (
        0.0 if exact else 1e-4 * float((ends[0] - start).norm())
    )


def test_the_model_gets_its_own_table_back(experiment):
    parts = experiment()
    weight = parts.model.module.get_input_embeddings().weight
    trainer = parts.trainer()
    participation = trainer.participate(parts.union[:8], parts.initial_weights, round=0, client=0)
    participation.advance()
    assert weight.data_ptr() == parts.model.weights.data_ptr()
    assert weight.grad is not None and weight.grad.data_ptr() == parts.model.gradient.data_ptr()
    assert (
        participation.steps.rows is not None and len(participation.steps.rows.leaf) < weight.numel()
    )


def test_untouched_rows_do_not_move_without_decay(experiment):
    parts = experiment(weight_decay=0.0)
    examples = parts.union[:8]
    tokens = occurring.occurring_tokens(parts.stores["train"], examples)
    parts.trainer().participate(examples, parts.initial_weights, round=0, client=0).advance()
    table = parts.model.module.get_input_embeddings().weight
    before = parts.initial_weights[: table.numel()].view_as(table)
    rest = np.setdiff1d(np.arange(len(table)), tokens.numpy())
    assert torch.equal(table[rest], before[rest]) and not torch.equal(table, before)


def test_a_correction_keeps_the_whole_vocabulary(experiment):
    parts = experiment()
    participation = parts.trainer().participate(
        parts.union[:8], parts.initial_weights, round=0, client=0, correct=lambda g, w: g
    )
    assert participation.steps.rows is None
