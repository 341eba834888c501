"""Scores of clients, recomputed from what a run leaves in its folder."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from harness import DATASETS, experiment, run
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

from fednlp import experiment as experiments
from fednlp.evaluation import Evaluator
from partitioners.partition import Partition
from tasks.text_classification import TextClassification

ALONE = {"centralized.budget": "none"}
SKEWED = {"name": "dirichlet_per_class", "alpha": 1.0, "clients": 5}


@pytest.fixture(scope="module")
def scored(small_config, tmp_path_factory):
    """A function: task -> configuration, finished run, per-client table, predictions."""
    made = {}

    def get(task):
        if task not in made:
            sizes = {"train": 120, "validation": 24, "test": 120}
            config = small_config(
                {"dataset.name": DATASETS[task], "dataset.sizes": sizes, "rounds": 3},
                partition=SKEWED,
                client={"optimizer": "adamw", "lr": 3e-3, "batch_size": 8},
                **ALONE,
            )
            finished = run(config, tmp_path_factory.mktemp(task))
            table = pd.read_csv(finished.path / "clients.csv")
            predictions = pd.read_parquet(finished.path / "predictions.parquet")
            made[task] = config, finished, table, predictions
        return made[task]

    return get


def shares(finished):
    return Partition.load(finished.path / "partition.npz").splits["test"]


@pytest.mark.parametrize("task", ["text_classification", "question_answering", "seq2seq"])
def test_a_clients_score_is_the_mean_over_its_test_share(task, scored):
    _, finished, table, predictions = scored(task)
    metric = f"selected_{finished.result.primary_metric}"
    share, found = shares(finished), 0
    for row in table.itertuples():
        mine = share.client(row.client)
        assert row.test_examples == len(mine)
        if len(mine) >= 20:
            assert row.score == pytest.approx(predictions[metric].to_numpy()[mine].mean())
            found += 1
        else:
            assert np.isnan(row.score)
    assert found >= 2
    pooled = finished.result.selected.test[finished.result.primary_metric]
    assert predictions[metric].mean() == pytest.approx(pooled)
    last = finished.result.last.test[finished.result.primary_metric]
    assert predictions[f"last_{finished.result.primary_metric}"].mean() == pytest.approx(last)


def test_a_clients_score_in_tagging_is_the_f1_of_its_entities(scored):
    """Not a mean over sentences: seqeval over the client's own test share."""
    config, finished, table, predictions = scored("sequence_tagging")
    corpus = experiment(config).corpus
    gold = [[corpus.labels[t] for t in tags] for tags in corpus.splits["test"]["tags"][:]]
    said = [
        [corpus.labels[t] for t in json.loads(text)] for text in predictions["selected_prediction"]
    ]
    share, found = shares(finished), 0

    def f1(rows):
        return f1_score(
            [gold[i] for i in rows], [said[i] for i in rows], mode="strict", scheme=IOB2,
            zero_division=0,
        )  # fmt: skip

    for row in table.dropna(subset=["score"]).itertuples():
        assert row.score == pytest.approx(f1(share.client(row.client)))
        found += 1
    assert found >= 2
    assert finished.result.selected.test["f1"] == pytest.approx(f1(range(len(gold))))


@pytest.mark.parametrize("task", list(DATASETS))
def test_the_summary_is_that_of_the_table(task, scored):
    _, finished, table, _ = scored(task)
    summary, scores = finished.result.clients, table["score"].dropna().to_numpy()
    assert (summary.clients, summary.scored) == (5, len(scores)) and not summary.personal
    assert summary.coverage == pytest.approx(len(scores) / 5)
    assert summary.mean == pytest.approx(scores.mean())
    assert summary.std == pytest.approx(np.std(scores, ddof=1))
    assert summary.worst_decile == pytest.approx(scores.min())


@pytest.mark.parametrize("task", list(DATASETS))
def test_predictions_are_in_the_order_of_the_official_test_split(task, scored):
    config, finished, _, predictions = scored(task)
    parts = experiment(config)
    test = parts.corpus.splits["test"]
    assert predictions["row"].tolist() == list(test["row"][:])
    with_weights = Evaluator(parts)
    from harness import final_state

    outcome = with_weights.test(final_state(finished)["weights"])
    assert [json.loads(p) for p in predictions["last_prediction"]] == outcome.predictions
    assert outcome.scored.metrics == finished.result.last.test


def test_test_examples_like_no_clients_data_are_nobodys(small_config, tmp_path, monkeypatch):
    """Test articles that train lacks: no client is judged on them, and the result says so."""
    kind, changes = "of other articles", {"partition.skew": "label", "rounds": 1}
    config = small_config(changes, **ALONE)

    def labels(self, examples, wanted):
        return np.zeros(len(examples), np.int64), [kind if len(examples) == 80 else wanted]

    monkeypatch.setattr(TextClassification, "skew_labels", labels)
    monkeypatch.setattr(experiments, "_partition", experiments._partition.__wrapped__)
    finished = run(config, tmp_path)
    assert (finished.result.clients.scored, finished.result.clients.coverage) == (0, 0.0)
    assert any("80 of 80 test examples are in no client's" in n for n in finished.result.notes)
    assert len(pd.read_parquet(finished.path / "predictions.parquet")) == 80


