"""A federated run and the centralized runs that it is compared with: one data set, one start."""

from __future__ import annotations

from collections.abc import Callable

from fednlp.results.gap import SHARED
from fednlp.verification.check import Check, NotPossible, Wrong, require_equal
from fednlp.verification.costs import sampler_of
from fednlp.verification.evidence import Evidence, find_run, finished_run
from fednlp.verification.search import compared_searches


def pair(evidence: Evidence, record_checks: Callable[[Evidence], list[Check]]) -> str:
    """The gap to each reference beside the run, whose own files are checked too.

    Its data and rounds are not: `verify` gives it a report of its own.
    """
    result = evidence.result
    if not result.references:
        raise NotPossible("the run is compared with no centralized run")
    told = []
    for reference in result.references:
        path = find_run(evidence.path.parent, reference.id, reference.folder)
        if path is None:
            continue
        central = Evidence(finished_run(path))
        require_equal("the id of the reference", central.result.id, reference.id)
        require_equal("its kind", central.result.kind, "centralized")
        require_equal("its budget", central.result.budget, reference.budget)
        for check in record_checks(central):
            if check.failed:
                raise Wrong(f"{path.name}: {check.name}: {check.detail}")
        _require_comparable(evidence, central)
        searches = compared_searches(result, central.result)
        key = result.primary_metric
        scores = central.result.selected.test[key], result.selected.test[key]
        told.append(
            f"{scores[0] - scores[1]:+.4f} "
            f"({reference.budget}: {scores[0]:.4f} - {scores[1]:.4f}{searches})"
        )
    if not told:
        raise NotPossible(f"its reference {result.references[0].folder} is not beside it")
    return f"{', '.join(told)}, if the reference holds, which has a report of its own"


def _require_comparable(federated: Evidence, central: Evidence) -> None:
    for key in SHARED:
        if federated.content.get(key) != central.content.get(key):
            raise Wrong(f"the reference has another {key}")
    require_equal("the floor of the reference", central.result.floor, federated.result.floor)
    tests = federated.predictions["content_sha256"]
    if central.predictions["content_sha256"] != tests:
        raise Wrong("the reference was tested on other examples")
    if central.result.budget == "matched":
        content, epochs = central.content, federated.content["client"]["epochs"]
        planned = sampler_of(federated).expected_examples() * epochs
        require_equal("examples per point of the reference", content["examples_per_point"], planned)
        rounds = federated.result.costs.rounds
        require_equal("rounds of the reference", central.result.costs.rounds, rounds)
