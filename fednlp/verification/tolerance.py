"""How near a replay must come under another environment, where bits cannot be the same.

Rounding differs there, and training amplifies it. On another device, or with clients trained
together, dropout draws other numbers too, so weights differ as between two seeds of dropout.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fednlp.results.files import stands
from fednlp.verification.check import NotPossible, Wrong
from fednlp.verification.evidence import Evidence
from fednlp.verification.remake import Remake
from fednlp.verification.starts import Segment
from fednlp.verification.weights import checkpoint

METRICS = 0.02  # of a metric in 0..1, or two examples, whichever is more
LOSS = 0.1  # of the training loss of a round
WEIGHTS = 0.01  # of how far the replayed rounds move them
_DRAWS = ("device", "together", "compile", "graphs")  # what dropout's numbers depend on


def metrics_tolerance(examples: int) -> float:
    """How far a metric over so many examples may be off."""
    return max(METRICS, 2 / examples)


def require_near(
    evidence: Evidence,
    remake: Remake,
    segment: Segment,
    made: list[dict[str, Any]],
    weights: Tensor,
    changed: list[str],
) -> str:
    """How near replayed records and the weights [P] after the last of them come, in words.

    Raises:
        Wrong: not near enough. NotPossible: nothing was recorded that could tell.
    """
    key, told = evidence.result.primary_metric, []
    most = metrics_tolerance(len(remake.experiment.validation_indices))
    for ours in made:
        known = evidence.rounds[ours["round"] - 1]
        _require(f"round {known['round']}: train_loss", known, ours, "train_loss", LOSS)
        if known.get("validation"):
            a, b = ours["validation"][key], known["validation"][key]
            if abs(a - b) > most:
                found = f"{key} on validation is {b:.4f}, but the replay gives {a:.4f}"
                raise Wrong(f"round {known['round']}: {found} (tolerance {most:.2g})")
            told.append(f"{key} {abs(a - b):.4f}")
    name = _stored(evidence, segment.until)
    if name is not None and _same_draws(remake, changed):
        told.append(_require_weights(evidence, remake, segment, weights, name))
    if not told:
        raise NotPossible("no round of it was validated, and bits differ under another environment")
    return f"apart by {', '.join(told)}"


def _require(
    where: str, known: dict[str, Any], made: dict[str, Any], key: str, most: float
) -> None:
    a, b = known.get(key), made.get(key)
    near = a == b if a is None or b is None else abs(a - b) <= most * abs(a)
    if not near:
        raise Wrong(f"{where} is {a}, but the replay gives {b} (tolerance {most:.0%})")


def _stored(evidence: Evidence, number: int) -> str | None:
    """The file of the weights after a round, if it is here."""
    manifest = evidence.manifest
    files = {str(manifest.completed): manifest.state, str(manifest.best_round): manifest.best}
    name = {**files, **manifest.kept}.get(str(number))
    return name if name is not None and stands(evidence.path / name) else None


def _same_draws(remake: Remake, changed: list[str]) -> bool:
    others = any(change.partition(" ")[0] in _DRAWS for change in changed)
    return not others or remake.experiment.config.model.dropout == 0.0


def _require_weights(
    evidence: Evidence, remake: Remake, segment: Segment, weights: Tensor, name: str
) -> str:
    first = segment.start.file
    start = checkpoint(evidence, first)["weights"] if first else remake.experiment.initial_weights
    stored = checkpoint(evidence, name)["weights"]
    moved = float((stored - start.cpu()).norm())
    apart = float((weights.cpu() - stored).norm())
    if not apart <= WEIGHTS * moved:
        found = f"weights of round {segment.until} are {apart / max(moved, 1e-30):.2g} of the way"
        raise Wrong(f"{found} from the replay's (tolerance {WEIGHTS:.0%})")
    return f"weights {apart / max(moved, 1e-30):.1e} of the way"
