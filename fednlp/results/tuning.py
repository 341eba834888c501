"""What a result says about the search that its settings come from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fednlp.results.schema import Result, Tuning

if TYPE_CHECKING:
    from fednlp.results.gap import Gap

UNTUNED = "untuned: the learning rates were not searched for"


def tuning_note(tuning: Tuning | None) -> str:
    """The note of a result, with the budget and what makes the choice doubtful."""
    if tuning is None:
        return UNTUNED
    seeds = ", ".join(map(str, tuning.seeds))
    values = ", ".join(f"{k} {v}" for k, v in tuning.trials[tuning.chosen].values.items())
    note = (
        f"tuned: {values}, the best on validation of {len(tuning.trials)} trials of "
        f"{tuning.rounds} rounds with seed {seeds}"
    )
    diverged = sum(trial.validation is None for trial in tuning.trials)
    doubts = [
        f"equal to {tuning.tied} more, of which it is listed first" if tuning.tied else "",
        f"at the edge of what was tried: {', '.join(tuning.edges)}" if tuning.edges else "",
        f"diverged: {diverged}" if diverged else "",
    ]
    return "; ".join(filter(None, [note, *doubts]))


def with_tuning(result: Result, tuning: Tuning) -> Result:
    """A result whose settings are, as it turned out, those that a search chose."""
    others = [note for note in result.notes if not note.startswith(("untuned: ", "tuned: "))]
    notes = [tuning_note(tuning), *others]
    return result.model_copy(update={"tuned": True, "tuning": tuning, "notes": notes})


def search_notes(gaps: Iterable[Gap]) -> list[str]:
    """The budgets behind the tuned lines of a table, and choices that a wider search may move."""
    budgets: dict[str, None] = {}
    edges: dict[str, None] = {}
    for gap in gaps:
        for federated, reference in gap.pairs if gap.tuned else ():
            own, central = federated.result.tuning, reference.result.tuning
            if own is None or central is None:
                continue
            budgets[f"{_budget(own)}, the reference {_budget(central)}"] = None
            for whose, tuning in ((gap.method, own), ("the reference", central)):
                for key in tuning.edges:
                    value = tuning.trials[tuning.chosen].values[key]
                    edges[f"{gap.benchmark}, {whose}: {key} {value}"] = None
    notes = [f"Tuned on validation: every method in {budget}." for budget in budgets]
    return [*notes, *(f"At the edge of what was tried: {edge}." for edge in edges)]


def _budget(tuning: Tuning) -> str:
    seeds = ", ".join(map(str, tuning.seeds))
    return f"{len(tuning.trials)} trials of {tuning.rounds} rounds with seed {seeds}"
