"""Scores made again from `predictions.parquet`: of the whole test set and of each client."""

from __future__ import annotations

from typing import Any

import numpy as np

from fednlp.conclusion import summary
from fednlp.evaluation import bootstrap_stderr
from fednlp.results.schema import Score
from fednlp.verification.check import Wrong, require_equal, same
from fednlp.verification.evidence import Evidence
from tasks import TASKS
from tasks.task import Scored, Task, TokenSettings


def pooled_scores(evidence: Evidence) -> str:
    """Test metrics and their standard errors, from the values of the examples."""
    result = evidence.result
    for name, told in (("selected", result.selected), ("last", result.last)):
        scored = recorded(evidence, name)
        require_score(f"{name}.test", told, task_of(evidence), scored)
    score = result.selected.test[result.primary_metric]
    return f"{result.primary_metric} {score:.4f} ± {result.selected.test_stderr:.4f}"


def require_score(where: str, told: Score, task: Task, scored: Scored) -> None:
    """Raises Wrong unless a test score is that of these examples."""
    for metric, value in scored.metrics.items():
        require_equal(f"{where}.{metric}", told.test.get(metric), value)
    if set(told.test) != set(scored.metrics):
        raise Wrong(f"{where} has other metrics than its task")
    require_equal(f"{where}_stderr", told.test_stderr, bootstrap_stderr(task, scored))


def task_of(evidence: Evidence) -> Task:
    """The task as far as its metrics need it: with as many labels as predictions name."""
    labels = 0
    for name in ("selected", "last"):
        for key in (f"{name}_gold", f"{name}_predicted"):
            if evidence.result.task == "text_classification":
                column = evidence.predictions[key]
                if column.min() < 0 or column.max() >= 10**6:
                    raise Wrong(f"predictions.parquet: {key} holds what is no class")
                labels = max(labels, int(column.max()) + 1)
    return TASKS[evidence.result.task]([""] * labels, TokenSettings())


def recorded(evidence: Evidence, name: str) -> Scored:
    """The values per example as they were written. name: selected or last."""
    prefix, columns = f"{name}_", evidence.predictions
    values = {
        key.removeprefix(prefix): column
        for key, column in columns.items()
        if key.startswith(prefix) and isinstance(column, np.ndarray)
    }
    return Scored(task_of(evidence).metrics(values), values)


def client_scores(evidence: Evidence) -> str:
    """Scores of clients from the predictions for their share; their summary from the table."""
    table, told = evidence.clients, evidence.result.clients
    if told is None:
        raise Wrong("result.json has no scores of clients")
    fewest = evidence.content["min_client_examples"]
    scored, task = recorded(evidence, "selected"), task_of(evidence)
    share = evidence.partition.splits["test"]
    written = table["score"]
    if told.personal:  # a client that never took part is served by the global weights
        written = table["global_score"].fillna(written)
    for client, value in enumerate(written.tolist()):
        rows = share.client(client)
        if len(rows) < fewest:
            if not np.isnan(value):
                raise Wrong(f"client {client} has a score, but only {len(rows)} test examples")
            continue
        found = task.aggregate(scored, _places(evidence, rows))[task.primary_metric]
        require_equal(f"the score of client {client}", value, found)
    made = summary(table, told.personal).model_dump()
    for key, value in told.model_dump().items():
        if not same(value, made[key]):
            raise Wrong(f"clients.{key} is {value}, but clients.csv gives {made[key]}")
    alone = ", those trained alone not judged" if told.local_only_clients else ""
    return f"{told.scored} of {told.clients} clients{alone}"


def _places(evidence: Evidence, rows: np.ndarray) -> np.ndarray:
    """[n] int64: where in the predictions the examples of these source rows stand."""
    numbers: Any = evidence.predictions["row"]
    order = np.argsort(numbers, kind="stable")
    places = np.searchsorted(numbers[order], rows)
    if (places >= len(numbers)).any() or (numbers[order][places] != rows).any():
        raise Wrong("predictions.parquet lacks examples that a client's share has")
    return order[places]
