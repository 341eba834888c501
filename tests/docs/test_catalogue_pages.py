"""The pages on partitioners, tasks and models list what there is, with numbers that still hold."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
from dataset_rows import HEADER, dataset_rows
from markdown_pages import code, page, table

from fednlp import config as configuration
from fednlp import occurring_rows
from fednlp.cards import model_card
from fednlp.config_schema import EvaluationConfig
from fednlp.cpu_kernels import linear
from fednlp.evaluation import BOOTSTRAP_SAMPLES
from fednlp.experiment import GENERATED_VALIDATION, Experiment
from fednlp.partitions.build import CLUSTERS
from fednlp.places import card_names
from fednlp.results.tables import human_bytes
from partitioners import PARTITIONERS, make_partition
from partitioners.formats import FORMATS
from tasks import TASKS, batches
from tasks.dataset_card import Cut
from tasks.question_answering import MAX_ANSWER_LENGTH, MAX_QUESTION_LENGTH
from tasks.readers import READERS
from tasks.schema import SKEW_KINDS, TASK_COLUMNS


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_partitioners_with_their_parameters() -> None:
    rows = {code(r["`partition.name`"]): r for r in table("docs/partitions.md", "partitioners")}
    assert list(rows) == list(PARTITIONERS)
    for name, spec in PARTITIONERS.items():
        expected = [
            f.name if f.default is dataclasses.MISSING else f"{f.name}={f.default}"
            for f in dataclasses.fields(spec.parameters)
        ]
        assert codes(rows[name]["parameters"]) == expected
        assert f"**{name}**" in page("docs/partitions.md")


def test_formats_of_partitions() -> None:
    rows = {code(row["`--format`"]): row for row in table("docs/partitions.md", "formats")}
    assert list(rows) == list(FORMATS)
    for name, form in FORMATS.items():
        assert rows[name]["examples"] == form.examples
        assert rows[name]["written"].startswith("a file" if form.suffixes else "a folder")


def test_achieved_skew_is_what_the_table_says() -> None:
    train, test = np.arange(10_000) % 10, np.arange(2_000) % 10
    for row in table("docs/partitions.md", "achieved"):
        name, _, setting = row["partition"].partition(", ")
        key, _, value = setting.partition("=")
        settings = {key: float(value) if key == "alpha" else int(value)} if key else {}
        achieved = make_partition(
            code(name), settings, clients=100, seed=0, train_labels=train, test_labels=test
        ).provenance["achieved"]
        sizes = achieved["sizes"]
        assert (row["smallest client"], row["largest client"], row["js"], row["missing"]) == (
            str(sizes["min"]),
            str(sizes["max"]),
            f"{achieved['js_distance']:.2f}",
            f"{achieved['missing_labels']:.2f}",
        ), row["partition"]


def test_tasks_with_columns_heads_and_metrics() -> None:
    rows = {code(row["task"]): row for row in table("docs/tasks.md", "tasks")}
    assert list(rows) == list(TASKS)
    for name, task in TASKS.items():
        assert codes(rows[name]["columns"]) == list(TASK_COLUMNS[name])
        assert code(rows[name]["head"]) == task.auto_class
        assert code(rows[name]["primary metric"]) == task.primary_metric
    for row in table("docs/tasks.md", "skew"):
        assert codes(row["`partition.skew`"]) == [*SKEW_KINDS[code(row["task"])], "cluster"]


def test_data_sets_and_models_are_the_cards() -> None:
    rows = table("docs/datasets.md", "datasets")
    assert tuple(rows[0]) == HEADER
    assert [list(row.values()) for row in rows] == dataset_rows()
    for name in card_names("datasets"):
        assert f"`{name}`" in page("docs/datasets.md")
    rows = [list(row.values()) for row in table("docs/models.md", "models")]
    models = [model_card(name) for name in card_names("models")]
    assert [(code(a), b, codes(c)) for a, b, c in rows] == [
        (card.name, card.kind, list(card.tasks)) for card in models
    ]
    named = codes(page("docs/datasets.md").split("## Formats")[1])
    assert {name for name in named if name in READERS} == set(READERS)


def test_bytes_of_frozen_and_adapted_models(clone: Path) -> None:
    for row in table("docs/models.md", "bytes"):
        experiment = Experiment(
            configuration.build(
                {
                    "dataset": "synthetic_topics",
                    "model": configuration.parse_value(code(row["`model`"]), "the page"),
                    "partition": {"name": "uniform", "clients": 10},
                },
                "the page",
            )
        )
        trained = experiment.model.weights.numel()
        assert row["trained"] == f"{trained:,}"
        assert row["frozen"] == f"{experiment.model.frozen:,}"
        assert row["FedAvg sends"] == human_bytes(4 * trained)


def test_numbers_in_the_text_are_those_of_the_code() -> None:
    text = " ".join((page("docs/protocol.md") + page("docs/tasks.md")).split())
    cut = Cut()
    clusters = {10: "ten"}[CLUSTERS]
    ((limit, multiple),) = batches.LENGTH_BUCKETS
    for stated in (
        f"{cut.fraction:.0%}".replace("%", " %") + f" of train, at most {cut.maximum:,} examples",
        f"at least {EvaluationConfig().min_client_examples} test examples",
        f"from {BOOTSTRAP_SAMPLES} bootstrap samples",
        f"at most {MAX_ANSWER_LENGTH} tokens, and never empty",
        f"at most {MAX_QUESTION_LENGTH} tokens, and half a window",
        f"one of {clusters} k-means clusters",
        f"at least {MAX_ANSWER_LENGTH - 1} tokens",
        f"{GENERATED_VALIDATION} examples unless",
        f"multiple of {multiple} up to {limit} tokens, of {batches._LAST_STEP} above",
        f"{occurring_rows.WORTH:,} weights",
        f"at least {linear.NARROW} wide",
    ):
        assert stated in text, stated
