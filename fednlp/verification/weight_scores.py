"""Scores of the selected and of the last round, computed again from their weights.

The weights are those that the run stored, and those of a replay that comes past the round.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from torch import Tensor

from fednlp.evaluation import Evaluator, TestOutcome
from fednlp.flat_model import digest
from fednlp.verification.check import Check, Near, NotPossible, Wrong, checked, same
from fednlp.verification.evidence import Evidence
from fednlp.verification.remake import Remake
from fednlp.verification.tolerance import metrics_tolerance
from fednlp.verification.weights import checkpoint, stored_after

NAMES = ("selected", "last")
_Outcome = tuple[Mapping[str, float], TestOutcome]


def score_checks(evidence: Evidence, remake: Remake, replayed: Mapping[int, Tensor]) -> list[Check]:
    """Validation and test scores, and predictions: to the digit in the run's environment, else
    scores within a tolerance.

    replayed: round -> weights [P] on the CPU.
    """
    known: dict[str, _Outcome] = {}  # by the digest of the weights

    def check(name: str) -> Check:
        return checked(
            f"scores of the {name} round",
            lambda: _scores(evidence, remake, replayed, name, known),
        )

    return [check(name) for name in NAMES]


def _scores(
    evidence: Evidence,
    remake: Remake,
    replayed: Mapping[int, Tensor],
    name: str,
    known: dict[str, _Outcome],
) -> str:
    result = evidence.result
    told = result.selected if name == "selected" else result.last
    vectors: dict[str, Tensor] = {}
    file = stored_after(evidence, told.round)
    if file is not None:
        vectors["stored"] = checkpoint(evidence, file)["weights"]
    if told.round in replayed:
        vectors["replayed"] = replayed[told.round]
    if not vectors:
        raise NotPossible(
            f"weights of round {told.round} are not stored, and no replay comes past it "
            f"(--rounds {result.costs.rounds} does)"
        )
    changed = remake.changes(1, result.costs.rounds)
    for whence, weights in vectors.items():
        validation, test = _outcome(remake, weights, known)
        for split, found in (("validation", validation), ("test", test.scored.metrics)):
            most = metrics_tolerance(result.data.examples[split]) if changed else 0.0
            _require(f"{name}.{split}", getattr(told, split), found, most, whence)
        if not changed:
            require_predictions(evidence, name, test.predictions, whence)
    seen = f"round {told.round}, {' and '.join(vectors)} weights"
    return Near(f"{seen}, since elsewhere ({', '.join(changed)})") if changed else seen


def _outcome(remake: Remake, weights: Tensor, known: dict[str, _Outcome]) -> _Outcome:
    sha256 = digest(weights)
    if sha256 not in known:
        evaluator, moved = Evaluator(remake.experiment), weights.to(remake.experiment.device)
        known[sha256] = evaluator.validate(moved), evaluator.test(moved)
    return known[sha256]


def _require(
    where: str, told: Mapping[str, float], made: Mapping[str, float], most: float, whence: str
) -> None:
    for key, value in made.items():
        known = told.get(key)
        if not (same(known, value) or (known is not None and abs(known - value) <= most)):
            raise Wrong(f"{where}.{key} is {known}, but the {whence} weights give {value:.6f}")


def require_predictions(evidence: Evidence, name: str, made: list, whence: str) -> None:
    """Raises Wrong unless predictions, one per test example, are those that were written."""
    told = evidence.predictions[f"{name}_prediction"]
    for row, a, b in zip(evidence.predictions["row"], told, map(json.dumps, made), strict=True):
        if a != b:
            raise Wrong(f"the {name} prediction for row {row} is not that of the {whence} weights")
