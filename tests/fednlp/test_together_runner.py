"""Clients trained together against the same clients one by one, method by method."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from harness import DATASETS

from algorithms import ALGORITHMS, FedAvg
from fednlp.components import client_optimizer
from fednlp.engines.client import Asked, Assignment, Broadcast, ClientRunner
from fednlp.errors import UserError
from fednlp.experiment import Experiment
from fednlp.hooks import Hooks
from fednlp.together.runner import TogetherRunner
from fednlp.together.trainer import TogetherTrainer

SIZES = (20, 7, 33, 3, 8)  # steps of 8: 3, 1, 5, 1, 1; ragged last batches of 4, 7, 1, 3
# Of the change, where an optimizer is linear in the gradient: sums in another order.
# 1.3e-5 was seen.
EXACT = 3e-5
# Adam divides a gradient by its own size, so where it is all rounding (the bias of a key, to
# which softmax is indifferent) the step is as large as any other and of either sign.
ADAM = 2e-2
SGD = {"optimizer": "sgd", "lr": 0.1}
ADAMW = {"optimizer": "adamw", "lr": 1e-3}


def build(small_config, **changes):
    changes = {"dataset.sizes": {"train": 96, "validation": 16, "test": 16}, **changes}
    return Experiment(small_config({"model.dropout": 0.0, **changes}))


def _of_client(states, client, round):
    return states[client]


class Rounds:
    """Two rounds of five clients, in either way, each with its own states of the clients."""

    def __init__(self, experiment: Experiment, method=None, clients: int = 3) -> None:
        self.parts = experiment
        self.method = Hooks(method or experiment.algorithm)
        self.trainer = experiment.trainer()
        optimizer = client_optimizer(experiment.config.client)
        self.runner = ClientRunner(self.trainer, self.method, optimizer, rounds=2)
        self.together = TogetherRunner(self.runner, TogetherTrainer(self.trainer, clients))
        order = np.random.default_rng(1).permutation(experiment.stores["train"].examples)
        shares = np.split(order[: sum(SIZES)], np.cumsum(SIZES)[:-1])
        self.cohort = [Assignment(k, share, 1.0) for k, share in enumerate(shares)]
        self.start = experiment.initial_weights

    def run(self, together: bool):
        """Uploads of both rounds; the second starts from moved weights and the states kept."""
        server = self.method.init_server(self.start, self.trainer.model.layout)
        states = [self.method.init_client(self.start, "a test") for _ in self.cohort]
        uploads, weights = [], self.start
        for round in range(2):
            received = self.method.download(weights, server, "a test")
            sent = Broadcast(round, weights, received)
            if together:
                load = partial(_of_client, states)
                found = list(self.together.uploads(sent, self.cohort, load))
            else:
                pairs = zip(self.cohort, states, strict=True)
                found = [self.runner.run(sent, a, state) for a, state in pairs]
            states = [dict(upload.state or {}) for upload in found]
            uploads += found
            weights = self.start * 1.01
            if "control" in server:
                server["control"] = torch.full_like(weights, 1e-3)
        return uploads

    def compare(self, tolerance: float):
        for alone, joint in zip(self.run(False), self.run(True), strict=True):
            assert alone.problem is None and joint.problem is None
            assert joint.bytes_up == alone.bytes_up
            same(joint.decoded, alone.decoded, tolerance)
            same(joint.state or {}, alone.state or {}, tolerance)
            for count in ("examples", "steps", "real_tokens"):
                assert getattr(joint.work, count) == getattr(alone.work, count)
            assert joint.work.padded_tokens >= alone.work.padded_tokens
            assert joint.work.loss_sum == pytest.approx(alone.work.loss_sum, rel=1e-3)
            near = pytest.approx(alone.work.correction_sum, rel=1e-3, abs=1e-4)
            assert joint.work.correction_sum == near


def same(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].shape == tensor.shape, name
        difference = float((found[name] - tensor).norm())
        assert difference <= tolerance * float(tensor.norm()) + 1e-12, name


METHODS = [
    ("fedavg", SGD),
    ("fedavg", ADAMW),
    ("fedavg", {**SGD, "momentum": 0.9, "weight_decay": 0.1}),
    ("fedavg", {**ADAMW, "weight_decay": 0.1}),
    ("fedprox", SGD),
    ("fedprox", ADAMW),
    ("fedavgm", SGD),
    ("fedadagrad", ADAMW),
    ("fedadam", SGD),
    ("fedyogi", SGD),
    ("scaffold", SGD),
    ("scaffold_gradient", {**SGD, "momentum": 0.9}),
    ("scaffold_gradient", ADAMW),
    ("fednova", {**SGD, "momentum": 0.9}),
    ("ditto", SGD),
    ("ditto", ADAMW),
]


@pytest.mark.parametrize(("method", "client"), METHODS)
def test_a_method_gives_the_same(method, client, small_config):
    mu = {"mu": 0.5} if method == "fedprox" else {}
    changes = {"algorithm": {"name": method, **mu}, "client": {**client, "batch_size": 8}}
    experiment = build(small_config, **changes)
    Rounds(experiment).compare(ADAM if client["optimizer"] == "adamw" else EXACT)


@pytest.mark.parametrize(
    "client",
    [
        {"clip_norm": None},
        {"clip_norm": 0.05},
        {"epochs": 2},
        {"schedule": "linear", "warmup": 0.4},
        {"schedule": "linear", "schedule_span": "participation", "warmup": 0.5},
        {"batch_size": 3},
    ],
)
def test_a_client_setting_gives_the_same(client, small_config):
    experiment = build(small_config, client={**SGD, "momentum": 0.5, "batch_size": 8, **client})
    Rounds(experiment).compare(EXACT)


@pytest.mark.parametrize("task", DATASETS)
@pytest.mark.parametrize(
    "model",
    [{}, {"freeze_embeddings": True}, {"freeze_layers": 1}, {"lora": {"r": 2}}],
    ids=["all", "embeddings frozen", "a layer frozen", "lora"],
)
def test_a_task_gives_the_same(task, model, small_config):
    model = {"name": "tiny", "dropout": 0.0, **model}
    experiment = build(
        small_config, **{"dataset.name": DATASETS[task], "model": model, "client.lr": 0.1}
    )
    rounds = Rounds(experiment)
    if "lora" in model:  # nothing of the frozen base is copied
        names = dict(rounds.together.trainer.module.named_parameters())
        frozen = [p for p in experiment.model.module.parameters() if not p.requires_grad]
        own = {p.data_ptr() for p in names.values()}
        assert all(p.data_ptr() in own for p in frozen)
    rounds.compare(EXACT)


@pytest.mark.parametrize("clients", [1, 2, 16])
def test_the_number_at_once_changes_nothing(clients, small_config):
    Rounds(build(small_config), clients=clients).compare(EXACT)


def test_a_batch_in_several_passes_gives_the_same(small_config, monkeypatch):
    import fednlp.together.steps as steps

    passes, real = [], steps.joint

    def counted(*given):
        made = real(*given)
        passes.append(len(made))
        return made

    monkeypatch.setattr(steps, "joint", counted)
    monkeypatch.setattr(steps, "TOKENS_PER_PASS", 200)
    rounds = Rounds(build(small_config))
    rounds.compare(EXACT)
    assert max(passes) > 1


# dropout ---------------------------------------------------------------------------------------


def test_dropout_differs_between_clients_and_repeats(small_config):
    """Three clients with one share and one order, so only their masks can tell them apart."""
    experiment = build(small_config, **{"model.dropout": 0.3, "client.lr": 0.1})
    rounds = Rounds(experiment)
    asked = rounds.trainer.course(np.arange(16), round=0, client=0)
    trainings = [Asked(asked, rounds.start, None)] * 3
    ends = [rounds.together.trainer.train(trainings) for _ in range(2)]
    first, second = ([learned.weights for learned in end] for end in ends)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], first[1]) and not torch.equal(first[1], first[2])


def test_dropout_of_a_client_by_itself_is_the_same(small_config):
    """A group of one draws from its client's own stream, in the same shapes."""
    experiment = build(small_config, **{"model.dropout": 0.3, "client.lr": 0.1})
    Rounds(experiment, clients=1).compare(EXACT)


