"""MLflow: a SQLite file under `trackers/mlflow/`, or whatever `MLFLOW_TRACKING_URI` names.

    mlflow ui --backend-store-uri sqlite:///runs/trackers/mlflow/mlflow.db

MLflow never overwrites a point. A run that continues therefore gets only what it lacks; one that
shows other rounds than those that are committed is deleted there and made anew.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fednlp.results.own_names import no_link
from fednlp.trackers.tracker import Metrics, Told

_KEY = "fednlp.key"
_RESULT = "result/"
_LONGEST = 500  # characters of a parameter that every store keeps
_MOST = 100  # parameters of one request


class MLflow:
    """Metrics by round with the round as step; the result as metrics of the last one."""

    def __init__(self) -> None:
        self._client: Any = None
        self._status = "KILLED"

    def begin(self, run: Told, history: Sequence[Metrics]) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when it is imported
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # what it says, it raises as well
        local = run.directory / "mlflow"
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{local / 'mlflow.db'}"
        with _alone(local), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the making of tables
            client = MlflowClient(tracking_uri=uri)
            self._experiment = _experiment(client, str(local / "artifacts"))
        self._last = 0
        self._found(client, run, history)
        self._client = client
        self._describe(run)
        for number, metrics in enumerate(history, start=1):
            self.round(number, metrics)

    def _found(self, client: Any, run: Told, history: Sequence[Metrics]) -> None:
        """Takes over the run of this key, as far as it is right, or creates one."""
        same = f"tags.`{_KEY}` = '{run.key}'"
        for known in client.search_runs([self._experiment], same):
            points = {
                (name, point.step): point.value
                for name in known.data.metrics
                for point in client.get_metric_history(known.info.run_id, name)
            }
            if all(_agrees(history, *key, value) for key, value in points.items()):
                self._id, self._have = known.info.run_id, set(points)
                client.update_run(self._id, status="RUNNING")
                return
            client.delete_run(known.info.run_id)
        made = client.create_run(self._experiment, tags={_KEY: run.key}, run_name=run.name)
        self._id, self._have = made.info.run_id, set()

    def _describe(self, run: Told) -> None:
        """Parameters cannot be changed: what has another value now (of `engine`) becomes a tag."""
        from mlflow.entities import Param, RunTag

        known = self._client.get_run(self._id).data.params
        wanted = {name: str(value)[:_LONGEST] for name, value in run.parameters.items()}
        fresh = [Param(name, value) for name, value in wanted.items() if name not in known]
        for first in range(0, len(fresh), _MOST):
            self._client.log_batch(self._id, params=fresh[first : first + _MOST])
        tags = {**run.tags, "group": run.group}
        tags |= {f"now.{k}": v for k, v in wanted.items() if known.get(k, v) != v}
        self._client.log_batch(self._id, tags=[RunTag(k, v) for k, v in tags.items()])

    def round(self, number: int, metrics: Metrics) -> None:
        from mlflow.entities import Metric

        self._last, now = number, int(time.time() * 1000)
        lacking = {name: v for name, v in metrics.items() if (name, number) not in self._have}
        points = [Metric(name, float(value), now, number) for name, value in lacking.items()]
        if points:
            self._client.log_batch(self._id, metrics=points)

    def finish(self, summary: Metrics) -> None:
        self.round(self._last, summary)
        self._status = "FINISHED"

    def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            client.set_terminated(self._id, self._status)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time makes the tables and the experiment; they live on without it."""
    lock = no_link(str(folder / "begin.lock"), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _experiment(client: Any, artifacts: str) -> str:
    """The id of the experiment; none of our files goes to its artifacts."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "fednlp-bench")
    known = client.get_experiment_by_name(name)
    if known is not None:
        return str(known.experiment_id)
    return str(client.create_experiment(name, artifact_location=artifacts))


def _agrees(history: Sequence[Metrics], name: str, step: int, value: float) -> bool:
    """Whether a stored point is one of a committed round, or the result of a shorter run."""
    if name.startswith(_RESULT):
        return 1 <= step <= len(history)
    return 1 <= step <= len(history) and history[step - 1].get(name) == value
