"""Steps of clients together in static memory, as a GPU replays them, against steps that are not."""

from __future__ import annotations

import pytest
import torch
from fake_recorder import FakeRecorder
from step_cases import CLIENTS, trainer_of

from fednlp.course import Span
from fednlp.cuda_graphs import Graphs
from fednlp.engines.client import Asked
from fednlp.together.trainer import TogetherTrainer
from tasks import TASKS

SGD = {"optimizer": "sgd", "lr": 0.02, "momentum": 0.9}
ADAMW = {"optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.01}
CHANGES = [
    {"clip_norm": None},
    {"clip_norm": 0.05, "weight_decay": 0.1},
    {"frozen": 1},
    {"lora": True},
    {"schedule": "linear", "schedule_span": "participation", "warmup": 0.2},
    {"batch_tokens": 200},
]
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def learned(
    steps, recorder=None, task="text_classification", device="cpu", correct=None, **options
):
    """Two groups of three clients of different sizes, the second from where the first ended."""
    trainer, start = trainer_of(task, steps=steps, device=device, **options)
    together = TogetherTrainer(trainer, 3)
    if recorder is not None:
        together.steps.graphs = Graphs(recorder)
    found = []
    for round in range(2):
        asked = [
            Asked(trainer.course(own, round=round, client=k, span=Span(round, 2)), start, correct)
            for k, own in enumerate(CLIENTS)
        ]
        found += together.train(asked)
        start = found[-1].weights
    return found, together


def same_work(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.rates == other.rates
        assert (one.work.examples, one.work.steps) == (other.work.examples, other.work.steps)
        assert one.work.loss_sum == pytest.approx(other.work.loss_sum, rel=1e-4)
        assert one.work.correction_sum == pytest.approx(other.work.correction_sum, rel=1e-3)


def distance(found, expected):
    return max(
        float((a.weights - b.weights).norm() / b.weights.norm())
        for a, b in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("task", list(TASKS))
@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_few_shapes_change_nothing_but_rounding(task, changes):
    """Rows and clients that fill a shape weigh nothing; rates are read as float32."""
    plain, _ = learned("plain", task=task, **{**SGD, **changes})
    static, together = learned("static", task=task, **{**SGD, **changes})
    same_work(static, plain)
    assert distance(static, plain) < 1e-5
    assert together.steps.rows.active in (1, 2, 3)


@pytest.mark.parametrize("client", [SGD, ADAMW], ids=["sgd", "adamw"])
@pytest.mark.parametrize("task", list(TASKS))
def test_recorded_work_reads_what_it_is_told(task, client):
    """A replay is the work of other batches, clients and groups, run once more."""

    def pull(gradient, weights):
        return gradient + 0.01 * weights

    options = {"task": task, "dropout": 0.1, "epochs": 4, "correct": pull, **client}
    static, _ = learned("static", **options)
    recorder = FakeRecorder()
    recorded, _ = learned("static", recorder, **options)
    assert len(recorder.recorded) > 2
    same_work(recorded, static)
    for one, other in zip(recorded, static, strict=True):
        assert torch.equal(one.weights, other.weights)


@gpu
@pytest.mark.parametrize("client", [SGD, ADAMW], ids=["sgd", "adamw"])
@pytest.mark.parametrize("task", list(TASKS))
@pytest.mark.parametrize("changes", [{}, {"dropout": 0.1}, *CHANGES], ids=str)
def test_replayed_steps_give_the_bits_of_steps_that_are_not(task, client, changes):
    options = {"task": task, "device": "cuda", "epochs": 6, **client, **changes}
    static, _ = learned("static", **options)
    graphs, together = learned("graphs", **options)
    assert len(together.steps.graphs) > 1
    same_work(graphs, static)
    for one, other in zip(graphs, static, strict=True):
        assert torch.equal(one.weights, other.weights)
