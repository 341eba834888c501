"""A run against its data, model and method, which are made again; nothing is trained."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from fednlp.conclusion import content_hash
from fednlp.engines.client import payload_bytes
from fednlp.errors import is_user_error
from fednlp.evaluation import Evaluator
from fednlp.experiment import SPLITS
from fednlp.hooks import Hooks
from fednlp.identity import centralized_identity, federated_identity
from fednlp.partitions.verify import verify as partition_findings
from fednlp.plan import PLACE, upload_size
from fednlp.verification.check import Check, NotPossible, Wrong, checked, require_equal, same
from fednlp.verification.evidence import Evidence
from fednlp.verification.remake import PARTITION, Remake
from fednlp.verification.scores import recorded, require_score
from fednlp.verification.untrusted import parsed

_BY_LIBRARIES = ("tokenizer", "initial_weights", "frozen_weights")  # of an identity
_LIBRARIES = ("torch", "transformers", "numpy", "device")


def data_checks(evidence: Evidence, remake: Remake) -> list[Check]:
    """Every check that reads the data and makes the model, but trains nothing.

    Replays come before it: they refute environments that would excuse another tokenizer or other
    initial weights.
    """
    found = [
        checked("data and model", lambda: _data_and_model(evidence, remake)),
        checked("identity made again", lambda: _identity_again(evidence, remake)),
        checked("predictions against the data", lambda: _predictions(evidence, remake)),
        checked("floor made again", lambda: _floor_again(evidence, remake)),
    ]
    if evidence.federated:
        found += [
            checked("partition against the data", lambda: _partition_again(evidence, remake)),
            checked("bytes of the method", lambda: _payload_again(evidence, remake)),
        ]
    return found


def _data_and_model(evidence: Evidence, remake: Remake) -> str:
    experiment, result = remake.unsplit, evidence.result
    corpus, model = experiment.corpus, experiment.model
    require_equal("data.name", result.data.name, corpus.name)
    require_equal("data.fingerprint", result.data.fingerprint, corpus.fingerprint)
    require_equal("data.synthetic", result.data.synthetic, corpus.synthetic)
    require_equal("data.skipped", result.data.skipped, len(corpus.skipped))
    sizes = {split: len(corpus.splits[split]) for split in SPLITS}
    require_equal("data.examples", result.data.examples, sizes)
    require_equal("model.name", result.model.name, experiment.model_card.name)
    require_equal("model.trainable", result.model.trainable, model.weights.numel())
    require_equal("model.frozen", result.model.frozen, model.frozen)
    require_equal("primary_metric", result.primary_metric, experiment.task.primary_metric)
    return f"{result.data.name} {corpus.fingerprint[:12]}, {result.model.trainable:,} weights"


def _identity_again(evidence: Evidence, remake: Remake) -> str:
    """What the configuration makes here has the run's id."""
    remake.require_method()
    experiment = remake.experiment
    identity = federated_identity if evidence.federated else centralized_identity
    made = json.loads(json.dumps(identity(experiment).as_json()))
    known = evidence.identity
    if made == known:
        return made["id"][:12]
    differing = [
        key
        for key in sorted({*made["content"], *known["content"]})
        if made["content"].get(key) != known["content"].get(key)
    ]
    if differing == ["semantics"]:
        raise NotPossible("it was made by a program that gave configurations another meaning")
    if differing and set(differing) <= {*_BY_LIBRARIES}:
        here = _other_libraries(evidence, remake)
        if here:
            raise NotPossible(f"{differing[0]} comes out otherwise, under other versions ({here})")
    key = differing[0] if differing else "trajectory"
    raise Wrong(f"config.yaml makes another {key} than identity.json has")


def _other_libraries(evidence: Evidence, remake: Remake) -> str:
    changed = remake.changes(1, 1)  # where both were made
    return ", ".join(c for c in changed if c.split(" ")[0] in _LIBRARIES)


def _predictions(evidence: Evidence, remake: Remake) -> str:
    """The predictions, judged again by the gold answers of the data."""
    experiment, columns = remake.unsplit, evidence.predictions
    examples, result = experiment.corpus.splits["test"], evidence.result
    if not np.array_equal(columns["row"], np.array(examples["row"][:])):
        raise Wrong("predictions.parquet has other rows than the test data")
    hashes = [content_hash(example) for example in examples]
    for place, (told, made) in enumerate(zip(columns["content_sha256"], hashes, strict=True)):
        if told != made:
            raise Wrong(f"predictions.parquet: row {columns['row'][place]} is another example")
    for name, told in (("selected", result.selected), ("last", result.last)):
        scored = experiment.task.evaluate(parsed(columns[f"{name}_prediction"]), examples)
        written = recorded(evidence, name).per_example
        for key, values in scored.per_example.items():
            if key not in written or not np.allclose(written[key], values, rtol=0, atol=1e-9):
                raise Wrong(f"predictions.parquet: {name}_{key} is not that of the predictions")
        require_score(f"{name}.test", told, experiment.task, scored)
    return f"{len(hashes):,} test examples"


def _floor_again(evidence: Evidence, remake: Remake) -> str:
    floor = Evaluator(remake.unsplit).floor
    require_equal("floor", evidence.result.floor, floor)
    key = evidence.result.primary_metric
    return f"{key} {floor['test'][key]:.4f} on test"


def _partition_again(evidence: Evidence, remake: Remake) -> str:
    """The stored shares are those of the identity, and are drawn again where that can be done."""
    made = remake.experiment.partition.checksum
    if made != evidence.content["partition"]:
        raise Wrong("partition.npz gives clients other examples than the identity says")
    try:
        for finding in partition_findings(evidence.path / PARTITION):
            if not finding.holds:
                raise Wrong(f"{finding.name}: {finding.detail}")
    except ValueError as error:
        if not is_user_error(error):
            raise
        return f"{made[:12]}, not drawn again ({error})"
    return f"{made[:12]}"


def _payload_again(evidence: Evidence, remake: Remake) -> str:
    """Bytes and examples of every round from what the method sends for a vector of this length."""
    if evidence.third_party:
        raise NotPossible("a method of a third party may send another number in every round")
    experiment = remake.experiment
    method, weights = Hooks(experiment.algorithm), experiment.initial_weights
    server = method.init_server(weights, experiment.model.layout)
    down = payload_bytes(method.download(weights, server, PLACE))
    up, passes = upload_size(experiment, method, server)
    sizes, epochs = evidence.partition.splits["train"].sizes(), experiment.config.client.epochs
    for record in evidence.rounds:
        cohort: list[int] = record["clients"]
        expected: dict[str, Any] = {
            "bytes_down": down * len(cohort),
            "bytes_up": up * len(cohort),
            "examples": passes * epochs * int(sizes[cohort].sum()),
        }
        for key, value in expected.items():
            if not same(record[key], value):
                raise Wrong(f"round {record['round']}: {key} is {record[key]:,}, not {value:,}")
    return f"{down:,} down and {up:,} up for {len(weights):,} weights"
