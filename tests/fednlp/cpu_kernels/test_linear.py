import copy

import pytest
import torch
from torch import nn

from fednlp.cpu_kernels import linear
from fednlp.cpu_kernels.linear import NARROW, OneDnnLinear, use_onednn


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_equals_torch_forward_and_backward(bias, frozen):
    torch.manual_seed(0)
    plain = nn.Linear(NARROW, 3 * NARROW, bias=bias)
    plain.weight.requires_grad_(not frozen)
    fast = copy.deepcopy(plain)
    assert use_onednn(fast) == 1 and type(fast) is OneDnnLinear
    x = torch.randn(4, 7, NARROW)
    results = []
    for layer in (plain, fast):
        leaf = x.clone().requires_grad_()
        out = layer(leaf)
        out.square().sum().backward()
        results.append(
            [out, leaf.grad, *(p.grad for p in layer.parameters() if p.grad is not None)]
        )
    assert len(results[0]) == len(results[1]) == 2 + bias + (not frozen)
    for one, two in zip(*results, strict=True):
        assert torch.allclose(one, two, rtol=1e-4, atol=1e-4 * float(one.detach().abs().max()))


def test_repeats_bit_for_bit():
    torch.manual_seed(0)
    layer, x = nn.Linear(256, 256), torch.randn(33, 256)
    use_onednn(layer)
    assert torch.equal(layer(x), layer(x))


def test_rows_that_lie_apart_are_brought_together_first(monkeypatch):
    """For which oneDNN falls back to plain loops."""
    products, real = [], linear._product
    monkeypatch.setattr(
        linear, "_product", lambda *given: products.append(given[:2]) or real(*given)
    )
    layer = nn.Linear(NARROW, NARROW)
    plain = copy.deepcopy(layer)
    use_onednn(layer)
    states, factor = torch.randn(5, 9, NARROW), torch.randn(5, 3, NARROW)
    (layer(states[:, :1]) * factor[:, :1]).sum().backward()
    (plain(states[:, :1]) * factor[:, :1]).sum().backward()
    assert torch.allclose(layer.weight.grad, plain.weight.grad, rtol=1e-4, atol=1e-4)
    assert len(products) == 2
    for pair in products:
        assert all(t.is_contiguous() or t.t().is_contiguous() for t in pair)


def test_narrow_layers_and_subclasses_are_left_alone():
    class Own(nn.Linear):
        pass

    module = nn.ModuleList([nn.Linear(NARROW - 1, 4 * NARROW), Own(NARROW, NARROW)])
    assert use_onednn(module) == 0
    assert [type(layer) for layer in module] == [nn.Linear, Own]
