"""The floor: what a trivial baseline scores, and the mark of a score that does not beat it."""

from __future__ import annotations

from fednlp.results.schema import Result

ROUNDING = 1e-12  # of a metric
FLOOR_MARK = "not above floor"
FLOOR_NOTE = "Not above floor: no better on test than the trivial baseline."


def is_below(score: float, floor: float) -> bool:
    """Whether a score is the floor or less, rounding apart."""
    return score - floor <= ROUNDING


def run_is_below(result: Result) -> bool:
    """Whether the selected model of a run is no better on test than the trivial baseline."""
    key = result.primary_metric
    return is_below(result.selected.test[key], result.floor["test"][key])


def marked(score: str, below: bool) -> str:
    """A score as text, with the mark where it is below its floor."""
    return f"{score}, {FLOOR_MARK}" if below else score
