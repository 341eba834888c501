"""Stored weights judged again: validation and test scores of the selected and of the last round."""

from __future__ import annotations

from collections.abc import Mapping

from fednlp.evaluation import Evaluator
from fednlp.verification.check import NotPossible, Wrong, same
from fednlp.verification.evidence import Evidence
from fednlp.verification.remake import Remake
from fednlp.verification.tolerance import metrics_tolerance
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
        for split, found in zip(("validation", "test"), made[file], strict=True):
            most = metrics_tolerance(result.data.examples[split]) if changed else 0.0
            _require(f"{name}.{split}", getattr(score, split), found, most)
    rounds = f"round {result.selected.round} and {result.last.round}"
    return f"{rounds}, nearly, since elsewhere ({', '.join(changed)})" if changed else rounds


def _require(where: str, told: Mapping[str, float], made: Mapping[str, float], most: float) -> None:
    for key, value in made.items():
        known = told.get(key)
        if not (same(known, value) or (known is not None and abs(known - value) <= most)):
            raise Wrong(f"{where}.{key} is {known}, but the stored weights give {value:.6f}")
