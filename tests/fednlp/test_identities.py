"""Design 7: what must be equal, through the real harness."""

from __future__ import annotations

import copy
import re
from functools import partial

import numpy as np
import pytest
import torch
from harness import DATASETS, digests, experiment, final_state, quiet_progress, run, run_both

from fednlp.centralized import run_centralized
from fednlp.federation import Federation
from fednlp.flat_model import digest
from fednlp.identity import centralized_identity
from fednlp.local_training import Work
from fednlp.random_streams import generator, integer_seed
from fednlp.results.run_folder import RunFolder
from tasks.batches import epoch_plan
from tasks.model_card import ModelOverrides
from tasks.models import build_model

TASKS = list(DATASETS)
ALONE = {"centralized.budget": "none"}


def on(task, **changes):
    """Dotted changes that put a small run on a task."""
    return {"dataset.name": DATASETS[task], "partition.name": "uniform", **changes}


# one method is another -------------------------------------------------------------------------


@pytest.fixture(scope="module", params=TASKS)
def fedavg(request, small_config, tmp_path_factory):
    """FedAvg with SGD on each task, and the directory it lies in."""
    out = tmp_path_factory.mktemp(request.param)
    return request.param, out, run(small_config(on(request.param), **ALONE), out)


def test_fedprox_with_mu_0_is_fedavg(fedavg, small_config):
    task, out, plain = fedavg
    prox = run(small_config(on(task), algorithm={"name": "fedprox", "mu": 0.0}, **ALONE), out)
    assert prox.path != plain.path
    assert digests(prox) == digests(plain)
    assert prox.result.selected.test == plain.result.selected.test


def test_fedopt_with_sgd_of_rate_1_is_fedavg(fedavg, small_config):
    task, out, plain = fedavg
    momentum = {"server": {"momentum": 0.0, "lr": 1.0}, "algorithm": "fedavgm"}
    explicit = {"server": {"optimizer": "sgd", "lr": 1.0}}
    assert digests(run(small_config(on(task), **momentum, **ALONE), out)) == digests(plain)
    assert digests(run(small_config(on(task), **explicit, **ALONE), out)) == digests(plain)


def test_scaffold_with_zero_controls_is_fedavg(fedavg, small_config):
    """In the first round all controls are zero; in the second they are not."""
    task, out, plain = fedavg
    for name in ("scaffold", "scaffold_gradient"):
        scaffold = run(small_config(on(task), algorithm=name, **ALONE), out)
        assert digests(scaffold)[0] == digests(plain)[0]
        assert digests(scaffold)[1] != digests(plain)[1]


def test_methods_with_one_seed_see_the_same_cohorts_and_work(fedavg, small_config):
    task, out, plain = fedavg
    adam = run(small_config(on(task), algorithm="fedadam", **ALONE), out)
    for key in ("clients", "examples", "steps", "real_tokens", "padded_tokens"):
        assert [r[key] for r in adam.rounds] == [r[key] for r in plain.rounds]
    assert digests(adam) != digests(plain)


# federated training of one client is centralized training --------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "client",
    [
        {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9},
        {"optimizer": "adamw", "lr": 2e-3, "weight_decay": 0.1, "schedule": "linear",
         "warmup": 0.3},
    ],
    ids=["sgd", "adamw, linear"],
)  # fmt: skip
def test_one_client_in_one_round_is_centralized_training(task, client, small_config, tmp_path):
    """Three epochs with dropout; the same order of batches, the same masks, the same rates."""
    config = small_config(
        on(task),
        client={**client, "epochs": 3, "batch_size": 16},
        rounds=1,
        **{"partition.clients": 1, "sampling.clients_per_round": 1, "model.dropout": 0.1},
    )
    federated, central = run_both(config, tmp_path)
    assert federated.rounds[0]["examples"] == central.rounds[0]["examples"] == 3 * 96
    assert federated.rounds[0]["steps"] == central.rounds[0]["steps"] == 18
    assert federated.rounds[0]["train_loss"] == pytest.approx(central.rounds[0]["train_loss"])
    one, other = final_state(federated)["weights"], final_state(central)["weights"]
    moved = (one - experiment(config).initial_weights).abs().max()
    assert moved > 1e-2
    assert (one - other).abs().max() <= 1e-6


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("partition", ["uniform", "quantity"])
def test_one_full_batch_step_each_is_one_large_step(task, partition, small_config, tmp_path):
    """All clients, one SGD step over all they have = one step over the union, equal or not."""
    split = {"name": partition, "clients": 4}
    if partition == "quantity":
        split["alpha"] = 1.0
    config = small_config(
        on(task),
        partition=split,
        client={"optimizer": "sgd", "lr": 0.5, "batch_size": 96, "clip_norm": None},
        rounds=1,
        **{"sampling.clients_per_round": 4, "model.dropout": 0.0},
    )
    sizes = experiment(config).partition.splits["train"].sizes()
    assert (len(set(sizes.tolist())) == 1) == (partition == "uniform")
    federated, central = run_both(config, tmp_path)
    assert federated.rounds[0]["steps"] == 4 and central.rounds[0]["steps"] == 1
    one, other = final_state(federated)["weights"], final_state(central)["weights"]
    assert (one - experiment(config).initial_weights).abs().max() > 1e-2
    assert (one - other).abs().max() <= 1e-6


