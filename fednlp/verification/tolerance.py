"""How near a replay must come under another environment, where bits cannot be the same.

Rounding differs there, and training amplifies it. On another device, or with clients trained
together, dropout draws other numbers too, so weights differ as between two seeds of dropout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from fednlp.verification.check import NotPossible, Wrong
from fednlp.verification.evidence import Evidence
from fednlp.verification.remake import Remake
from fednlp.verification.starts import Segment

METRICS = 0.02  # of a metric in 0..1, or two examples, whichever is more
LOSS = 0.1  # of the training loss of a round
WEIGHTS = 0.01  # of how far the replayed rounds move them
DRAWN = 1.5  # the same where dropout draws other numbers; unrelated steps are 1.41 apart
_DRAWS = ("device", "together", "compile", "graphs")  # what dropout's numbers depend on


@dataclass(frozen=True)
class Distance:
    """Of stored weights from replayed ones. way: from the start of the replay to its weights."""

    apart: float
    way: float

    @classmethod
    def of(cls, start: Tensor, stored: Tensor, replayed: Tensor) -> Distance:
        """Of weights [P] on one device."""
        return cls(float((replayed - stored).norm()), float((replayed - start).norm()))

    @property
    def share(self) -> float:
        """Of the way."""
        return self.apart / max(self.way, 1e-30)


def metrics_tolerance(examples: int) -> float:
    """How far a metric over so many examples may be off."""
    return max(METRICS, 2 / examples)


def require_near(
    evidence: Evidence,
    remake: Remake,
    segment: Segment,
    made: list[dict[str, Any]],
    distances: dict[int, Distance],
) -> str:
    """How near replayed records and weights come, in words.

    Args:
        made: the records of the replayed rounds.
        distances: of every replayed round whose weights are stored.

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
    changed = remake.changes(segment.start.completed + 1, segment.until)
    share = WEIGHTS if _same_draws(remake, changed) else DRAWN
    for number, distance in sorted(distances.items()):
        if not distance.share <= share:
            found = f"weights of round {number} are {distance.share:.2g} of the way"
            raise Wrong(f"{found} from the replay's (tolerance {share:.0%})")
    if distances:
        worst = max(distance.share for distance in distances.values())
        told.append(f"weights {worst:.1e} of the way")
    if not told:
        raise NotPossible("no round of it was validated, and bits differ under another environment")
    return f"apart by {', '.join(told)}{'' if distances else '; no weights of them are stored'}"


def _require(
    where: str, known: dict[str, Any], made: dict[str, Any], key: str, most: float
) -> None:
    a, b = known.get(key), made.get(key)
    near = a == b if a is None or b is None else abs(a - b) <= most * abs(a)
    if not near:
        raise Wrong(f"{where} is {a}, but the replay gives {b} (tolerance {most:.0%})")


def _same_draws(remake: Remake, changed: list[str]) -> bool:
    others = any(change.partition(" ")[0] in _DRAWS for change in changed)
    return not others or remake.experiment.config.model.dropout == 0.0
