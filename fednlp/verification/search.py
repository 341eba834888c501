"""The search that a run's settings are said to come from; its trials are not in the folder."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from fednlp.results.schema import Result, Tuning
from fednlp.results.tuning import UNTUNED, tuning_note
from fednlp.verification.check import Wrong, require_equal, same
from fednlp.verification.evidence import Evidence


def search(evidence: Evidence) -> str:
    """The choice is the best of what was tried, and the run has the settings that were chosen."""
    result, tuning = evidence.result, evidence.result.tuning
    if result.tuned != (tuning is not None):
        raise Wrong(f"tuned is {result.tuned}, but the search is {'' if tuning else 'not '}told")
    if tuning is not None:
        _sound(tuning)
        _chosen(tuning)
        _edges(tuning)
        _applied(tuning, evidence.content)
        # a converged reference stops by itself, and may have fewer rounds than its trials
        if result.budget != "converged" and tuning.rounds > result.costs.rounds:
            found = f"trials of {tuning.rounds} rounds"
            raise Wrong(f"{found} for a run of {result.costs.rounds}: none may have more")
    if tuning_note(tuning) not in result.notes:
        raise Wrong("the notes of the result do not tell of the search")
    if tuning is None:
        return UNTUNED
    own = ", this run's own among them" if result.seed in tuning.seeds else ""
    return f"{tuning.budget}{own}"


def compared_searches(run: Result, reference: Result) -> str:
    """What is to be said of the searches of a run and its reference.

    One of a suite without a search and one of a suite with it may meet in a directory: their gap
    counts as untuned in every table, so that nobody gains by leaving out one of two searches.

    Raises:
        Wrong: both were searched for, with different budgets.
    """
    own, central = run.tuning, reference.tuning
    if own is None and central is None:
        return ""
    if own is None or central is None:
        which, other = ("run", "reference") if own else ("reference", "run")
        return f", untuned: settings of the {which} were searched for, those of the {other} not"
    for what, ours, theirs in (
        ("trials", len(own.trials), len(central.trials)),
        ("rounds of a trial", own.rounds, central.rounds),
        ("seeds of a trial", len(own.seeds), len(central.seeds)),
    ):
        if ours != theirs:
            raise Wrong(f"{what}: {ours} for the run, but {theirs} for the reference")
    return ""


def _sound(tuning: Tuning) -> None:
    if tuning.rounds < 1 or not tuning.seeds or len({*tuning.seeds}) < len(tuning.seeds):
        raise Wrong(f"trials of {tuning.rounds} rounds with seeds {tuning.seeds}"[:200])
    keys = tuning.trials[0].values.keys() if tuning.trials else set()
    seen: set[str] = set()
    for number, trial in enumerate(tuning.trials, start=1):
        if not trial.values or trial.values.keys() != keys:
            raise Wrong(f"trial {number} has other keys than the first")
        values = json.dumps(trial.values, sort_keys=True)
        if values in seen:
            raise Wrong(f"trial {number} has the values of one before it")
        seen.add(values)


def _edges(tuning: Tuning) -> None:
    """Keys told to be at an edge are, and those at an edge are told where all combinations of the
    told values were tried. Else values that are not told may lie beyond.
    """
    chosen = tuning.trials[tuning.chosen].values
    told = {key: _distinct(trial.values[key] for trial in tuning.trials) for key in chosen}
    whole = math.prod(map(len, told.values())) == len(tuning.trials)
    for key, values in told.items():
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        extreme = numbers and chosen[key] in (min(values), max(values))
        if key in tuning.edges and not extreme:
            raise Wrong(
                f"{key} {chosen[key]} is told to be at the edge of what was tried, but isn't"
            )
        if key not in tuning.edges and extreme and whole and len(values) > 1:
            raise Wrong(f"{key} {chosen[key]} is at the edge of what was tried, and not told to be")


def _distinct(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def _chosen(tuning: Tuning) -> None:
    scores = [trial.validation for trial in tuning.trials]
    best = max((score for score in scores if score is not None), default=None)
    if best is None or tuning.chosen != scores.index(best):
        where = "none of them" if best is None else f"trial {scores.index(best) + 1}"
        raise Wrong(f"trial {tuning.chosen + 1} is chosen, but {where} is the best on validation")
    require_equal(
        "the number of trials equal to the chosen one", tuning.tied, scores.count(best) - 1
    )


def _applied(tuning: Tuning, content: dict[str, Any]) -> None:
    for key, value in tuning.trials[tuning.chosen].values.items():
        found = _setting(content, key)
        if not same(found, value):
            raise Wrong(f"the search chose {key} {value}, but the run has {found}")


def _setting(content: dict[str, Any], key: str) -> Any:
    """A key of a configuration (of `client`, where no section is named) in an identity."""
    section, _, name = key.rpartition(".")
    if section in ("client", ""):
        return content["client"].get(name)
    part = content["algorithm"]["server"] if section == "server" else content["algorithm"]
    return part.get(name)