# the harness is a plain loop --------------------------------------------------------------------

PLAIN = {"sgd": partial(torch.optim.SGD, momentum=0.9), "adamw": torch.optim.AdamW}
# A softmax over positions does not feel a shift: key biases, the bias of a span's scores, and the
# shift of the last layer before them.
FLAT = re.compile(r"key\.bias|k_proj\.bias|qa_outputs\.bias|layer\.1\.output\.LayerNorm\.bias")


def mean_loss(task, module, batch):
    """transformers' own loss where it has the right mean, else the task's."""
    if task.name == "text_classification":
        return module(**batch.inputs, labels=batch.targets["label"]).loss
    return task.loss(module, batch) / batch.examples


def plain_fedavg(parts, client, rounds):
    """FedAvg as one writes it down: deep copies, a torch optimizer, averaged state_dicts."""
    config = parts.config
    module = build_model(
        parts.model_card,
        parts.task,
        labels=parts.corpus.labels,
        tokenizer=parts.tokenizer[0],
        seed=integer_seed(config.seed, "init"),
        overrides=ModelOverrides(layers=config.model.layers, dropout=config.model.dropout),
        max_length=config.tokens.max_length,
    )
    for round in range(rounds):
        locals_, weights = [], []
        for k in parts.sampler.cohort(round).tolist():
            examples = parts.partition.splits["train"].client(k)
            local = copy.deepcopy(module).train()
            named = [p for p in local.parameters() if p.requires_grad]
            groups = [
                {"params": [p for p in named if p.ndim >= 2], "weight_decay": 0.1},
                {"params": [p for p in named if p.ndim < 2], "weight_decay": 0.0},
            ]
            optimizer = PLAIN[client["optimizer"]](groups, lr=client["lr"])
            with torch.random.fork_rng():
                torch.manual_seed(integer_seed(config.seed, "dropout", round, k))
                for epoch in range(client["epochs"]):
                    rng = generator(config.seed, "data order", round, k, epoch)
                    for planned in epoch_plan(
                        parts.stores["train"], examples, client["batch_size"], rng
                    ):
                        optimizer.zero_grad()
                        batch = parts.task.collate(parts.stores["train"], planned)
                        mean_loss(parts.task, local, batch).backward()
                        torch.nn.utils.clip_grad_norm_(named, 1.0)
                        optimizer.step()
            locals_.append(local.state_dict())
            weights.append(len(examples))
        average = {
            name: sum(w * state[name] for w, state in zip(weights, locals_, strict=True))
            / sum(weights)
            if tensor.is_floating_point()
            else tensor
            for name, tensor in module.state_dict().items()
        }
        module.load_state_dict(average)
    return module


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("optimizer", list(PLAIN))
@pytest.mark.parametrize("kernels", ["torch's", "ours"])
def test_a_plain_loop_gives_the_same_weights(
    task, optimizer, kernels, small_config, tmp_path, monkeypatch
):
    """To 1e-6. With torch's kernels dropout is on and draws the same masks; ours draw others, so it
    is off there. Adam divides by the size of a gradient, so where it is 0 but for rounding it steps
    by rounding: weights that no loss can feel (FLAT) are left out, and one in a thousand others.
    """
    rates = {"sgd": {"lr": 0.01, "momentum": 0.9}, "adamw": {"lr": 3e-4}}
    client = {"optimizer": optimizer, "epochs": 2, "batch_size": 8, "weight_decay": 0.1}
    client |= rates[optimizer]
    if kernels == "torch's":
        monkeypatch.setattr("fednlp.experiment.use_cpu_kernels", lambda module: None)
    config = small_config(
        on(task),
        client=client,
        partition={"name": "quantity", "clients": 4, "alpha": 2.0},
        **ALONE,
        **{"sampling.clients_per_round": 3, "model.dropout": 0.1 if kernels == "torch's" else 0.0},
    )
    parts = experiment(config)
    found = final_state(run(config, tmp_path))["weights"]
    named = dict(plain_fedavg(parts, client, config.rounds).named_parameters())
    assert sum(p.numel() for p in named.values() if p.requires_grad) == len(found)
    off, moved = [], []
    for name, part in parts.model.layout.items():
        if optimizer == "sgd" or not FLAT.search(name):
            off.append((found[part] - named[name].detach().reshape(-1)).abs())
            moved.append((found[part] - parts.initial_weights[part]).abs())
    errors, step = torch.cat(off), torch.cat(moved)
    assert len(errors) > 0.99 * len(found) and step.max() > 1e-3
    if optimizer == "sgd":
        assert errors.max() <= 1e-6
    else:
        assert (errors > 1e-6).float().mean() <= 1e-3
        assert errors.norm() <= 1e-4 * step.norm()


