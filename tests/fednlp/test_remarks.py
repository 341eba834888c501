"""What is said once before the rounds of a run."""

from __future__ import annotations

import pytest
import torch

import fednlp.occurring_rows as occurring
from fednlp.experiment import Experiment
from fednlp.remarks import remarks


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"algorithm.name": "fedprox", "algorithm.mu": 0.1}, "FedProx corrects the gradient"),
        ({"algorithm.name": "scaffold"}, "Scaffold corrects the gradient"),
        ({"algorithm.name": "fedavg"}, ""),
        ({"algorithm.name": "fedprox", "algorithm.mu": 0.1, "engine.together": 2}, ""),
    ],
)
def test_a_method_that_needs_the_whole_embedding(changes, said, small_config, monkeypatch):
    monkeypatch.setattr(occurring, "WORTH", 0)
    experiment = Experiment(small_config(changes))
    found = remarks(experiment)
    assert len(found) == bool(said) and said in "".join(found)


def test_a_small_embedding_is_no_matter(small_config):
    experiment = Experiment(small_config({"algorithm.name": "scaffold"}))
    assert remarks(experiment) == []


@pytest.mark.parametrize(
    ("known", "lines"),
    [({"avx2": True, "avx512_bf16": False}, 1), ({"avx512_bf16": True}, 0), ({}, 0)],
)
def test_bf16_on_a_processor_without_it(known, lines, small_config, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    experiment = Experiment(small_config({"precision": "bf16"}))
    assert len(remarks(experiment)) == lines
