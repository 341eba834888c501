"""The gap: centralized minus federated on the primary metric, paired by seed (design 4).

Positive means that the federated run is worse. The relative gap is (C - F) / (C - floor), where
the floor is the majority or copy baseline. Rounds and bytes to q % of centralized are read off the
validation curve, with the threshold floor + q (C - floor) on validation.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import Any

import numpy as np

from fednlp.results.files import START_AGAIN
from fednlp.results.floor import ROUNDING, is_below
from fednlp.results.reading import FinishedRun
from fednlp.statistics.summary import t_interval
from fednlp.statistics.values import all_equal
from partitioners import PARTITIONERS

SHARES = (0.90, 0.95, 0.99)
Pair = tuple[FinishedRun, FinishedRun]  # federated, its reference
SEED_KEYS = ("seed", "initial_weights", "frozen_weights")
SHARED = (  # of the identities of a run and its reference: one data set, one start
    *("semantics", "data", "task", "tokens", "tokenizer", "model", "initial_weights"),
    *("frozen_weights", "seed", "precision", "skipped", "left_out"),
)
HASHES = ("partition", "algorithm_source")  # of an identity, the first to tell runs apart


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with the half-width of its 95 % t-interval.

    half_width: None with one seed, or where all seeds gave the same value.
    """

    mean: float
    half_width: float | None
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Estimate:
        count, center = len(values), mean(values)
        if count < 2 or all_equal(np.asarray(values)):
            return cls(center, None, count)
        return cls(center, t_interval(center, stdev(values), count)[1] - center, count)

    def __str__(self) -> str:
        if self.half_width is None:
            return f"{self.mean:+.3f}"
        return f"{self.mean:+.3f} ± {self.half_width:.3f}"


@dataclass(frozen=True)
class Gap:
    """One line of the gap table: one benchmark and method, over its seeds.

    last: the gap between the last models. to_share: for 90, 95 and 99 % of centralized, the
    median (rounds, bytes) over seeds, or None where half of the seeds or more never reach it.
    """

    task: str
    data: str
    sizes: str  # examples of train, validation and test
    synthetic: bool
    model: str
    partition: str
    skew: float | None  # achieved mean pairwise Jensen-Shannon distance
    algorithm: str
    client: str  # optimizer and rate
    rounds: int
    cohort: int
    partition_seed: int | None
    unassigned: int  # test examples that are in no client's share
    metric: str
    budget: str
    seeds: tuple[int, ...]
    floor: float
    centralized: float
    federated: float
    gap: Estimate
    relative: Estimate | None
    last: Estimate
    bytes: float
    examples: tuple[float, float]  # centralized, federated
    steps: tuple[float, float]
    device_seconds: float
    to_share: dict[str, tuple[int, int] | None]
    tuned: bool
    skipped: int  # uploads of all seeds that were not finite and left out
    method: str  # what tells it from the other lines of its benchmark
    pairs: tuple[Pair, ...]

    @property
    def benchmark(self) -> str:
        """What the methods that may be compared share."""
        data = f"{self.data} (synthetic)" if self.synthetic else self.data
        split = self.partition
        if self.partition_seed is not None:
            split += f" (split seed {self.partition_seed})"
        run = f"{self.rounds} rounds of {self.cohort}"
        return f"{data}, {self.sizes} examples, {self.model}, {split}, {run}"

    @property
    def below_floor(self) -> bool:
        """Whether the method is no better on test than the trivial baseline."""
        return is_below(self.federated, self.floor)

    def as_row(self) -> dict[str, Any]:
        """Flat plain data, for CSV and JSON."""
        row = {k: v for k, v in vars(self).items() if isinstance(v, str | int | float | None)}
        row["seeds"] = " ".join(map(str, self.seeds))
        row["above_floor"] = not self.below_floor
        for name in ("gap", "last", "relative"):
            estimate = getattr(self, name)
            row[name] = estimate.mean if estimate else None
            row[f"{name}_half_width"] = estimate.half_width if estimate else None
        for name in ("examples", "steps"):
            row[f"{name}_centralized"], row[f"{name}_federated"] = getattr(self, name)
        for share, reached in self.to_share.items():
            row[f"rounds_to_{share}"], row[f"bytes_to_{share}"] = reached or (None, None)
        return row


def gaps(runs: list[FinishedRun], problems: list[str] | None = None) -> list[Gap]:
    """The gap table of a set of runs; federated runs without their reference are reported."""
    runs = [run for run in runs if _is_complete(run, problems)]
    references = {run.result.id: run for run in runs if run.result.kind == "centralized"}
    pairs: dict[str, list[Pair]] = {}
    federated = {run.result.id: run for run in runs if run.result.kind == "federated"}
    for run in federated.values():
        found = [references[r.id] for r in run.result.references if r.id in references]
        if run.result.references and not found and problems is not None:
            problems.append(f"{run.path}: its centralized reference is not in this directory")
        for reference in found:
            problem = _incomparable(run, reference)
            if problem:
                if problems is not None:
                    problems.append(f"{run.path}: its reference {problem}")
                continue
            key = f"{series(run)} {series(reference)}"
            pairs.setdefault(key, []).append((run, reference))
    table = sorted(_data_apart([_gap(members) for members in pairs.values()]), key=_order)
    return [replace(gap, method=label) for gap, label in zip(table, _labels(table), strict=True)]


