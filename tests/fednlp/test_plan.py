"""What `show` predicts is what a run then records; a shorter vector is fewer bytes."""

from __future__ import annotations

import pytest
from harness import DATASETS, experiment, final_state, run, run_both
from torch import nn

from fednlp.plan import _multiplied, counts, plan

ALONE = {"centralized.budget": "none"}
METHODS = ["fedavg", "fedprox", "fedadam", "scaffold", "scaffold_gradient", "fednova", "ditto"]


@pytest.mark.parametrize("method", METHODS)
def test_predicted_is_recorded(method, small_config, tmp_path):
    changes = {"algorithm": method, "rounds": 3, "client.epochs": 2}
    config = small_config({**changes, "client.batch_size": 10}, **ALONE)
    predicted = plan(experiment(config))
    finished = run(config, tmp_path)
    costs = finished.result.costs
    assert predicted.bytes_up == costs.bytes_up
    assert predicted.bytes_down == costs.bytes_down
    assert predicted.steps == costs.steps  # Ditto: its personal pass too
    assert predicted.federated_id == finished.path.name and predicted.centralized_id is None
    assert predicted.trainable == finished.result.model.trainable
    passes = 2 if method == "ditto" else 1
    assert predicted.examples == costs.examples == passes * 3 * 2 * 2 * 24


@pytest.mark.parametrize("batch_size", [8, 10])
@pytest.mark.parametrize("budget", ["matched", "converged"])
def test_the_reference_is_predicted_too(batch_size, budget, small_config, tmp_path):
    """With batches of 10, the last one of every epoch over 96 examples holds 6."""
    centralized = {"budget": budget, "epochs": 3}
    config = small_config({"rounds": 6, "client.batch_size": batch_size}, centralized=centralized)
    predicted = plan(experiment(config))
    _, central = run_both(config, tmp_path)
    costs = central.result.costs
    assert predicted.centralized_id == central.path.name
    assert predicted.centralized_examples == 288 <= costs.examples < 288 + batch_size
    assert predicted.centralized_steps == costs.steps


def test_a_converged_budget_is_epochs_over_the_union(small_config, tmp_path):
    config = small_config(centralized={"budget": "converged", "epochs": 2})
    federated, central = run_both(config, tmp_path)
    assert [r["examples"] for r in central.rounds] == [96, 96]
    assert federated.result.references[0].budget == central.result.budget == "converged"


def test_a_matched_budget_is_what_the_federated_run_processes(small_config, tmp_path):
    config = small_config({"rounds": 3, "client.epochs": 2, "client.batch_size": 7})
    federated, central = run_both(config, tmp_path)
    assert federated.result.costs.examples == 3 * 2 * 2 * 24 == 288
    assert 288 <= central.result.costs.examples < 288 + 7


def test_planning_leaves_no_trace(small_config, tmp_path):
    from harness import digests

    config = small_config(ALONE)
    parts = experiment(config)
    plan(parts)
    from fednlp.flat_model import digest

    assert digest(parts.model.weights) == digest(parts.initial_weights)
    from harness import quiet_progress

    from fednlp.federation import Federation
    from fednlp.results.run_folder import RunFolder

    with RunFolder(tmp_path / "planned") as folder:
        Federation(parts, folder, quiet_progress()).run()
        after = [record["weights_sha256"] for record in folder.rounds()]
    assert after == digests(run(config, tmp_path / "runs"))


@pytest.mark.parametrize("method", ["fedavg", "scaffold", "ditto"])
def test_the_predicted_disk_holds_the_run(method, small_config, tmp_path):
    """Also where the selected round is not the last, and its client states are kept beside."""
    changes = {"algorithm": method, "rounds": 5, "client.lr": 1e-6}
    config = small_config({**changes, "checkpoint.keep_every": 2}, **ALONE)
    predicted = plan(experiment(config)).disk_bytes
    finished = run(config, tmp_path)
    assert finished.result.selected.round == 1
    used = sum(p.stat().st_size for p in finished.path.rglob("*.safetensors"))
    assert 0.4 * predicted <= used <= 1.05 * predicted


