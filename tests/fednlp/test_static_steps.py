"""Steps in memory that never moves against plain ones, on the CPU and without recording."""

import numpy as np
import pytest
import torch
from step_cases import CLIENTS, by_algorithm, store_of, trained, trainer_of

from fednlp.static_step import StaticSteps
from fednlp.step import TOKENS_PER_PASS, PlainSteps
from tasks import TASKS
from tasks.batches import PlannedBatch

EXACT = 2.0**-10  # a rate that is the same number in float32, as static steps are told it
ADAMW = {"optimizer": "adamw", "lr": EXACT, "weight_decay": 0.0625}
SGD = {"optimizer": "sgd", "lr": 0.125}
CHANGES = [
    {},
    {"frozen": 1},
    {"lora": True},
    {"clip_norm": None},
    {"batch_tokens": 200},
    {"dropout": 0.1},
]


@pytest.fixture
def padded(monkeypatch):
    """Plain steps over the very batches of static ones, fill included."""
    monkeypatch.setattr(PlainSteps, "shaped", StaticSteps.shaped)


@pytest.mark.parametrize("client", [ADAMW, SGD, {**SGD, "momentum": 0.5, "weight_decay": 0.0625}])
@pytest.mark.parametrize("task", list(TASKS))
@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_the_same_batches_give_the_same_bits(task, client, changes, padded):
    ends = []
    for steps in ("plain", "static"):
        trainer, start = trainer_of(task, steps=steps, **{**client, **changes})
        ended = trained(trainer, start)
        ends.append((trainer.model.weights, [p.done for p in ended], [p.rates for p in ended]))
        assert not torch.equal(trainer.model.weights, start)
    assert torch.equal(ends[0][0], ends[1][0])
    assert ends[0][1:] == ends[1][1:]


@pytest.mark.parametrize("client", [ADAMW, SGD])
@pytest.mark.parametrize("task", list(TASKS))
def test_fill_changes_nothing_but_rounding(task, client):
    """Without dropout: its draws depend on the number of rows."""
    ends, counts = [], []
    for steps in ("plain", "static"):
        trainer, start = trainer_of(task, steps=steps, **client)
        counts.append(sum(p.done.padded_tokens for p in trained(trainer, start)))
        ends.append(trainer.model.weights)
    moved = float((ends[0] - start).norm())
    # Adam divides by the size of a gradient, so that the rounding of a small one shows.
    assert float((ends[0] - ends[1]).norm()) <= 5e-4 * moved  # 2e-4 was seen
    assert counts[0] < counts[1]


@pytest.mark.parametrize("schedule", ["constant", "linear"])
@pytest.mark.parametrize("rate", [1e-3, 3e-2])
def test_a_rate_is_told_in_float32(schedule, rate, padded):
    ends = []
    for steps in ("plain", "static"):
        trainer, start = trainer_of(
            steps=steps, optimizer="sgd", lr=rate, schedule=schedule,
            schedule_span="participation", warmup=0.25 if schedule == "linear" else 0.0,
        )  # fmt: skip
        rates = [p.rates for p in trained(trainer, start)]
        ends.append((trainer.model.weights, rates))
    assert ends[0][1] == ends[1][1]
    moved = float((ends[0][0] - start).norm())
    assert float((ends[0][0] - ends[1][0]).norm()) <= 1e-5 * moved


@pytest.mark.parametrize(
    ("name", "client"),
    [
        ("fedavg", ADAMW),
        ("fedprox", ADAMW),
        ("fedprox", SGD),
        ("scaffold", SGD),
        ("scaffold_gradient", ADAMW),
        ("ditto", ADAMW),
        ("fednova", SGD),
    ],
)
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_methods_upload_and_keep_the_same_bits(name, client, dropout, padded):
    uploads = []
    for steps in ("plain", "static"):
        trainer, start = trainer_of(steps=steps, dropout=dropout, **client)
        uploads.append(by_algorithm(trainer, start, name))
    for plain, static in zip(*uploads, strict=True):
        assert plain.keys() == static.keys()
        for key, expected in plain.items():
            assert torch.equal(static[key], expected), key


