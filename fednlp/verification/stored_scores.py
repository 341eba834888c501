"""Stored weights judged again: validation and test scores of the selected and of the last round."""

from __future__ import annotations

from collections.abc import Mapping

from fednlp.evaluation import Evaluator
from fednlp.verification.check import NotPossible, Wrong, same
from fednlp.verification.evidence import Evidence
from fednlp.verification.remake import Remake
from fednlp.verification.replay import METRICS_TOLERANCE
from fednlp.verification.weights import checkpoint


def stored_scores(evidence: Evidence, remake: Remake) -> str:
    """Scores of stored weights, to the digit in the run's environment, else within a tolerance."""
    evidence.stored  # noqa: B018 (raises where they are not here)
    result, manifest = evidence.result, evidence.manifest
    evaluator, device = Evaluator(remake.experiment), remake.experiment.device
    changed = remake.changes(1, result.costs.rounds)
    made: dict[str, tuple[Mapping[str, float], Mapping[str, float]]] = {}
    for name, file, score in (
        ("last", manifest.state, result.last),
        ("selected", manifest.best, result.selected),
    ):
        if file is None:
            raise NotPossible(f"the weights of the {name} round are not stored")
        if file not in made:
            weights = checkpoint(evidence, file)["weights"].to(device)
            made[file] = evaluator.validate(weights), evaluator.test(weights).scored.metrics
        _require(f"{name}.validation", score.validation, made[file][0], changed)
        _require(f"{name}.test", score.test, made[file][1], changed)
    told = f"within {METRICS_TOLERANCE}, since elsewhere ({', '.join(changed)})"
    return f"round {result.selected.round} and {result.last.round}" + (
        f": {told}" if changed else ""
    )


def _require(
    where: str, told: Mapping[str, float], made: Mapping[str, float], changed: list[str]
) -> None:
    for key, value in made.items():
        known = told.get(key)
        near = known is not None and abs(known - value) <= METRICS_TOLERANCE
        if not (near if changed else same(known, value)):
            raise Wrong(f"{where}.{key} is {known}, but the stored weights give {value:.6f}")
