"""What a result says about the search that its settings come from."""

from __future__ import annotations

from fednlp.results.schema import Result, Tuning

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