def _incomparable(run: FinishedRun, reference: FinishedRun) -> str:
    """What the reference has otherwise than the run that names it, though it must not; or ""."""
    if reference.result.primary_metric != run.result.primary_metric:
        return "measures something else"
    if reference.result.floor != run.result.floor:
        return "has another floor"
    for key in SHARED:
        if run.identity.get(key) != reference.identity.get(key):
            return f"has another {key}"
    return ""


def _data_apart(table: list[Gap]) -> list[Gap]:
    """Different data of one name and size are different benchmarks: named by their fingerprint."""
    known: dict[str, set[str]] = {}
    for gap in table:
        known.setdefault(gap.benchmark, set()).add(_fingerprint(gap))
    return [
        replace(gap, data=f"{gap.data} data={_fingerprint(gap)[:8]}")
        if len(known[gap.benchmark]) > 1
        else gap
        for gap in table
    ]


def _fingerprint(gap: Gap) -> str:
    return gap.pairs[0][0].result.data.fingerprint


def _is_complete(run: FinishedRun, problems: list[str] | None) -> bool:
    """Whether the free-form parts of a run hold what a line of the table needs."""
    try:
        client_name(run.result.client)
        if run.result.kind == "federated":
            algorithm_name(run.result.algorithm or {})
            provenance = run.result.partition or {}
            partition_name(provenance)
            achieved = provenance.get("achieved", {})
            float(achieved.get("js_distance") or 0), int(achieved.get("test_unassigned", 0))
            int(run.identity["sampling"]["clients_per_round"])
        return True
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        if problems is not None:
            found = f"is not whole ({type(error).__name__}: {error})"
            problems.append(f"{run.path / 'result.json'}: {found}; {START_AGAIN}")
        return False


def _order(gap: Gap) -> tuple[str, str, float]:
    return gap.task, gap.benchmark, gap.gap.mean


def _labels(table: list[Gap]) -> list[str]:
    """Method names, no two alike in a benchmark.

    Names that would be the same are told apart by the settings that differ, four at most; where
    that is not enough, by the first 8 characters of the hash that differs (split, source);
    and at last by those of the whole line.
    """
    labels = [gap.method for gap in table]
    for telling in (_settings, _hash, _line):
        groups: dict[tuple[str, str], list[int]] = {}
        for number, gap in enumerate(table):
            groups.setdefault((gap.benchmark, labels[number]), []).append(number)
        for twins in (group for group in groups.values() if len(group) > 1):
            words = telling([table[number].pairs[0] for number in twins])
            for number, word in zip(twins, words, strict=True):
                labels[number] = " ".join(filter(None, [labels[number], word]))
    return labels


def _settings(twins: list[Pair]) -> list[str]:
    return _differing(twins, lambda own: [k for k, v in own.items() if len(str(v)) < 24], 4)


def _hash(twins: list[Pair]) -> list[str]:
    return _differing(twins, lambda own: [k for k in HASHES if k in own], 1)


def _line(twins: list[Pair]) -> list[str]:
    return [hashlib.sha256(f"{series(f)} {series(c)}".encode()).hexdigest()[:8] for f, c in twins]


def _differing(
    twins: list[Pair], keys: Callable[[dict[str, Any]], list[str]], most: int
) -> list[str]:
    """`key=value` of the keys in which an identity is not like those of all its twins."""
    contents = [_contents(*pair) for pair in twins]
    words = []
    for own in contents:
        telling = [k for k in keys(own) if any(c.get(k) != own[k] for c in contents)]
        values = {k: str(own[k])[:8] if k in HASHES else own[k] for k in telling[:most]}
        words.append(" ".join(f"{k}={v}" for k, v in values.items()))
    return words


def _contents(federated: FinishedRun, reference: FinishedRun) -> dict[str, Any]:
    """What makes a line: the run's settings, then those that only its reference has."""
    own, central = _flat(federated.identity), _flat(reference.identity)
    apart = {f"centralized.{k}": v for k, v in central.items() if own.get(k) != v}
    return {k: v for k, v in {**own, **apart}.items() if k.split(".")[-1] not in SEED_KEYS}


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        nested = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat


def series(run: FinishedRun) -> str:
    """Equal for runs that differ in nothing but their seed."""
    content = {k: v for k, v in run.identity.items() if k not in SEED_KEYS}
    return hashlib.sha256(
        json.dumps([content, run.result.costs.rounds], sort_keys=True).encode()
    ).hexdigest()


