"""Optimizers, layers and batches of several clients, each against what it stands for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fednlp.config_schema import ClientConfig
from fednlp.flat_model import FlatModel
from fednlp.together.batches import joint, padded_tokens
from fednlp.together.module import clients_module
from fednlp.together.optimizers import RowsOptimizer
from fednlp.together.rows import ModelRows
from fednlp.together.steps import clip_
from tasks.batches import PlannedBatch

CLIENTS = 3


def on_rows(module: nn.Module) -> tuple[FlatModel, ModelRows]:
    """The module's flat weights, and rows of other weights for every client."""
    model = FlatModel(module)
    rows = ModelRows(model, CLIENTS)
    rows.weights.copy_(torch.randn(rows.weights.shape, generator=torch.Generator().manual_seed(3)))
    return model, rows


@pytest.mark.parametrize(
    "client",
    [
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"optimizer": "adamw"},
        {"optimizer": "sgd", "weight_decay": 0.1, "momentum": 0.9},
        {"optimizer": "sgd", "momentum": 0.5},
        {"optimizer": "sgd", "weight_decay": 0.1},
    ],
    ids=str,
)
def test_optimizers_are_torchs_bit_for_bit(client):
    """Two participations of ten steps; the last client leaves after four of them."""
    settings = ClientConfig(**client)
    model, rows = on_rows(nn.Linear(7, 5))
    optimizer = RowsOptimizer(rows, model.decayed, settings)
    draw = torch.Generator().manual_seed(1)
    for _ in range(2):
        optimizer.begin()
        leaves = [[nn.Parameter(row[:35].clone()), nn.Parameter(row[35:].clone())]
                  for row in rows.weights]  # fmt: skip
        others = []
        for weight, bias in leaves:
            groups = [
                {"params": [weight], "weight_decay": settings.weight_decay},
                {"params": [bias], "weight_decay": 0.0},
            ]
            others.append(
                torch.optim.AdamW(groups, lr=1.0, fused=True)
                if settings.optimizer == "adamw"
                else torch.optim.SGD(groups, lr=1.0, momentum=settings.momentum, fused=True)
            )
        for step in range(10):
            active = CLIENTS if step < 4 else CLIENTS - 1
            rates = (
                [0.1, 0.1, 0.03][:active] if step % 2 else [0.1 / (k + 1) for k in range(active)]
            )
            rows.gradient.copy_(torch.randn(rows.gradient.shape, generator=draw))
            for k in range(active):
                leaves[k][0].grad = rows.gradient[k, :35].clone()
                leaves[k][1].grad = rows.gradient[k, 35:].clone()
                for group in others[k].param_groups:
                    group["lr"] = rates[k]
                others[k].step()
            optimizer.step(rates)
        expected = torch.stack([torch.cat([w, b]).detach() for w, b in leaves])
        assert torch.equal(rows.weights, expected)


def test_rows_are_clipped_as_torch_clips():
    rows = torch.randn(3, 40) * torch.tensor([[10.0], [1e-3], [1.0]])
    expected = rows.clone()
    for row in expected:
        leaf = nn.Parameter(torch.zeros(40))
        leaf.grad = row
        nn.utils.clip_grad_norm_([leaf], 0.7)
    clip_(rows, 0.7)
    torch.testing.assert_close(rows, expected, rtol=1e-6, atol=0.0)


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(11, 6, padding_idx=2)
        self.places = nn.Embedding(4, 6)
        self.norm = nn.LayerNorm(6)
        self.wide = nn.Linear(6, 9)
        self.bare = nn.Linear(9, 11, bias=False)
        self.wide.bias.requires_grad_(False)

    def forward(self, ids):
        x = self.words(ids) + self.places(torch.arange(ids.shape[1])[None])
        return self.bare(torch.relu(self.wide(self.norm(x))))


@pytest.mark.parametrize("active", [CLIENTS, CLIENTS - 1])
def test_layers_have_the_gradients_of_each_client_alone(active):
    """Ids repeat, some are the padding id; the rows of a client that has left are not touched."""
    model, rows = on_rows(Layers())
    module = clients_module(model, rows)
    ids = torch.randint(0, 11, (CLIENTS, 2, 4), generator=torch.Generator().manual_seed(4))
    ids[:, 0, 1] = 2
    rows.active, rows.batch = active, 2
    output = module(ids[:active].flatten(0, 1))
    output.square().sum().backward()
    for k in range(active):
        model.load(rows.weights[k])
        model.gradient.zero_()
        alone = model.module(ids[k])
        alone.square().sum().backward()
        torch.testing.assert_close(output[2 * k : 2 * k + 2], alone, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(rows.gradient[k], model.gradient, rtol=1e-4, atol=1e-4)
    assert not rows.gradient[active:].any()


def test_ids_of_nobody_are_refused():
    model, rows = on_rows(Layers())
    module = clients_module(model, rows)
    rows.active, rows.batch = 2, 2
    with pytest.raises(ValueError, match=r"ids \[3, 4\] that do not belong to clients"):
        module(torch.zeros(3, 4, dtype=torch.int64))


def planned(rows: list[int], examples: int, length: int, target: int = 0) -> PlannedBatch:
    return PlannedBatch(np.array(rows), examples, length, target, 0, 0)


def test_joint_batches_count_every_row_once():
    batches = [planned([4, 5, 6], 2, 16, 8), planned([9], 1, 24)]
    (whole,) = joint(batches, 10**6, (2, 3))
    assert whole.planned.rows.tolist() == [4, 5, 6, 9, 9, 9]
    assert whole.share.tolist() == [0.5, 0.5, 0.5, 1.0, 0.0, 0.0]
    assert (whole.planned.length, whole.planned.target_length) == (24, 8)
    assert padded_tokens([whole]) == 3 * 32
    parts = joint(batches, 2 * 2 * 32, (2, 3))
    assert [p.batch for p in parts] == [2, 1]
    assert [p.planned.rows.tolist() for p in parts] == [[4, 5, 9, 9], [6, 9]]
    assert [p.share.tolist() for p in parts] == [[0.5, 0.5, 1.0, 0.0], [0.5, 0.0]]
    assert len(joint(batches, 1, (2, 3))) == 3  # never less than a row per client


def test_what_fills_a_shape_weighs_nothing():
    (whole,) = joint([planned([4, 5], 2, 16), planned([9], 1, 16)], 10**6, (3, 4))
    assert whole.planned.rows.reshape(3, 4).tolist() == [[4, 5, 4, 4], [9, 9, 9, 9], [4, 4, 4, 4]]
    assert whole.share.reshape(3, 4).tolist() == [[0.5, 0.5, 0, 0], [1.0, 0, 0, 0], [0, 0, 0, 0]]
    assert padded_tokens([whole]) == 4 * 16
