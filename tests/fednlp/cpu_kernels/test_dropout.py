import math

import pytest
import torch
from torch import nn

from fednlp.cpu_kernels.dropout import CheapDropout, survivors, use_dropout


@pytest.mark.parametrize("p", [1e-4, 0.1, 0.5, 0.9])
def test_drops_the_asked_share_and_keeps_the_mean(p):
    torch.manual_seed(0)
    size = 1 << 20
    mask = survivors((1 << 10, 1 << 10), p)
    dropped = round(p * 65536) / 65536
    spread = math.sqrt(dropped * (1 - dropped) / size)
    assert mask.shape == (1 << 10, 1 << 10) and mask.dtype == torch.float32
    assert abs(float((mask == 0).float().mean()) - dropped) < 5 * spread
    assert abs(dropped - p) <= 2**-17
    assert mask.unique().tolist() == [0.0, pytest.approx(1 / (1 - dropped))]


def test_neighbours_and_lanes_are_independent():
    """The four 16-bit lanes of a draw, and successive elements, decide apart from one another."""
    torch.manual_seed(1)
    dropped = (survivors((1 << 20,), 0.5) == 0).float()
    lanes = dropped.view(-1, 4)
    assert torch.allclose(lanes.mean(0), torch.full((4,), 0.5), atol=5e-3)
    assert (torch.corrcoef(lanes.t()) - torch.eye(4)).abs().max() < 0.01
    for shift in (1, 2, 3, 4, 8):
        pairs = torch.stack([dropped[:-shift], dropped[shift:]])
        assert abs(float(torch.corrcoef(pairs)[0, 1])) < 0.01


@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (0, 4)])
def test_any_shape(shape):
    assert survivors(shape, 0.3).shape == torch.Size(shape)


def test_a_rate_next_to_one_still_keeps_a_finite_scale():
    assert torch.isfinite(survivors((1000,), 1 - 1e-9)).all()


def test_repeats_with_the_generator_and_passes_gradients():
    layer = nn.Sequential(nn.Dropout(0.25))
    assert use_dropout(layer) == 1 and type(layer[0]) is CheapDropout
    x = torch.ones(40, 7, requires_grad=True)
    torch.manual_seed(3)
    one = layer(x)
    torch.manual_seed(3)
    assert torch.equal(one, layer(x))
    one.sum().backward()
    assert torch.equal(x.grad, one.detach())  # of ones: the mask itself


def test_evaluation_and_rate_zero_change_nothing():
    x = torch.randn(9)
    assert CheapDropout(0.0)(x) is x
    assert CheapDropout(0.5).eval()(x) is x