def test_dropout_leaves_torchs_generator_alone(small_config):
    rounds = Rounds(build(small_config, **{"model.dropout": 0.3}))
    before = torch.get_rng_state()
    rounds.run(together=True)
    assert torch.equal(before, torch.get_rng_state())


# what a method may do --------------------------------------------------------------------------


@dataclass(frozen=True)
class Branches(FedAvg):
    """A correction that looks at values, in a closure, and draws; unequal numbers of trainings."""

    def local_update(self, client):
        norms = []

        def correct(gradient, weights):
            norms.append(float(gradient.norm()))
            return gradient * 0.5 if norms[-1] > 1.0 else gradient + 0.01 * weights

        trained = client.train(client.received["weights"], correct)
        if client.index % 2:
            trained = client.train(trained.weights, None)
        noise = torch.rand(trained.weights.shape, generator=client.generator)
        return {"delta": trained.weights - client.received["weights"] + 1e-3 * noise}


def test_any_correction_and_any_number_of_trainings(small_config):
    rounds = Rounds(build(small_config), method=Branches())
    rounds.compare(EXACT)


@dataclass(frozen=True)
class Trips(FedAvg):
    hook: str = "correct"

    def correct(self, gradient, weights, client):
        if self.hook == "correct" and client.index == 2:
            raise ZeroDivisionError("in the correction")
        return gradient[:-1] if self.hook == "shape" and client.index == 2 else gradient

    def local_update(self, client):
        payload = super().local_update(client)
        if self.hook == "update" and client.index == 2:
            raise ZeroDivisionError("after the training")
        return payload


