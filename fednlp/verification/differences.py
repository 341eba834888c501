"""Where two runs of one id are apart: every field of a result, and every round that is shown.

What is not named here must be equal. In one environment measured numbers must be equal too; between
two they have the tolerances of a replay.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from fednlp.results.reading import FinishedRun
from fednlp.results.schema import ClientScores, Costs, Result, Score
from fednlp.verification.check import same
from fednlp.verification.tolerance import LOSS, metrics_tolerance

# fields of a result that two honest runs of one id may have otherwise
MAY_DIFFER = {
    "schema_version",  # of the program that wrote it
    "folder",  # a name
    "references",  # the runs that lay beside it; one that both name must have one budget
    "notes",  # partly of the environment and of paths
    "files",  # sums of files that tell paths and times; `clients.csv` is compared below
    "checksum",  # of all the others
}
COSTS_MAY_DIFFER = {  # measured by clocks and memory meters
    "device_seconds",
    "evaluation_seconds",
    "wall_seconds",
    "peak_memory_bytes",
    "peak_device_bytes",
}
BY_BATCHES = {"padded_tokens", "padding_waste"}  # other, where other clients train together
_OTHERWISE = {"selected", "last", "clients", "costs", "correction_ratio"}  # compared below
_COUNTED = ("bytes_up", "bytes_down", "examples", "steps", "real_tokens", "clients", "skipped")
_LEFT_OUT = ("missing", "rejected")  # client -> why, which may be told with times


def differences(a: FinishedRun, b: FinishedRun, exact: bool) -> Iterator[str]:
    """What two runs of one id tell otherwise, in words that begin with its name and a colon.

    exact: they are said to be made in one environment.
    """
    one, two = a.result, b.result
    ours, theirs = one.model_dump(), two.model_dump()
    for key in ours:
        if key not in MAY_DIFFER | _OTHERWISE and not same(ours[key], theirs[key]):
            yield from _apart(key, ours[key], theirs[key])
    for name in ("selected", "last"):
        yield from _scores(name, getattr(one, name), getattr(two, name), one, exact)
    yield from _clients(one, two, exact)
    yield from _client_table(a, b, exact)
    yield from _costs(one, two, exact)
    yield from _near("correction_ratio", one.correction_ratio, two.correction_ratio, exact)
    known = {reference.id: reference.budget for reference in one.references}
    for reference in two.references:
        if known.get(reference.id, reference.budget) != reference.budget:
            yield f"references: {known[reference.id]} and {reference.budget}"
    yield from (_rounds if a.rounds and b.rounds else _curves)(a, b, exact)


def _apart(key: str, x: Any, y: Any) -> Iterator[str]:
    """What differs of two values that do; of mappings with the same keys, which entries."""
    if isinstance(x, dict) and isinstance(y, dict) and x.keys() == y.keys():
        for name in x:
            if not same(x[name], y[name]):
                yield from _apart(f"{key}.{name}", x[name], y[name])
    else:
        yield f"{key}: {_short(x)} and {_short(y)}"


def _scores(name: str, a: Score, b: Score, result: Result, exact: bool) -> Iterator[str]:
    if a.round != b.round and (exact or name == "last"):
        yield f"{name}.round: {a.round} and {b.round}"
    if exact and a.weights_sha256 != b.weights_sha256:
        yield f"{name}.weights_sha256: other weights, although the environment is the same"
    for split in ("validation", "test"):
        most = _metrics(result, split, exact)
        yield from _metric_pairs(f"{name}.{split}", getattr(a, split), getattr(b, split), most)
    # of a mean whose values change by so much in all
    examples = max(result.data.examples.get("test", 0), 1)
    most = math.sqrt(_metrics(result, "test", exact) / examples)
    yield from _within(f"{name}.test_stderr", a.test_stderr, b.test_stderr, most)


def _metrics(result: Result, split: str, exact: bool, part: float = 1.0) -> float:
    """The tolerance of a metric over a part of the examples of a split."""
    examples = int(result.data.examples.get(split, 0) * part)
    return 0.0 if exact else metrics_tolerance(max(examples, 1))


def _clients(a: Result, b: Result, exact: bool) -> Iterator[str]:
    one, two = a.clients, b.clients
    if one is None or two is None:
        if one is not two:
            told = " and ".join("none" if scores is None else "told" for scores in (one, two))
            yield f"clients: {told}"
        return
    worst = max(1, one.scored // 10)  # so many clients a score is the mean of
    of = {"mean": one.scored, "std": worst, "worst_decile": worst}
    of |= {"held_out_mean": one.held_out_scored, "local_only_mean": one.local_only_clients}
    of["federated_mean_same_clients"] = one.local_only_clients
    for key in ClientScores.model_fields:
        part = of.get(key, 0) / max(one.clients + one.held_out_scored, 1)
        most = _metrics(a, "test", exact, min(part, 1.0)) if part else 0.0
        yield from _within(f"clients.{key}", getattr(one, key), getattr(two, key), most)


def _client_table(a: FinishedRun, b: FinishedRun, exact: bool) -> Iterator[str]:
    """`clients.csv`: the quantiles that a leaderboard keeps of it, or else its sum."""
    ours, theirs = getattr(a, "quantiles", None), getattr(b, "quantiles", None)
    if ours is None or theirs is None:
        sums = {run.result.files.get("clients.csv") for run in (a, b)}
        if exact and len(sums) > 1:
            yield "clients.csv: other scores, although the environment is the same"
        return
    clients = a.result.clients.clients if a.result.clients else 1
    most = _metrics(a.result, "test", exact, 1 / max(clients, 1))  # each is about one client's
    pairs = list(zip(ours, theirs, strict=False))
    if len(ours) != len(theirs) or any(list(_within("", x, y, most)) for x, y in pairs):
        yield f"clients.csv: scores {_short(ours)} and {_short(theirs)}"


def _costs(a: Result, b: Result, exact: bool) -> Iterator[str]:
    for key in Costs.model_fields:
        x, y = getattr(a.costs, key), getattr(b.costs, key)
        if key in COSTS_MAY_DIFFER or (key == "padding_waste" and None in (x, y)):
            continue  # versions that did not tell the waste
        if (exact or key not in BY_BATCHES) and not same(x, y):
            yield f"costs.{key}: {x} and {y}"


def _rounds(a: FinishedRun, b: FinishedRun, exact: bool) -> Iterator[str]:
    """The first round in which each kind of number differs."""
    most, seen = _metrics(a.result, "validation", exact), set[str]()
    for x, y in zip(a.rounds, b.rounds, strict=False):
        where = f"round {x['round']}"
        found = [f"{where}.{k}: {_short(x.get(k))} and {_short(y.get(k))}" for k in _COUNTED
                 if not same(x.get(k), y.get(k))]  # fmt: skip
        for key in _LEFT_OUT:
            ours, theirs = sorted(x.get(key) or {}), sorted(y.get(key) or {})
            if ours != theirs:
                found.append(f"{where}.{key}: clients {_short(ours)} and {_short(theirs)}")
        found += _metric_pairs(
            f"{where}.validation", x.get("validation") or {}, y.get("validation") or {}, most
        )
        for key in ("train_loss", "correction_ratio"):
            found += _near(f"{where}.{key}", x.get(key), y.get(key), exact)
        for key in ("weights_sha256", "padded_tokens"):
            if exact and not same(x.get(key), y.get(key)):
                found.append(f"{where}.{key}: {_short(x.get(key))} and {_short(y.get(key))}")
        for words in found:
            kind = words.partition(": ")[0].partition(".")[2]
            if kind not in seen:
                seen.add(kind)
                yield words


def _curves(a: FinishedRun, b: FinishedRun, exact: bool) -> Iterator[str]:
    """The same of what a leaderboard keeps of the rounds."""
    if a.cumulative_bytes() != b.cumulative_bytes():
        yield "rounds.bytes: other bytes were sent"
    ours, theirs = a.validation_curve(), b.validation_curve()
    most = _metrics(a.result, "validation", exact)
    for (x, value), (y, other) in zip(ours, theirs, strict=False):
        if x != y or list(_within("", value, other, most)):
            yield f"rounds.validation: round {x} has {_short(value)}, round {y} {_short(other)}"
            break
    if len(ours) != len(theirs):
        yield f"rounds.validation: {len(ours)} and {len(theirs)} validated rounds"
    losses = zip(_losses(a), _losses(b), strict=False)
    for number, (loss, another) in enumerate(losses, start=1):
        if list(_near("", loss, another, exact)):
            yield f"rounds.train_loss: round {number} has {loss} and {another}"
            break


def _losses(run: FinishedRun) -> list[float | None]:
    curves = getattr(run, "curves", None)
    return [] if curves is None else [None if math.isnan(v) else v for v in curves.loss]


def _metric_pairs(
    where: str, a: dict[str, float], b: dict[str, float], most: float
) -> Iterator[str]:
    for key in sorted({*a, *b}):
        yield from _within(f"{where}.{key}", a.get(key), b.get(key), most)


def _within(where: str, x: Any, y: Any, most: float) -> Iterator[str]:
    """Both the same, or numbers that are at most so far apart."""
    numbers = all(isinstance(v, float | int) and not isinstance(v, bool) for v in (x, y))
    if not (same(x, y) or (numbers and abs(x - y) <= most)):
        yield f"{where}: {x} and {y}"


def _near(where: str, x: float | None, y: float | None, exact: bool) -> Iterator[str]:
    """Both the same, or, of two environments, as near as the training loss of a replay."""
    most = 0.0 if exact or x is None else LOSS * abs(x)
    yield from _within(where, x, y, most)


def _short(value: Any) -> str:
    return str(value)[:100]
