"""One row per run: what it is, its scores, its gap, its costs and all its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fednlp.errors import UserError
from fednlp.results.files import START_AGAIN
from fednlp.results.frames.columns import (
    INTEGER,
    MAYBE_INTEGER,
    MAYBE_TRUTH,
    NUMBER,
    TEXT,
    TRUTH,
    frame,
    free_form,
)
from fednlp.results.gap import algorithm_name, client_name, partition_name, relative_gap
from fednlp.results.schema import ClientScores, Costs, Result

_FACTS = {
    **{"run": TEXT, "path": TEXT, "id": TEXT, "trajectory": TEXT, "kind": TEXT, "task": TEXT},
    **{"data": TEXT, "synthetic": TRUTH, "model": TEXT, "trainable": INTEGER, "partition": TEXT},
    **{"partition_seed": MAYBE_INTEGER, "skew": NUMBER, "algorithm": TEXT, "client": TEXT},
    **{"seed": INTEGER, "rounds": INTEGER, "cohort": MAYBE_INTEGER, "budget": TEXT},
    **{"tuned": TRUTH, "skipped_uploads": INTEGER},
}
_SCORES = {
    **{"primary_metric": TEXT, "score": NUMBER, "score_stderr": NUMBER, "last_score": NUMBER},
    **{"selected_round": INTEGER, "floor": NUMBER, "correction_ratio": NUMBER},
}
_GAP = {
    **{"reference": TEXT, "reference_budget": TEXT, "centralized": NUMBER, "gap": NUMBER},
    **{"relative_gap": NUMBER, "last_gap": NUMBER},
}
_COSTS = {
    f"costs.{name}": INTEGER if field.annotation is int else NUMBER
    for name, field in Costs.model_fields.items()
}
_CLIENT_DTYPES: dict[Any, str] = {int: MAYBE_INTEGER, bool: MAYBE_TRUTH}  # a reference has none
_CLIENTS = {
    f"clients.{name}": _CLIENT_DTYPES.get(field.annotation, NUMBER)
    for name, field in ClientScores.model_fields.items()
}
DTYPES: dict[str, Any] = {**_FACTS, **_SCORES, **_GAP, **_COSTS, **_CLIENTS}


@dataclass(frozen=True)
class ReadRun:
    """A finished run folder without its rounds; identity: all of `identity.json`."""

    path: Path
    result: Result
    identity: Mapping[str, Any]


def runs_frame(runs: Sequence[ReadRun], problems: list[str]) -> pd.DataFrame:
    """Fixed columns, then scores of every metric, then settings `setting.<dotted key>`.

    A federated run is compared with the first of its references that is among the runs; one of
    which none is there is named in `problems`.
    """
    references = {r.result.id: r.result for r in runs if r.result.kind == "centralized"}
    rows = [{**_facts(run), **_scores(run.result), **_costs(run.result)} for run in runs]
    for run, row in zip(runs, rows, strict=True):
        row |= _gap(run.result, references)
        if run.result.references and "reference" not in row:
            problems.append(f"{run.path}: its centralized reference is not in this directory")
    fixed = frame(rows, DTYPES)
    metrics = [_metrics(run.result) for run in runs]
    names = sorted({name for row in metrics for name in row})
    settings = [flat(run.identity["content"], "setting.") for run in runs]
    keys = sorted({key for row in settings for key in row})
    free = {key: free_form([row.get(key) for row in settings]) for key in keys}
    return pd.concat(
        [fixed, frame(metrics, dict.fromkeys(names, NUMBER)), pd.DataFrame(free)], axis=1
    )


def check_names(run: ReadRun) -> None:
    """Raises UserError where the free-form parts of a result do not name split and method."""
    try:
        _facts(run)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        found = f"is not whole ({type(error).__name__}: {error})"
        raise UserError(str(run.path / "result.json"), found, fix=START_AGAIN) from None


def flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested plain data with dotted keys; lists stay whole."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _facts(run: ReadRun) -> dict[str, Any]:
    result, facts = run.result, dict[str, Any]()
    if result.kind == "federated":
        split = result.partition or {}
        skew = split.get("achieved", {}).get("js_distance")
        facts = {
            "partition": partition_name(split),
            "partition_seed": None if split.get("seed") is None else _whole(split["seed"]),
            "skew": None if skew is None else float(skew),
            "algorithm": algorithm_name(result.algorithm or {}),
            "cohort": _whole(run.identity["content"]["sampling"]["clients_per_round"]),
        }
    return facts | {
        "run": run.path.name,
        "path": str(run.path),
        "id": result.id,
        "trajectory": run.identity["trajectory"],
        "kind": result.kind,
        "task": result.task,
        "data": result.data.name,
        "synthetic": result.data.synthetic,
        "model": result.model.name,
        "trainable": result.model.trainable,
        "client": client_name(result.client),
        "seed": result.seed,
        "rounds": result.costs.rounds,
        "budget": result.budget,
        "tuned": result.tuned,
        "skipped_uploads": result.skipped_uploads,
    }


def _whole(value: Any) -> int:
    """As a column of whole numbers holds it."""
    number = int(value)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{value} has more than 64 bits")
    return number


def _scores(result: Result) -> dict[str, Any]:
    key = result.primary_metric
    return {
        "primary_metric": key,
        "score": result.selected.test[key],
        "score_stderr": result.selected.test_stderr,
        "last_score": result.last.test[key],
        "selected_round": result.selected.round,
        "floor": result.floor["test"][key],
        "correction_ratio": result.correction_ratio,
    }


def _gap(result: Result, references: Mapping[str, Result]) -> dict[str, Any]:
    found = next((r for r in result.references if r.id in references), None)
    if found is None:
        return {}
    reference, key = references[found.id], result.primary_metric
    central, own = reference.selected.test[key], result.selected.test[key]
    return {
        "reference": found.folder,
        "reference_budget": found.budget,
        "centralized": central,
        "gap": central - own,
        "relative_gap": relative_gap(central, own, result.floor["test"][key]),
        "last_gap": reference.last.test[key] - result.last.test[key],
    }


def _costs(result: Result) -> dict[str, Any]:
    clients = result.clients.model_dump() if result.clients else {}
    return flat({"costs": result.costs.model_dump(), "clients": clients})


def _metrics(result: Result) -> dict[str, float]:
    return flat(
        {
            "test": result.selected.test,
            "validation": result.selected.validation,
            "last_test": result.last.test,
        }
    )
