"""Clients judged again by the personal weights that the run stored for them."""

from __future__ import annotations

import math

from fednlp.conclusion import personal_weights
from fednlp.evaluation import Evaluator
from fednlp.verification.check import Wrong, same
from fednlp.verification.evidence import Evidence
from fednlp.verification.remake import Remake
from fednlp.verification.tolerance import metrics_tolerance
from fednlp.verification.weights import checkpoint, client_state


def personal_scores(evidence: Evidence, remake: Remake) -> str:
    """Scores of clients with weights of their own, to the digit in the run's environment."""
    evidence.stored  # noqa: B018 (raises where they are not here)
    remake.require_method()
    experiment, manifest, table = remake.experiment, evidence.manifest, evidence.clients
    evaluator, device = Evaluator(experiment), experiment.device
    changed = remake.changes(1, evidence.result.costs.rounds)
    weights = checkpoint(evidence, str(manifest.best))["weights"].to(device)
    share, count = experiment.partition.splits["test"], 0
    for client, told in enumerate(table["score"].tolist()):
        if math.isnan(told):
            continue
        name = manifest.best_clients.get(str(client))
        state = client_state(evidence, name) if name else None
        own = personal_weights(experiment, state, client, weights)
        if (own is None) != math.isnan(table["global_score"][client]):
            raise Wrong(f"client {client} is served by other weights than clients.csv tells")
        if own is None:
            continue
        rows = share.client(client)
        found = evaluator.score("test", own, rows)[1].metrics[evidence.result.primary_metric]
        most = metrics_tolerance(len(rows)) if changed else 0.0
        if not (same(told, found) or abs(told - found) <= most):
            raise Wrong(
                f"the score of client {client} is {told:.6g}, but its weights give {found:.6g}"
            )
        count += 1
    return f"{count} clients"