@pytest.mark.parametrize("hook", ["correct", "shape", "update"])
def test_an_error_names_the_client_and_the_hook_as_one_by_one(hook, small_config):
    rounds, messages = Rounds(build(small_config), method=Trips(hook=hook)), []
    for together in (False, True, True):  # the third needs the threads of the second
        with pytest.raises(UserError) as error:
            rounds.run(together)
        messages.append(str(error.value))
    assert messages[0] == messages[1] == messages[2]
    assert "client 2, round 1" in messages[0] and f"{Trips.__name__}." in messages[0]


@dataclass(frozen=True)
class WithoutGradients(FedAvg):
    """As many write it, since nothing but the training needs them."""

    @torch.no_grad()
    def local_update(self, client):
        payload = super().local_update(client)
        assert not torch.is_grad_enabled()
        return payload


def test_a_hook_without_gradients_trains_as_one_with_them(small_config):
    experiment = build(small_config)
    plain, without = Rounds(experiment), Rounds(experiment, method=WithoutGradients())
    for together in (False, True):
        for one, other in zip(plain.run(together), without.run(together), strict=True):
            same(other.decoded, one.decoded, 0.0)
        assert torch.is_grad_enabled()


def test_a_client_that_diverges_leaves_the_others_alone(small_config):
    experiment = build(small_config)
    rounds = Rounds(experiment, method=Explodes())
    alone, joint = rounds.run(False), rounds.run(True)
    assert [u.problem for u in joint] == [u.problem for u in alone]
    assert sum(u.problem is not None for u in joint) == 2
    for one, other in zip(alone, joint, strict=True):
        same(other.decoded, one.decoded, EXACT)


@dataclass(frozen=True)
class Explodes(FedAvg):
    def correct(self, gradient, weights, client):
        return gradient * float("nan") if client.index == 1 else gradient


def test_published_methods_are_all_here():
    assert {name for name, _ in METHODS} == ALGORITHMS.keys()
