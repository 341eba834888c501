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
    values = ", ".join(f"{k} {v}" for k, v in tuning.trials[tuning.chosen].values.items())
    note = f"tuned: {values}, the best on validation of {tuning.budget}"
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
    edges: dict[str, dict[str, dict[str, None]]] = {}  # benchmark -> whose -> settings
    benchmarks = set()
    for gap in gaps:
        benchmarks.add(gap.benchmark)
        for federated, reference in gap.pairs if gap.tuned else ():
            own, central = federated.result.tuning, reference.result.tuning
            if own is None or central is None:
                continue
            budget = f"every method in {own.budget}, the reference in {central.budget}"
            if own.budget == central.budget:
                budget = f"every method and the reference in {own.budget}"
            budgets[budget] = None
            for whose, tuning in ((gap.method, own), ("the reference", central)):
                for key in tuning.edges:
                    value = tuning.trials[tuning.chosen].values[key]
                    here = edges.setdefault(gap.benchmark, {}).setdefault(whose, {})
                    here[f"{key} {value}"] = None
    notes = [f"Tuned on validation: {budget}." for budget in budgets]
    for benchmark, chosen in edges.items():
        where = f" ({benchmark})" if len(benchmarks) > 1 else ""
        told = "; ".join(f"{whose}, {', '.join(settings)}" for whose, settings in chosen.items())
        notes.append(f"At the edge of what was tried{where}: {told}.")
    return notes
