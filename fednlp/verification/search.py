"""The search that a run's settings are said to come from; its trials are not in the folder."""

from __future__ import annotations

from typing import Any

from fednlp.results.schema import Tuning
from fednlp.results.tuning import UNTUNED, tuning_note
from fednlp.verification.check import Wrong, require_equal, same
from fednlp.verification.evidence import Evidence


def search(evidence: Evidence) -> str:
    """The choice is the best of what was tried, and the run has the settings that were chosen."""
    result, tuning = evidence.result, evidence.result.tuning
    if result.tuned != (tuning is not None):
        raise Wrong(f"tuned is {result.tuned}, but the search is {'' if tuning else 'not '}told")
    if tuning is not None:
        _chosen(tuning)
        _applied(tuning, evidence.content)
    if tuning_note(tuning) not in result.notes:
        raise Wrong("the notes of the result do not tell of the search")
    if tuning is None:
        return UNTUNED
    own = ", this run's own among them" if result.seed in tuning.seeds else ""
    return f"{tuning.budget}{own}"


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