def _gap(pairs: list[Pair]) -> Gap:
    pairs = sorted(pairs, key=lambda pair: pair[0].result.seed)
    first, reference = pairs[0][0].result, pairs[0][1].result
    key = first.primary_metric
    federated = [f.result.selected.test[key] for f, _ in pairs]
    central = [c.result.selected.test[key] for _, c in pairs]
    floors = [f.result.floor["test"][key] for f, _ in pairs]
    shares = [relative_gap(*each) for each in zip(central, federated, floors, strict=True)]
    known = [share for share in shares if share is not None]
    provenance = first.partition or {}
    return Gap(
        task=first.task,
        data=first.data.name,
        sizes="/".join(map(str, first.data.examples.values())),
        synthetic=first.data.synthetic,
        model=first.model.name,
        partition=partition_name(provenance),
        skew=provenance.get("achieved", {}).get("js_distance"),
        algorithm=algorithm_name(first.algorithm or {}),
        client=client_name(first.client),
        rounds=first.costs.rounds,
        cohort=int(pairs[0][0].identity["sampling"]["clients_per_round"]),
        partition_seed=provenance.get("seed"),
        unassigned=int(provenance.get("achieved", {}).get("test_unassigned", 0)),
        metric=key,
        budget=reference.budget or "matched",
        seeds=tuple(f.result.seed for f, _ in pairs),
        floor=mean(floors),
        centralized=mean(central),
        federated=mean(federated),
        gap=Estimate.of([c - f for c, f in zip(central, federated, strict=True)]),
        relative=Estimate.of(known) if len(known) == len(shares) else None,
        last=Estimate.of([c.result.last.test[key] - f.result.last.test[key] for f, c in pairs]),
        bytes=mean(f.result.costs.bytes_up + f.result.costs.bytes_down for f, _ in pairs),
        examples=_both(pairs, "examples"),
        steps=_both(pairs, "steps"),
        device_seconds=mean(f.result.costs.device_seconds for f, _ in pairs),
        to_share={f"{round(100 * q)}": _reach(pairs, q) for q in SHARES},
        tuned=all(run.result.tuned for pair in pairs for run in pair),
        skipped=sum(f.result.skipped_uploads for f, _ in pairs),
        method=f"{algorithm_name(first.algorithm or {})} [{client_name(first.client)}]",
        pairs=tuple(pairs),
    )


def relative_gap(central: float, federated: float, floor: float) -> float | None:
    """(C - F) / (C - floor); None where centralized does not beat the floor, rounding apart."""
    scale = central - floor
    return (central - federated) / scale if scale > ROUNDING else None


def _both(pairs: list[Pair], key: str) -> tuple[float, float]:
    return (
        mean(getattr(c.result.costs, key) for _, c in pairs),
        mean(getattr(f.result.costs, key) for f, _ in pairs),
    )


def _reach(pairs: list[Pair], share: float) -> tuple[int, int] | None:
    """Median over seeds of the first round at the threshold; never counts as infinity.

    Of two middle values the later: a share counts as reached where more than half of the seeds
    got there by then.
    """
    reached = sorted(_first_round(f, c, share) or (math.inf, math.inf) for f, c in pairs)
    rounds, sent = reached[len(reached) // 2]
    return None if rounds == math.inf else (int(rounds), int(sent))


def _first_round(
    federated: FinishedRun, central: FinishedRun, share: float
) -> tuple[float, float] | None:
    key = federated.result.primary_metric
    floor = federated.result.floor["validation"][key]
    best = central.result.selected.validation[key]
    if best <= floor:
        return None
    threshold, sent = floor + share * (best - floor), federated.cumulative_bytes()
    return next(
        ((n, sent[n - 1]) for n, value in federated.validation_curve() if value >= threshold), None
    )


def partition_name(provenance: dict[str, Any]) -> str:
    """For example `dirichlet(alpha=0.1) by label, 100 clients`: all that was asked of a split."""
    parameters = dict(provenance.get("parameters") or {})
    for key, usual in (("min_size", 1), ("held_out", 0.0)):
        if provenance.get(key, usual) != usual:
            parameters[key] = provenance[key]
    inside = ", ".join(f"{k}={v}" for k, v in parameters.items() if v is not None)
    partitioner = str(provenance.get("partitioner", "file"))
    name = f"{partitioner}({inside})" if inside else partitioner
    by_label = partitioner in PARTITIONERS and "labels" in PARTITIONERS[partitioner].needs
    if by_label and provenance.get("skew"):
        name += f" by {provenance['skew']}"
    return f"{name}, {provenance.get('clients', '?')} clients"


def client_name(client: dict[str, Any]) -> str:
    """Client optimizer and rate, for example `adamw 0.001`."""
    return f"{client['optimizer']} {client['lr']:g}"


def algorithm_name(algorithm: dict[str, Any]) -> str:
    """The method with its own parameters, for example `FedProx(mu=0.01)`."""
    inside = ", ".join(f"{k}={v}" for k, v in algorithm.items() if k not in ("name", "server"))
    server = algorithm.get("server")
    name = str(algorithm.get("name", "?"))
    if server and name == "FedAvg" and (server["name"], server["lr"]) != ("SGD", 1.0):
        inside = ", ".join(filter(None, [inside, f"server={server['name']} {server['lr']:g}"]))
    elif server and name != "FedAvg" and server["lr"] != 1.0:
        inside = ", ".join(filter(None, [inside, f"lr={server['lr']:g}"]))
    return f"{name}({inside})" if inside else name