# randomness has names ---------------------------------------------------------------------------


def test_a_client_of_a_round_can_be_replayed_alone(small_config, tmp_path):
    """With weight n / sum(n) in the mean, the replayed deltas give the round's weights."""
    config = small_config({"rounds": 3, "model.dropout": 0.1}, **ALONE)
    whole = run(config, tmp_path)
    shorter = run(small_config({"rounds": 2, "model.dropout": 0.1}, **ALONE), tmp_path / "two")
    start, parts = final_state(shorter)["weights"], experiment(config)
    total, weight, work = torch.zeros_like(start), 0.0, Work()
    for client in whole.rounds[2]["clients"]:  # a fresh process would do the same: nothing else
        examples = parts.partition.splits["train"].client(client)
        participation = parts.trainer().participate(examples, start, round=2, client=client)
        work += participation.advance()
        total.add_(parts.model.weights - start, alpha=len(examples))
        weight += len(examples)
    assert digest(start + total / weight) == digests(whole)[2]
    assert work.examples == whole.rounds[2]["examples"]
    assert work.loss_sum / work.examples == pytest.approx(whole.rounds[2]["train_loss"], rel=1e-6)


@pytest.mark.parametrize("sampling", ["proportional", "activity"])
def test_a_client_drawn_more_often_weighs_less(sampling, small_config, tmp_path):
    """n over the chance to be drawn, so that size is not counted twice (Dupuy et al. 2022)."""
    config = small_config(
        {"rounds": 1, "sampling": {"name": sampling, "clients_per_round": 3, "gamma": 0.5}},
        partition={"name": "quantity", "clients": 6, "alpha": 1.0},
        **ALONE,
    )
    parts, finished = experiment(config), run(config, tmp_path)
    chance = dict(zip(parts.sampler.clients.tolist(), parts.sampler.probability, strict=True))
    assert len(set(chance.values())) > 1
    total, weight = torch.zeros_like(parts.initial_weights), 0.0
    for client in finished.rounds[0]["clients"]:
        examples = parts.partition.splits["train"].client(client)
        parts.trainer().participate(
            examples, parts.initial_weights, round=0, client=client
        ).advance()
        share = len(examples) / chance[client]
        total += (parts.model.weights - parts.initial_weights) * share
        weight += share
    expected = parts.initial_weights + total / weight
    assert (final_state(finished)["weights"] - expected).abs().max() <= 1e-6


def test_bf16_is_autocast_only(small_config, tmp_path):
    """Weights stay float32 and near those of float32."""
    full, half = (
        final_state(run(small_config({"precision": p}, **ALONE), tmp_path))["weights"]
        for p in ("fp32", "bf16")
    )
    assert half.dtype == torch.float32
    assert 0 < (full - half).abs().max() < 0.05
    assert not torch.equal(half, half.bfloat16().float())


def test_the_order_of_clients_does_not_change_what_one_learns(small_config):
    parts = experiment(small_config({"model.dropout": 0.1}))
    train, deltas = parts.partition.splits["train"], {}
    for order in ([0, 1, 2], [2, 1, 0]):
        for client in order:
            torch.rand(17)  # whatever others draw in between
            parts.trainer().participate(
                train.client(client), parts.initial_weights, round=1, client=client
            ).advance()
            deltas.setdefault(client, set()).add(digest(parts.model.weights))
    assert all(len(found) == 1 for found in deltas.values())
    assert len({next(iter(found)) for found in deltas.values()}) == 3