def test_the_worst_decile_of_twenty_clients_is_the_mean_of_two(small_config, tmp_path):
    finished = run(
        small_config(
            {"evaluation.min_client_examples": 1, "partition.clients": 20, "rounds": 1}, **ALONE
        ),
        tmp_path,
    )
    table = pd.read_csv(finished.path / "clients.csv")
    scores = np.sort(table["score"].dropna())
    assert len(scores) == 20
    assert finished.result.clients.worst_decile == pytest.approx(scores[:2].mean())


def test_too_few_test_examples_score_nobody(small_config, tmp_path):
    """At least 20 by default: 80 examples over 8 clients are 10 each."""
    few = run(small_config({"partition.clients": 8, "rounds": 1}, **ALONE), tmp_path)
    clients = few.result.clients
    assert (clients.scored, clients.coverage, clients.mean, clients.std) == (0, 0.0, None, None)
    assert pd.read_csv(few.path / "clients.csv")["score"].isna().all()


def test_held_out_clients_are_scored_but_never_trained(small_config, tmp_path):
    changes = {"partition.held_out": 0.5, "evaluation.min_client_examples": 1, "rounds": 3}
    finished = run(small_config(changes, **ALONE), tmp_path)
    table = pd.read_csv(finished.path / "clients.csv")
    held = set(table.loc[table["held_out"], "client"])
    assert len(held) == 2 and table["score"].notna().all()
    assert not held & {k for record in finished.rounds for k in record["clients"]}


def test_personal_models_score_their_owners(small_config, tmp_path):
    """Ditto: who took part before the selected round is judged with its own model."""
    changes = {"evaluation.min_client_examples": 1, "partition.clients": 6, "rounds": 2}
    changes |= {"algorithm": {"name": "ditto", "lam": 0.01}, "client.lr": 0.5}
    config = small_config(changes, **ALONE)
    finished = run(config, tmp_path)
    table = pd.read_csv(finished.path / "clients.csv").set_index("client")
    assert finished.result.clients.personal
    last = finished.result.selected.round
    took_part = {k for record in finished.rounds[:last] for k in record["clients"]}
    assert took_part and took_part < set(range(6))
    assert set(table.index[table["global_score"].notna()]) == took_part
    predictions = pd.read_parquet(finished.path / "predictions.parquet")
    share = shares(finished)
    for client, row in table.iterrows():
        plain = predictions["selected_accuracy"].to_numpy()[share.client(client)].mean()
        kept = row["global_score"] if client in took_part else row["score"]
        assert kept == pytest.approx(plain)
    # one personal model by hand
    from fednlp.results.run_folder import RunFolder

    client = min(took_part)
    with RunFolder(finished.path) as folder:
        personal = folder.client_state(client, best=True)["personal"]
    _, own = Evaluator(experiment(config)).score("test", personal, share.client(client))
    assert table.loc[client, "score"] == pytest.approx(own.metrics["accuracy"])


def test_local_only_training_is_judged_on_the_same_shares(small_config, tmp_path):
    changes = {"evaluation.local_only": 2, "rounds": 4, "client.lr": 0.3}
    config = small_config({**changes, "evaluation.min_client_examples": 10}, **ALONE)
    finished = run(config, tmp_path)
    table = pd.read_csv(finished.path / "clients.csv")
    alone = table.dropna(subset=["local_only"])
    summary = finished.result.clients
    assert len(alone) == summary.local_only_clients == 2
    assert summary.local_only_mean == pytest.approx(alone["local_only"].mean())
    assert summary.federated_mean_same_clients == pytest.approx(alone["score"].mean())
    # by hand: 4 rounds of which a client is expected in half, so two rounds of its epochs
    parts, client = experiment(config), int(alone["client"].iloc[0])
    examples = parts.partition.splits["train"].client(client)
    parts.trainer().participate(
        examples, parts.initial_weights, round=0, client=client, budget=2 * len(examples),
        stream=" local only",
    ).advance()  # fmt: skip
    share = parts.partition.splits["test"].client(client)
    _, own = Evaluator(parts).score("test", parts.model.weights.clone(), share)
    assert alone["local_only"].iloc[0] == pytest.approx(own.metrics["accuracy"])


def test_the_standard_error_is_that_of_a_mean(scored):
    """Of an accuracy p over n examples: sqrt(p (1 - p) / n), here from 200 bootstrap samples."""
    _, finished, _, predictions = scored("text_classification")
    p = predictions["selected_accuracy"].mean()
    expected = np.sqrt(p * (1 - p) / len(predictions))
    assert finished.result.selected.test_stderr == pytest.approx(expected, rel=0.2)


def test_validation_on_a_subset_is_seeded_and_the_same_for_all_seeds(small_config):
    changes = {"evaluation.validation_examples": 7}
    one, other = (experiment(small_config({**changes, "seed": s})) for s in (0, 1))
    assert len(one.validation_indices) == 7
    assert (one.validation_indices == other.validation_indices).all()
    assert (np.diff(one.validation_indices) > 0).all() and one.validation_indices.max() < 24
    assert len(experiment(small_config()).validation_indices) == 24


@pytest.mark.parametrize("task", list(DATASETS))
def test_evaluation_does_not_depend_on_the_size_of_its_batches(task, scored, small_config):
    from harness import final_state

    config, finished, _, _ = scored(task)
    weights = final_state(finished)["weights"]
    small = config.model_copy(
        update={"evaluation": config.evaluation.model_copy(update={"tokens_per_batch": 64})}
    )
    outcomes = [Evaluator(experiment(c)).test(weights) for c in (config, small)]
    assert outcomes[0].predictions == outcomes[1].predictions
    assert outcomes[0].stderr == outcomes[1].stderr
    assert experiment(small).model.module.training is False