def test_a_client_does_not_depend_on_the_one_before(padded):
    trainer, start = trainer_of(steps="static", dropout=0.1, **ADAMW)
    ends = []
    for client in (2, 0, 2):
        trainer.participate(CLIENTS[client], start, round=0, client=client).advance()
        ends.append(trainer.model.weights.clone())
    assert torch.equal(ends[0], ends[2]) and not torch.equal(ends[0], ends[1])


@pytest.mark.parametrize("client", [ADAMW, {**SGD, "momentum": 0.5}, SGD])
def test_continues_from_its_tensors(client):
    whole, start = trainer_of(steps="static", dropout=0.1, **client)
    participation = whole.participate(CLIENTS[2], start, round=0, client=0)
    participation.advance(24)
    saved = {name: tensor.clone() for name, tensor in participation.tensors().items()}
    participation.advance()
    other, _ = trainer_of(steps="static", dropout=0.1, **client)
    trained(other, start)  # whatever came before
    continued = other.participate(CLIENTS[2], start, round=0, client=0)
    continued.restore(saved)
    continued.advance()
    assert torch.equal(whole.model.weights, other.model.weights)
    assert continued.done == participation.done and continued.rates == participation.rates


def test_memory_stays_where_it_is():
    trainer, start = trainer_of(steps="static", **ADAMW)

    def places():
        optimizer = trainer.static_steps.optimizer
        tensors = [t for state in optimizer.state.values() for t in state.values()]
        tensors += [group["lr"] for group in optimizer.param_groups]
        tensors += [leaf for group in optimizer.param_groups for leaf in group["params"]]
        tensors += [leaf.grad for group in optimizer.param_groups for leaf in group["params"]]
        tensors += [p for p in trainer.model.module.parameters()]
        tensors += [p.grad for p in trainer.model.module.parameters() if p.requires_grad]
        return [tensor.data_ptr() for tensor in tensors]

    before = places()
    trained(trainer, start)
    by_algorithm(trainer, start, "fedprox")
    assert places() == before


def test_a_batch_beyond_one_pass_is_summed_up(monkeypatch, padded):
    ends = []
    for most in (TOKENS_PER_PASS, 100):
        monkeypatch.setattr("fednlp.static_step.TOKENS_PER_PASS", most)
        trainer, start = trainer_of("question_answering", steps="static", **SGD)
        trained(trainer, start)
        ends.append(trainer.model.weights)
    moved = float((ends[0] - start).norm())
    assert float((ends[0] - ends[1]).norm()) <= 1e-5 * moved
    assert not torch.equal(*ends)


def test_few_shapes():
    trainer, _ = trainer_of(steps="static", batch_size=32)
    counts = {
        rows: trainer.static_steps.shaped(
            PlannedBatch(np.arange(rows), rows, 8, 0, 8 * rows, 8 * rows)
        )
        for rows in range(1, 80)
    }
    assert {len(planned.rows) for planned in counts.values()} == set(range(8, 81, 8))
    assert all(len(p.rows) - p.fill == rows for rows, p in counts.items())


def test_a_batch_is_not_filled_beyond_one_pass():
    trainer, _ = trainer_of(steps="static", batch_size=32)
    width = TOKENS_PER_PASS // 31
    planned = PlannedBatch(np.arange(31), 31, width, 0, 31 * width, 31 * width)
    assert trainer.static_steps.shaped(planned) is planned


def test_gathering_needs_nothing_but_sizes():
    """What a recording would freeze must not come from the batch that was recorded."""
    for task in TASKS:
        trainer, _ = trainer_of(task)
        rows = np.arange(4)
        planned = PlannedBatch(rows, 4, 24, 8 if task == "seq2seq" else 0, 96, 96)
        nameless = PlannedBatch(rows[:0], 0, 24, planned.target_length, 0, 0)
        store = store_of(task)
        expected = trainer.task.collate(store, planned)
        found = trainer.task.gather(store, torch.from_numpy(rows), nameless)
        assert expected.inputs.keys() == found.inputs.keys()
        pairs = [*expected.inputs.items(), *expected.targets.items()]
        for name, tensor in pairs:
            assert torch.equal(tensor, {**found.inputs, **found.targets}[name])
