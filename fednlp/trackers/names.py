"""The names under which a tracker shows a run; they are documented in docs/trackers.md."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from fednlp.results.schema import Result

_TRAIN = {"train_loss": "train/loss", "correction_ratio": "train/correction_ratio"}
_COSTS = ("examples", "steps", "real_tokens", "padded_tokens", "bytes_up", "bytes_down")
_SECONDS = ("device_seconds", "evaluation_seconds", "wall_seconds")


class RoundMetrics:
    """Makes the metrics of a round from its record; the totals are over all rounds so far."""

    def __init__(self) -> None:
        self._bytes, self._seconds = 0, 0.0

    def of(self, record: Mapping[str, Any]) -> dict[str, float]:
        """record: a line of `rounds.jsonl`; to be called for rounds 1, 2, ... in order."""
        self._bytes += record["bytes_up"] + record["bytes_down"]
        self._seconds += record.get("device_seconds", 0.0)
        found = {name: record.get(key) for key, name in _TRAIN.items()}
        found |= {f"validation/{k}": v for k, v in (record.get("validation") or {}).items()}
        found |= {f"cost/{key}": record.get(key) for key in (*_COSTS, *_SECONDS)}
        found["cost/clients"] = len(record["clients"]) if "clients" in record else None
        found["cost/skipped_uploads"] = len(record["skipped"]) if "skipped" in record else None
        found |= {"total/bytes": self._bytes, "total/device_seconds": self._seconds}
        return _finite(found.items())


def result_metrics(result: Result, references: Mapping[str, Result]) -> dict[str, float]:
    """The summary of a finished run.

    references: budget -> the centralized result that it is compared with, as far as they are known.
    """
    key = result.primary_metric
    found: dict[str, Any] = {
        "result/selected_round": result.selected.round,
        "result/rounds": result.costs.rounds,
        "result/test_stderr": result.selected.test_stderr,
    }
    for part, metrics in (
        ("validation", result.selected.validation),
        ("test", result.selected.test),
        ("last_test", result.last.test),
        ("floor", result.floor["test"]),
    ):
        found |= {f"result/{part}/{name}": value for name, value in metrics.items()}
    found |= {f"result/cost/{k}": v for k, v in result.costs.model_dump().items() if k != "rounds"}
    if result.clients is not None:
        scores = result.clients.model_dump(exclude={"personal"})
        found |= {f"result/clients/{name}": value for name, value in scores.items()}
    for budget, central in references.items():
        found[f"result/gap/{budget}"] = central.selected.test[key] - result.selected.test[key]
    return _finite(found.items())


def _finite(items: Iterable[tuple[str, Any]]) -> dict[str, float]:
    return {k: v for k, v in items if isinstance(v, int | float) and math.isfinite(v)}
