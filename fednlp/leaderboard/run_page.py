"""What the page of one run shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fednlp.leaderboard import intervals
from fednlp.leaderboard.board import tuning_budget
from fednlp.leaderboard.curves import run_charts
from fednlp.leaderboard.digest import BoardRun
from fednlp.leaderboard.links import Links, unique
from fednlp.leaderboard.numbers import quantity, signed
from fednlp.leaderboard.overview import task_name
from fednlp.leaderboard.submission_notes import submission_notes
from fednlp.results.escaping import shown
from fednlp.results.floor import FLOOR_NOTE, marked, run_is_below
from fednlp.results.gap import algorithm_name, client_name, partition_name
from fednlp.results.schema import Result
from fednlp.results.tables import human_bytes, human_seconds

MOST_LINKED = 200  # runs that a reference's page names
Facts = list[tuple[str, str]]


def run_context(run: BoardRun, references: Sequence[BoardRun], links: Links) -> dict[str, Any]:
    """The values of `run.html`.

    references: the centralized runs that the run is measured against, as far as they are here.
    """
    result = run.result
    central = result.kind == "centralized"
    found = links.found_in(run)
    benchmark = found[0][0] if found else None
    heading = "Centralized reference" if central else method_name(result)
    name = links.name(run)
    trail = [("Leaderboard", "index.html")]
    if benchmark:
        trail.append((shown(benchmark.first.data, 40), links.benchmark(benchmark)))
    picture: dict[str, Any] = {"picture": ""}
    if run.quantiles:
        x = intervals.scale(run.quantiles)
        picture = {
            "picture": intervals.box(run.quantiles, 0, x),
            "client_low": quantity(x.low, 2),
            "client_high": quantity(x.high, 2),
        }
    return {
        "title": f"{heading}, seed {result.seed}",
        "trail": [*trail, (f"{heading}, seed {result.seed}", "")],
        "task": task_name(result.task),
        "heading": f"{heading}, seed {result.seed}",
        "subtitle": _subtitle(run),
        "conflict": links.is_in_conflict(run),
        "known": _known(run, references),
        "run_notes": _notes(run),
        "charts": run_charts(run, references),
        "score_columns": list(_scores(result)),
        "scores": _score_rows(result),
        "metric": shown(result.primary_metric, 40),
        "stderr": quantity(result.selected.test_stderr),
        "clients": _clients(result),
        "linked_title": "Runs measured against it" if central else "Measured against",
        "linked_runs": _linked(run, references, links),
        "config": run.config,
        "command": f"python run_bench.py run {name}.yaml --out runs",
        "again": _again(run),
        "name": name,
        "environments": [_environment(entry) for entry in run.environment[:20]],
        "costs": _costs(result),
        "digests": _digests(run),
        **picture,
    }


def method_name(result: Result) -> str:
    """Method and client optimizer, as far as a stranger's result tells them."""
    try:
        return shown(f"{algorithm_name(result.algorithm or {})} [{client_name(result.client)}]")
    except (LookupError, TypeError, ValueError, AttributeError):
        return "Federated run"


def _subtitle(run: BoardRun) -> str:
    result = run.result
    parts = [result.data.name + (" (synthetic)" if result.data.synthetic else "")]
    parts.append(result.model.name)
    if result.kind == "centralized":
        parts.append(f"{result.budget} budget")
    else:
        try:
            parts.append(partition_name(result.partition or {}))
        except (LookupError, TypeError, ValueError, AttributeError):
            parts.append("split unknown")
    return ", ".join(shown(part, 100) for part in parts)


def _known(run: BoardRun, references: Sequence[BoardRun]) -> Facts:
    result, key = run.result, run.result.primary_metric
    score = result.selected.test[key]
    told = marked(quantity(score), run_is_below(result))
    facts = [(f"{shown(key, 40)} on test, selected round", told)]
    for central in references:
        gap = central.result.selected.test.get(key)
        if gap is not None:
            facts.append((f"gap to centralized ({central.result.budget})", signed(gap - score)))
    facts += [
        ("selected round", f"{result.selected.round} of {result.costs.rounds}"),
        ("on test, last round", quantity(result.last.test[key])),
        ("floor", quantity(result.floor["test"][key])),
        ("seed", str(result.seed)),
        ("examples", " / ".join(f"{n:,} {s}" for s, n in list(result.data.examples.items())[:8])),
        ("weights", f"{result.model.trainable:,} trained, {result.model.frozen:,} frozen"),
        ("learning rates", f"tuned, {tuning_budget(run)}" if result.tuned else "untuned"),
        ("folder", shown(f"{run.path.name}, from {run.source}", 300)),
    ]
    said = [("note of the submission", note) for _, note in submission_notes([run])]
    return [*facts, *said]