def test_larger_cohorts_contain_smaller_ones_and_seeds_change_them(small_config, tmp_path):
    def cohorts(seed, count):
        config = small_config(
            {"seed": seed, "partition.clients": 8, "sampling.clients_per_round": count}, **ALONE
        )
        return [record["clients"] for record in run(config, tmp_path).rounds]

    small, large, other = cohorts(0, 3), cohorts(0, 5), cohorts(1, 3)
    assert all(b[: len(a)] == a for a, b in zip(small, large, strict=True))
    assert small != other and small[0] != small[1]


def test_a_seed_changes_start_and_order_but_not_the_split(small_config):
    one, other = (experiment(small_config({"seed": seed})) for seed in (0, 1))
    assert one.partition.checksum == other.partition.checksum
    assert digest(one.initial_weights) != digest(other.initial_weights)
    moved = experiment(small_config({"partition.seed": 1}))
    assert moved.partition.checksum != one.partition.checksum
    assert digest(moved.initial_weights) == digest(one.initial_weights)


# one reference for many -------------------------------------------------------------------------


def test_partitions_of_the_same_union_share_their_reference(small_config, tmp_path):
    skewed = {"name": "dirichlet", "alpha": 0.1, "clients": 4}
    configs = [small_config(), small_config(partition=skewed)]
    assert len({centralized_identity(experiment(c)).id for c in configs}) == 1
    first, central = run_both(configs[0], tmp_path)
    stamp = (central.path / "result.json").stat().st_mtime_ns
    second, again = run_both(configs[1], tmp_path)
    assert again.path == central.path and second.path != first.path
    assert (again.path / "result.json").stat().st_mtime_ns == stamp
    assert second.result.references == first.result.references


def test_held_out_clients_are_in_no_union_and_no_cohort(small_config, tmp_path):
    config = small_config(
        {"partition.clients": 8, "partition.held_out": 0.25, "rounds": 4}, **ALONE
    )
    parts = experiment(config)
    held = parts.partition.held_out.tolist()
    assert len(held) == 2
    theirs = np.concatenate([parts.partition.splits["train"].client(k) for k in held])
    assert len(parts.union) + len(theirs) == 96 and not set(parts.union) & set(theirs)
    drawn = {k for record in run(config, tmp_path).rounds for k in record["clients"]}
    assert not drawn & set(held) and len(drawn) > 3


def test_a_run_leaves_the_random_state_of_its_process_alone(small_config, tmp_path):
    torch.manual_seed(3)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    run(small_config({"seed": 5}), tmp_path)
    assert torch.equal(before, torch.get_rng_state())
    assert (numpy_before == np.random.get_state()[1]).all()


# the parts are what `run` uses ------------------------------------------------------------------


def test_engine_and_reference_run_without_the_command(small_config, tmp_path):
    """The identities above go through `run_pair`; a notebook may call the parts themselves."""
    config = small_config()
    federated, central = run_both(config, tmp_path)
    for name, folder_run, work in (
        ("f", federated, lambda parts, folder: Federation(parts, folder, quiet_progress()).run()),
        ("c", central, lambda parts, folder: run_centralized(parts, folder, quiet_progress())),
    ):
        with RunFolder(tmp_path / "alone" / name) as folder:
            work(experiment(config), folder)
            found = [record["weights_sha256"] for record in folder.rounds()]
        assert found == digests(folder_run)


@pytest.mark.parametrize("task", TASKS)
def test_a_batch_in_several_passes_is_the_batch(task, small_config, tmp_path, monkeypatch):
    """As with long documents, whose windows would not fit into memory at once."""
    config = small_config(on(task), **{"model.dropout": 0.0})
    whole = run(config, tmp_path / "whole")
    monkeypatch.setattr("fednlp.step.TOKENS_PER_PASS", 100)  # one to four rows
    parts = run(config, tmp_path / "parts")
    one, other = final_state(whole)["weights"], final_state(parts)["weights"]
    assert (one - experiment(config).initial_weights).abs().max() > 1e-3
    assert not torch.equal(one, other) and (one - other).abs().max() <= 1e-5
    assert [r["train_loss"] for r in whole.rounds] == pytest.approx(
        [r["train_loss"] for r in parts.rounds]
    )
    assert [r["padded_tokens"] for r in whole.rounds] == [r["padded_tokens"] for r in parts.rounds]
