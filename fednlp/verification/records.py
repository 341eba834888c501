"""What the files of a run folder say, against each other: nothing is trained, no data are read."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from fednlp.conclusion import sums
from fednlp.environment import environment_notes
from fednlp.results.schema import SUMMED, ClientScores
from fednlp.verification.check import Check, NotPossible, Wrong, checked, require_equal, same
from fednlp.verification.costs import cohorts, costs
from fednlp.verification.evidence import Evidence
from fednlp.verification.pair import pair
from fednlp.verification.scores import client_scores, pooled_scores
from fednlp.verification.search import search
from fednlp.verification.weights import stored_weights

_CONCLUSION = ("local_only", "min_client_examples")  # of an identity; they follow the last round
_OF_THE_FILE = ("data_fingerprint", "rows_of", "source_sizes", "checksum", "clients")


def record_checks(evidence: Evidence) -> list[Check]:
    """Every check that needs nothing but the folder and its reference beside it."""
    found = [
        checked("sums of files", lambda: _sums(evidence)),
        checked("identity", lambda: _identity(evidence)),
        checked("selected on validation", lambda: _selected(evidence)),
        checked("costs", lambda: costs(evidence)),
        checked("floor", lambda: _floor(evidence)),
        checked("search", lambda: search(evidence)),
        checked("test scores", lambda: pooled_scores(evidence)),
        checked("stored weights", lambda: stored_weights(evidence)),
    ]
    if evidence.federated:
        found += [
            checked("partition", lambda: _partition(evidence)),
            checked("cohorts", lambda: cohorts(evidence)),
            checked("client scores", lambda: client_scores(evidence)),
            checked("gap", lambda: pair(evidence, record_checks)),
        ]
    return found


def _sums(evidence: Evidence) -> str:
    told = evidence.result.files
    if not told:
        raise NotPossible("result.json is of an older program, which wrote none")
    made = sums(evidence.path)
    for name in SUMMED:
        if evidence.federated or name != "clients.csv":
            if name not in made:
                raise Wrong(f"{name} is missing")
            if told.get(name) != made[name]:
                raise Wrong(f"{name} is not the file that the result was written with")
    for note in environment_notes(evidence.path):
        if note not in evidence.result.notes:
            raise Wrong(f"environment.json tells what the notes of the result do not: {note}")
    return f"{len(told)} files"


def _identity(evidence: Evidence) -> str:
    """The id is the hash of the content, which reading checks; the content is the result's."""
    result, content, whole = evidence.result, evidence.content, evidence.identity
    completed = evidence.manifest.completed
    require_equal("the number of rounds of the identity", whole["rounds"], result.costs.rounds)
    require_equal("the number of committed rounds", completed, result.costs.rounds)
    bare = {k: v for k, v in content.items() if k not in _CONCLUSION}
    if whole["trajectory"] not in (_hash(bare), _hash({**bare, "rounds": whole["rounds"]})):
        raise Wrong("the trajectory is not the hash of the content")
    told: dict[str, Any] = {
        "kind": result.kind, "task": result.task, "seed": result.seed,
        "data": result.data.fingerprint,
    }  # fmt: skip
    if evidence.federated:
        told |= {"partition": (result.partition or {}).get("checksum")}
        told |= {"algorithm": result.algorithm}
    else:
        told |= {"budget": result.budget}
    for key, value in told.items():
        require_equal(f"{key} of the result", value, content.get(key))
    for key, value in content["client"].items():
        require_equal(f"client.{key} of the result", result.client.get(key), value)
    return result.id[:12]


def _hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _selected(evidence: Evidence) -> str:
    """The selected round is the first of the best validation, and all that were due have one."""
    result, key = evidence.result, evidence.result.primary_metric
    every, last = evidence.content["evaluation"]["every"], result.costs.rounds
    curve = {r["round"]: r["validation"][key] for r in evidence.rounds if r.get("validation")}
    due = {n for n in range(1, last + 1) if n % every == 0 or n == last}
    if set(curve) != due:
        odd = min(set(curve) ^ due)
        raise Wrong(
            f"round {odd} {'is' if odd in curve else 'is not'} validated; every {every}. is"
        )
    require_equal("the round called last", result.last.round, last)
    best = max(curve, key=lambda n: (curve[n], -n))
    chosen = result.selected.round
    if chosen != best:
        scores = f"{curve[best]:.4f} against {curve.get(chosen, float('nan')):.4f}"
        found = f"round {chosen} is selected, but round {best} is the best on validation ({scores})"
        test = f"{result.selected.test[key]:.4f} against {result.last.test[key]:.4f} in the last"
        raise Wrong(f"{found}; on test it has {test}")
    require_equal("the selected round of the manifest", evidence.manifest.best_round, best)
    require_equal("its metric in the manifest", evidence.manifest.best_metric, curve[best])
    return f"round {best} of {last}, {key} {curve[best]:.4f}"


def _floor(evidence: Evidence) -> str:
    """The trivial baseline is one that its task can have."""
    result = evidence.result
    for split in ("validation", "test"):
        for name, value in result.floor[split].items():
            if not 0 <= value <= 1:
                raise Wrong(f"{name} on {split} is {value}")
    floor = result.floor["test"][result.primary_metric]
    if result.task == "text_classification":
        gold = evidence.predictions["selected_gold"]
        shares = np.unique(gold, return_counts=True)[1] / len(gold)
        if floor != 0 and not any(same(float(share), floor) for share in shares):
            raise Wrong(f"{floor:.6g} on test is the share of no class")
    if result.task == "sequence_tagging" and floor != 0:
        raise Wrong(f"{floor:.6g} on test, where no entity is ever found")
    return f"{result.primary_metric} {floor:.4f} on test"


def _partition(evidence: Evidence) -> str:
    """The file, the result and the identity tell of the same split."""
    partition, told = evidence.partition, evidence.result.partition or {}
    held_out = [int(k) for k in partition.held_out]
    require_equal("the number of clients", told.get("clients"), partition.clients)
    require_equal("the held-out clients", evidence.content["held_out"], held_out)
    provenance = json.loads(json.dumps(partition.provenance))
    for key, value in told.items():
        if key not in _OF_THE_FILE and not same(value, provenance.get(key)):
            raise Wrong(f"the result tells another {key} than partition.npz")
    table = evidence.clients
    require_equal("clients of clients.csv", table["client"].tolist(), [*range(partition.clients)])
    for split in ("train", "test"):
        sizes = partition.splits[split].sizes().tolist()
        found = table[f"{split}_examples"].tolist()
        if found != sizes:
            first = next(k for k in range(len(sizes)) if sizes[k] != found[k])
            raise Wrong(
                f"client {first} has {sizes[first]} {split} examples in partition.npz, but "
                f"{found[first]} in clients.csv"
            )
    flags = [k for k, flag in enumerate(table["held_out"].tolist()) if flag is True]
    require_equal("the held-out clients of clients.csv", flags, held_out)
    scores = evidence.result.clients or ClientScores(clients=0, scored=0, coverage=0)
    require_equal("clients of the result", scores.clients, partition.clients - len(held_out))
    return f"{partition.clients} clients"