def _notes(run: BoardRun) -> list[str]:
    below = [FLOOR_NOTE] if run_is_below(run.result) else []
    return [*below, *(shown(note, 400) for note in (*run.result.notes[:50], *run.notes))]


def _scores(result: Result) -> dict[str, dict[str, float]]:
    columns = {}
    for name, score in (("selected", result.selected), ("last", result.last)):
        for split, metrics in (("validation", score.validation), ("test", score.test)):
            columns[f"{name} round, {split}"] = metrics
    return columns | {f"floor, {shown(s, 20)}": m for s, m in list(result.floor.items())[:4]}


def _score_rows(result: Result) -> list[tuple[str, list[str]]]:
    columns = _scores(result).values()
    names = list(dict.fromkeys(name for metrics in columns for name in metrics))[:40]
    return [(shown(n, 60), [quantity(metrics.get(n), 4) for metrics in columns]) for n in names]


def _clients(result: Result) -> Facts:
    told = result.clients
    if told is None:
        return []
    facts = [
        ("clients", f"{told.clients:,}"),
        ("scored", f"{told.scored:,} ({told.coverage:.0%})"),
        ("mean", quantity(told.mean)),
        ("standard deviation", quantity(told.std)),
        ("worst tenth", quantity(told.worst_decile)),
        ("weights", "personal" if told.personal else "global"),
    ]
    if told.held_out_scored:
        facts.append(("held out, mean", f"{quantity(told.held_out_mean)} ({told.held_out_scored})"))
    if told.local_only_clients:
        alone = f"{quantity(told.local_only_mean)} alone, "
        alone += f"{quantity(told.federated_mean_same_clients)} federated"
        facts.append((f"{told.local_only_clients} clients trained alone", alone))
    return facts


def _linked(run: BoardRun, references: Sequence[BoardRun], links: Links) -> list[tuple[str, str]]:
    if run.result.kind == "federated":
        return [(links.run(r), f"centralized, {r.result.budget}") for r in references]
    pairs = []
    for _, line in links.found_in(run):
        for federated, reference in zip(line.runs, line.references, strict=True):
            if reference.key == run.key:
                name = f"{line.method}, seed {federated.result.seed}"
                pairs.append((links.run(federated), name))
    return unique(pairs)[:MOST_LINKED]


def _again(run: BoardRun) -> str:
    text = "It also makes the centralized reference, and prints the gap of the two. "
    if run.result.kind == "centralized":
        text = "It makes this reference and the federated run that it belongs to. "
    text += (
        "Equal hardware, threads and versions give the same bits; the id says that it is this run."
    )
    if ".py:" in run.config:
        text += " It names code in a file of its own: get it, and read it before you run it."
    return text


def _environment(entry: dict[str, Any]) -> Facts:
    return [(shown(k.replace("_", " "), 40), shown(v, 120)) for k, v in list(entry.items())[:40]]


def _costs(result: Result) -> Facts:
    costs = result.costs
    facts = [
        ("sent up", human_bytes(costs.bytes_up)),
        ("sent down", human_bytes(costs.bytes_down)),
        ("frozen weights, once", human_bytes(costs.bytes_base)),
        ("training and aggregation", human_seconds(costs.device_seconds)),
        ("evaluation", human_seconds(costs.evaluation_seconds)),
        ("wall time", human_seconds(costs.wall_seconds)),
        ("examples trained on", f"{costs.examples:,}"),
        ("optimizer steps", f"{costs.steps:,}"),
        ("tokens, without padding", f"{costs.real_tokens:,}"),
        ("peak memory", human_bytes(costs.peak_memory_bytes)),
    ]
    if costs.peak_device_bytes:
        facts.append(("peak memory of the GPU", human_bytes(costs.peak_device_bytes)))
    return facts


def _digests(run: BoardRun) -> Facts:
    """Hashes by which the run, what it was made from and what came out are known."""
    result, identity = run.result, run.identity
    found = [
        ("id", result.id),
        ("result.json, its content", result.checksum),
        ("files that this page is made from", run.key),
        ("data", result.data.fingerprint),
        ("partition", identity.get("partition")),
        ("tokenizer", identity.get("tokenizer")),
        ("initial weights", identity.get("initial_weights")),
        ("algorithm's source", identity.get("algorithm_source")),
        ("weights, selected round", result.selected.weights_sha256),
        ("weights, last round", result.last.weights_sha256),
    ]
    return [
        (name, shown(value if isinstance(value, str) else json.dumps(value), 100))
        for name, value in found
        if value
    ]
