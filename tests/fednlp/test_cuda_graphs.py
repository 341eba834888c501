"""When work is recorded (with a recorder of the tests' own), and recorded steps on a real GPU."""

import logging
import warnings

import pytest
import torch
from fake_recorder import FakeRecorder
from step_cases import CLIENTS, by_algorithm, trained, trainer_of

from fednlp.cuda_graphs import WARM_UP, Graphs, Recorder
from fednlp.processes import repeatable_kernels
from fednlp.static_step import StaticSteps
from tasks import TASKS

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(autouse=True, scope="module")
def as_in_a_run():
    repeatable_kernels()


def test_work_runs_once_per_call_and_is_recorded_when_warm():
    recorder, done = FakeRecorder(), []
    graphs = Graphs(recorder)
    for call in range(1, 6):
        graphs.run("a", lambda: done.append("a"))
        assert len(done) == call
        assert len(graphs) == (call > WARM_UP)
    assert len(recorder.recorded) == 1


def test_no_more_graphs_than_the_most(caplog):
    recorder, done = FakeRecorder(), []
    graphs = Graphs(recorder, most=2)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            for key in "abcd":
                graphs.run(key, lambda key=key: done.append(key))
    assert done == list("abcd" * 5) and len(graphs) == 2
    (record,) = caplog.records
    assert "2 shapes of batches are recorded, the most that are" in record.getMessage()


@pytest.mark.parametrize(
    ("recorder", "reason"),
    [
        (FakeRecorder(fails=True), "(no room)"),
        (FakeRecorder(waiting="it waits for the GPU (model.py:3)"), "(it waits for the GPU"),
    ],
)
def test_what_cannot_be_recorded_runs_as_usual_and_says_so_once(recorder, reason, caplog):
    graphs, done = Graphs(recorder), []
    with caplog.at_level(logging.WARNING):
        for call in range(1, 6):
            for key in "ab":
                graphs.run(key, lambda key=key: done.append(key))
            assert done == list("ab" * call)
    assert len(caplog.records) == 1 and len(graphs) == 0
    assert caplog.records[0].getMessage().startswith("engine.graphs: steps cannot be recorded")
    assert reason in caplog.records[0].getMessage()


def with_recorder(trainer, recorder):
    trainer.static_steps = StaticSteps(trainer, Graphs(recorder))
    return trainer


@pytest.mark.parametrize("task", list(TASKS))
def test_recorded_work_reads_what_it_is_told(task):
    """A replay is the work of an earlier batch, client and participation, run once more."""
    ends = []
    for recorder in (None, FakeRecorder()):
        trainer, start = trainer_of(task, steps="static", dropout=0.1, epochs=4)
        with_recorder(trainer, recorder)
        uploads = by_algorithm(trainer, start, "fedprox")
        trained(trainer, start)
        ends.append((trainer.model.weights, uploads))
    assert len(recorder.recorded) > 2
    assert torch.equal(ends[0][0], ends[1][0])
    for static, recorded in zip(ends[0][1], ends[1][1], strict=True):
        assert all(torch.equal(static[name], recorded[name]) for name in static)


ADAMW = {"optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.01}
SGD = {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9}


def on_gpu(steps, task="text_classification", **options):
    trainer, start = trainer_of(task, device="cuda", steps=steps, epochs=6, **options)
    trained(trainer, start)
    return trainer, start


@gpu
@pytest.mark.parametrize("client", [ADAMW, SGD])
@pytest.mark.parametrize("task", list(TASKS))
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dropout": 0.1},
        {"clip_norm": None},
        {"frozen": 1},
        {"lora": True},
        {"precision": "bf16", "dropout": 0.1},
        {"schedule": "linear", "schedule_span": "participation", "warmup": 0.2},
        {"batch_tokens": 200},
    ],
    ids=str,
)
def test_replayed_steps_give_the_bits_of_steps_that_are_not(task, client, changes):
    static, start = on_gpu("static", task, **client, **changes)
    graphs, _ = on_gpu("graphs", task, **client, **changes)
    assert len(graphs.static_steps.graphs) > 1
    assert torch.equal(static.model.weights, graphs.model.weights)
    assert not torch.equal(static.model.weights, start)


