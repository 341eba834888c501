"""Occurring rows of the embedding against all of them, family by family."""

import numpy as np
import pytest
import torch
from occurring_cases import ADAMW, HEADS, MOMENTUM, SGD, WIDE, both, case, family_of, scattered
from step_cases import CLIENTS, trainer_of

import fednlp.occurring_rows as occurring
from fednlp.occurring_rows import READ_IDS_ONLY_TO_EMBED


@pytest.fixture(autouse=True)
def any_size(monkeypatch):
    monkeypatch.setattr(occurring, "WORTH", 0)


def distance(start, whole, cut):
    assert not torch.equal(start, whole)
    return float((whole - cut).norm() / (whole - start).norm())


@pytest.mark.parametrize("client", [ADAMW, MOMENTUM], ids=["adamw", "momentum"])
@pytest.mark.parametrize("task", HEADS)
@pytest.mark.parametrize("family", READ_IDS_ONLY_TO_EMBED)
def test_a_family_gives_the_same_bits(family, task, client):
    """With dropout and without: the draws are the same, and they matter."""
    ends = []
    for dropout in (0.0, 0.2):
        start, whole, cut = both(lambda d=dropout: case(family, task, d, **client))
        assert torch.equal(whole, cut) and not torch.equal(whole, start)
        ends.append(cut)
    assert not torch.equal(*ends)


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_tokens": 200},
        {"precision": "bf16"},
        {"layers": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("task", HEADS)
@pytest.mark.parametrize("family", READ_IDS_ONLY_TO_EMBED)
def test_a_change_gives_the_same_bits(family, task, changes):
    if family == "albert" and "layers" in changes:
        pytest.skip("its layers share their weights")
    start, whole, cut = both(lambda: case(family, task, **ADAMW, **changes))
    assert torch.equal(whole, cut) and not torch.equal(whole, start)


@pytest.mark.parametrize("optimizer", [ADAMW, SGD], ids=["adamw", "sgd"])
@pytest.mark.parametrize("family", READ_IDS_ONLY_TO_EMBED)
def test_clipping_and_decay_differ_by_rounding(family, optimizer):
    client = {**optimizer, "clip_norm": 0.05, "weight_decay": 0.1, "schedule": "linear"}
    assert distance(*both(lambda: case(family, dropout=0.1, **client))) < 1e-4


@pytest.mark.parametrize("client", [ADAMW, MOMENTUM], ids=["adamw", "momentum"])
def test_a_row_of_any_width_differs_by_rounding(client):
    """Where it does not fill vector registers, an optimizer's last elements are others."""

    def make():
        return trainer_of(module=family_of("bert", hidden_size=12), store=scattered(), **client)

    assert distance(*both(make)) < 1e-5


@pytest.mark.parametrize("optimizer", [ADAMW, SGD], ids=["adamw", "sgd"])
def test_untouched_rows_decay_by_every_rate(optimizer):
    client = {**optimizer, "weight_decay": 0.5, "schedule": "linear", "warmup": 0.25}
    trainer, start = case("bert", schedule_span="participation", **client)
    participation = trainer.participate(CLIENTS[0], start, round=0, client=0)
    participation.advance(20)  # in two stretches: neither may be counted again
    participation.advance()
    assert len(set(participation.rates)) > 3
    tokens = occurring.occurring_tokens(trainer.store, CLIENTS[0]).numpy()
    rest = np.setdiff1d(np.arange(WIDE), tokens)
    shape = trainer.table.weight.shape
    before, after = (w[: shape.numel()].view(shape)[rest] for w in (start, trainer.model.weights))
    left = np.prod([1 - rate * 0.5 for rate in participation.rates])
    assert left < 0.999
    torch.testing.assert_close(after, before * left, rtol=1e-6, atol=0)


def test_an_interrupted_step_leaves_the_table_in_place(monkeypatch):
    trainer, start = case("bert", **ADAMW)
    participation = trainer.participate(CLIENTS[0], start, round=0, client=0)
    monkeypatch.setattr(trainer.task, "loss", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        participation.advance()
    weight = trainer.table.weight
    assert weight.shape[0] == WIDE and weight.data_ptr() == trainer.model.weights.data_ptr()
    assert weight.grad.data_ptr() == trainer.model.gradient.data_ptr()
    assert torch.equal(trainer.model.weights, start)