# a shorter vector ---------------------------------------------------------------------------------

SHORTER = {
    "lora": {"model.lora": {"r": 2}},
    "layers": {"model.freeze_layers": 1},
    "embeddings": {"model.freeze_embeddings": True},
    "both": {"model.freeze_embeddings": True, "model.freeze_layers": 1},
}


@pytest.mark.parametrize("task", list(DATASETS))
@pytest.mark.parametrize("kind", list(SHORTER))
def test_what_is_frozen_is_not_sent(task, kind, small_config, tmp_path):
    base = {"dataset.name": DATASETS[task], "algorithm": "scaffold", "rounds": 1}
    full = experiment(small_config(base))
    config = small_config({**base, **SHORTER[kind]}, **ALONE)
    parts, finished = experiment(config), run(config, tmp_path)
    vector, frozen = parts.model.weights.numel(), parts.model.frozen
    if kind == "lora":
        assert vector < 0.1 * full.model.weights.numel()
    else:
        assert vector + frozen == full.model.weights.numel() + full.model.frozen
    assert vector < full.model.weights.numel()
    costs, participations = finished.result.costs, 2
    assert costs.bytes_up == costs.bytes_down == participations * 2 * 4 * vector
    assert costs.bytes_base == 4 * frozen * 2  # once for each of the two that took part
    assert final_state(finished)["weights"].numel() == vector
    assert (finished.result.model.trainable, finished.result.model.frozen) == (vector, frozen)
    trained = {n for n, p in parts.model.module.named_parameters() if p.requires_grad}
    assert set(parts.model.layout) == trained
    if kind == "lora":
        heads = ("classifier", "qa_outputs")
        assert all("lora_" in n or n.startswith(heads) for n in trained), trained


def test_frozen_weights_stay_as_they_were(small_config, tmp_path):
    config = small_config({"model.freeze_embeddings": True, "client.lr": 0.5}, **ALONE)
    parts = experiment(config)
    before = parts.model.frozen_digest()
    named = {n: p.detach().clone() for n, p in parts.model.module.named_parameters()}
    parts.trainer().participate(parts.union, parts.initial_weights, round=0, client=0).advance()
    assert parts.model.frozen_digest() == before
    after = dict(parts.model.module.named_parameters())
    moved = {n for n, p in named.items() if not (p == after[n]).all()}
    assert moved == set(parts.model.layout)


def test_the_base_is_counted_once_per_client_however_often_it_takes_part(small_config, tmp_path):
    changes = {"model.freeze_layers": 1, "rounds": 5, "partition.clients": 3}
    finished = run(small_config(changes, **ALONE), tmp_path)
    drawn = {k for record in finished.rounds for k in record["clients"]}
    frozen = finished.result.model.frozen
    assert len(drawn) == 3 and finished.result.costs.bytes_base == 4 * frozen * 3


def test_tables_that_are_only_looked_up_are_not_multiplied():
    class Tied(nn.Module):
        def __init__(self, tied):
            super().__init__()
            self.words, self.places = nn.Embedding(50, 4), nn.Embedding(9, 4)
            self.inner, self.out = nn.Linear(4, 4), nn.Linear(4, 50, bias=False)
            if tied:
                self.out.weight = self.words.weight

    assert _multiplied(Tied(False)) == _multiplied(Tied(True)) == 4 * 4 + 4 + 50 * 4


def test_what_a_model_multiplies(small_config):
    experiment_ = experiment(small_config())
    costs, module = counts(experiment_), experiment_.model.module
    tables = [m for m in module.modules() if isinstance(m, nn.Embedding)]
    assert len(tables) >= 2
    looked_up = sum(table.weight.numel() for table in tables)
    assert costs.multiplied == costs.trainable + costs.frozen - looked_up