@gpu
@pytest.mark.parametrize(
    ("name", "client"),
    [
        ("fedavg", ADAMW),
        ("fedprox", ADAMW),
        ("scaffold", {"optimizer": "sgd", "lr": 0.1}),
        ("scaffold_gradient", ADAMW),
        ("ditto", ADAMW),
    ],
)
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_methods_on_replayed_steps(name, client, dropout):
    uploads = []
    for steps in ("static", "graphs"):
        trainer, start = trainer_of(device="cuda", steps=steps, dropout=dropout, epochs=6, **client)
        uploads.append(by_algorithm(trainer, start, name))
        replayed = len(trainer.static_steps.graphs)
        assert (replayed > 1) == (steps == "graphs")
    for static, graphs in zip(*uploads, strict=True):
        assert all(torch.equal(graphs[key], expected) for key, expected in static.items())


@gpu
@pytest.mark.parametrize("task", list(TASKS))
def test_the_gpu_trains_as_the_cpu_does(task):
    cpu, start = trainer_of(task, steps="static", epochs=6, optimizer="sgd", lr=0.1)
    trained(cpu, start)
    graphs, _ = on_gpu("graphs", task, optimizer="sgd", lr=0.1)
    moved = float((cpu.model.weights - start).norm())
    # Kernels of another device, over some thirty steps.
    assert float((graphs.model.weights.cpu() - cpu.model.weights).norm()) < 1e-3 * moved


@gpu
def test_dropout_is_the_clients_own_stream():
    trainer, start = on_gpu("graphs", dropout=0.1, **ADAMW)
    ends = []
    for client in (2, 0, 2):
        before = torch.cuda.get_rng_state()
        trainer.participate(CLIENTS[2], start, round=0, client=client).advance()
        ends.append(trainer.model.weights.clone())
        assert torch.equal(torch.cuda.get_rng_state(), before)
    assert torch.equal(ends[0], ends[2]) and not torch.equal(ends[0], ends[1])


@gpu
@pytest.mark.parametrize("client", [ADAMW, SGD])
def test_a_replayed_training_continues_from_its_tensors(client):
    whole, start = on_gpu("graphs", dropout=0.1, **client)
    participation = whole.participate(CLIENTS[2], start, round=0, client=0)
    participation.advance(100)
    saved = {name: tensor.cpu().clone() for name, tensor in participation.tensors().items()}
    participation.advance()
    other, _ = trainer_of(device="cuda", steps="graphs", dropout=0.1, epochs=6, **client)
    continued = other.participate(CLIENTS[2], start, round=0, client=0)
    continued.restore(saved)
    continued.advance()
    assert torch.equal(whole.model.weights, other.model.weights)


@gpu
def test_no_step_waits_for_the_gpu():
    trainer, start = on_gpu("graphs", dropout=0.1, **ADAMW)
    participation = trainer.participate(CLIENTS[2], start, round=0, client=0)
    with participation.random_state.active(), participation.steps.active():
        batches = list(participation._batches(participation.course.budget))
        torch.cuda.set_sync_debug_mode("error")
        try:
            participation.steps.run(batches)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def look_at_values(trainer):
    """Control flow that depends on a weight."""
    weights = trainer.model.weights

    def look(module, _):
        if module.training and weights[0] < -9:
            raise ValueError("far away")

    trainer.model.module.register_forward_pre_hook(look)


@gpu
def test_a_model_that_looks_at_its_values_is_not_recorded(caplog):
    ends = []
    for steps in ("static", "graphs"):
        trainer, start = trainer_of(device="cuda", steps=steps, epochs=6, dropout=0.1, **ADAMW)
        look_at_values(trainer)
        with caplog.at_level(logging.WARNING), warnings.catch_warnings():
            warnings.simplefilter("error")
            trained(trainer, start)
        ends.append(trainer.model.weights)
    assert len(trainer.static_steps.graphs) == 0
    assert torch.equal(*ends)
    (record,) = caplog.records
    assert "waits for the GPU" in record.getMessage()


@gpu
def test_a_recording_that_fails_leaves_training_as_it_was(monkeypatch, caplog):
    """The wait is not noticed beforehand, and breaks the recording itself."""
    monkeypatch.setattr(Recorder, "waits", lambda self, work: work() or "")
    ends = []
    for steps in ("static", "graphs"):
        trainer, start = trainer_of(device="cuda", steps=steps, epochs=6, dropout=0.1, **ADAMW)
        look_at_values(trainer)
        trained(trainer, start)
        ends.append(trainer.model.weights)
    assert torch.equal(*ends)
    assert "cannot be recorded" in caplog.text
