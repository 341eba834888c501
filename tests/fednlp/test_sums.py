"""Sums of uploads: in any order the same bits, and no further from the truth than float32."""

from __future__ import annotations

import math

import pytest
import torch
from harness import command, digests, experiment, run

from fednlp.engines import sums
from fednlp.engines.client import Broadcast
from fednlp.engines.sums import BAND, ExactSum, FastSum, band_of
from fednlp.engines.torchrun.part import Trainer
from fednlp.errors import UserError

CPU = torch.device("cpu")


def uploads(clients: int, spread: float = 1.0) -> list[tuple[dict[str, torch.Tensor], float]]:
    """Of two tensors each; spread: how many times larger the last client's are."""
    draw = torch.Generator().manual_seed(0)
    made = []
    for number in range(clients):
        size = 1e-3 * spread ** (number / max(1, clients - 1))
        delta = size * torch.randn(500, generator=draw)
        tau = torch.rand((), generator=draw, dtype=torch.float64)
        made.append(({"delta": delta, "tau": tau}, float(3 + 7 * number)))
    return made


def mean(total, terms):
    for decoded, weight in terms:
        total.add(decoded, weight)
    return total.mean(sum(weight for _, weight in terms))


@pytest.mark.parametrize("spread", [1.0, 1e9])
def test_any_order_gives_the_same_bits_and_fast_does_not(spread):
    terms = uploads(40, spread)
    there, back = mean(ExactSum(CPU), terms), mean(ExactSum(CPU), terms[::-1])
    assert all(torch.equal(there[name], back[name]) for name in ("delta", "tau"))
    assert [t.dtype for t in there.values()] == [torch.float32, torch.float64]
    fast, reversed_ = mean(FastSum(), terms), mean(FastSum(), terms[::-1])
    assert not torch.equal(fast["delta"], reversed_["delta"])


@pytest.mark.parametrize("spread", [1.0, 1e9])
def test_it_is_no_further_from_the_truth_than_float32(spread):
    terms = uploads(40, spread)
    weight = sum(w for _, w in terms)
    truth = sum(d["delta"].double() * w for d, w in terms) / weight
    exact = (mean(ExactSum(CPU), terms)["delta"] - truth).abs().max()
    assert exact <= (mean(FastSum(), terms)["delta"] - truth).abs().max()
    largest = max(float((d["delta"] * w).abs().max()) for d, w in terms)
    assert exact <= len(terms) * 2.0**-33 * largest / weight + 2.0**-24 * truth.abs().max()


def test_bands():
    for exponent in (-40, -16, 0, 16, 48):
        expected = math.ceil(exponent / BAND)
        assert band_of(2.0**exponent) == expected
        assert band_of(math.nextafter(2.0**exponent, math.inf)) == exponent // BAND + 1
    total = ExactSum(CPU)
    for number, size in enumerate((0.0, 1e-30, 1.5, 2.0, 1e9, 1e38)):
        total.add({"x": torch.full((3,), size)}, 1.0)
        assert len(total.bands["x"]) == (0, 1, 2, 2, 3, 4)[number]
    assert torch.allclose(total.mean(1.0)["x"], torch.tensor(1e38))


def test_zeros_keep_their_shape():
    assert torch.equal(
        mean(ExactSum(CPU), [({"x": torch.zeros(2, 3)}, 1.0)])["x"], torch.zeros(2, 3)
    )


def test_zeros_are_where_the_weights_are(small_config):
    """Also in a process that trains no client. `meta` stands for a GPU: it too is not the CPU."""
    zeros = [({"x": torch.zeros(2, 3)}, 1.0)]
    assert mean(ExactSum(torch.device("meta")), zeros)["x"].device.type == "meta"
    trainer = Trainer(experiment(small_config({"engine.aggregation": "exact"})))
    idle = trainer.train(Broadcast(0, torch.zeros(4, device="meta"), {}), [], [], lambda _: {})
    idle.total.replace({}, {"x": ((2, 3), torch.float32)})
    assert idle.total.mean(1.0)["x"].device.type == "meta"


def test_an_overflow_is_refused_and_the_limit_is_safe(monkeypatch):
    steps = torch.full((1,), 2.0**48).to(torch.int64)
    assert sums.MOST_CLIENTS * int(steps) < 2**63
    monkeypatch.setattr(sums, "MOST_CLIENTS", 3)
    with pytest.raises(UserError, match=r"engine\.aggregation: a round of more than 3 clients"):
        mean(ExactSum(CPU), uploads(4))


def test_a_run_with_exact_sums(small_config, small_data, tmp_path):
    """Other bits and the same id; a run that began with the others is not continued silently."""
    changes = {"sampling.clients_per_round": 4, "centralized.budget": "none"}
    fast = run(small_config(changes), tmp_path / "fast")
    exact = run(small_config({**changes, "engine.aggregation": "exact"}), tmp_path / "exact")
    assert fast.result.id == exact.result.id and digests(fast) != digests(exact)
    path = tmp_path / "config.yaml"
    path.write_text(small_config({**changes, "rounds": 3}).model_dump_json())
    line = command("run", path, "--out", tmp_path / "exact").one_line()
    assert "aggregation exact -> fast" in line and "(engine.aggregation)" in line
    exactly = ("run", path, "engine.aggregation=exact", "--out", tmp_path / "exact")
    assert command(*exactly).code == 0
