"""Two runs of one id conflict in every field that pages show, but for what may honestly differ."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
from harness import run_both

from fednlp.leaderboard.conflicts import settle
from fednlp.leaderboard.digest import read_digest
from fednlp.results.reading import load_run
from fednlp.results.schema import Result, Round
from fednlp.verification.conflicts import conflicts
from fednlp.verification.differences import BY_BATCHES, COSTS_MAY_DIFFER, MAY_DIFFER

HERE, THERE = [{"from_round": 1, "torch": "2.0"}], [{"from_round": 1, "torch": "1.0"}]
TRIALS = [
    {"values": {"client.lr": 0.1}, "validation": 0.5},
    {"values": {"client.lr": 0.2}, "validation": None},
]
TUNING = {"seeds": [1], "rounds": 2, "trials": TRIALS, "chosen": 0, "tied": 0}
TUNING["edges"] = ["client.lr"]
# what stands for None, so that every field has a value
VALUES = {
    "correction_ratio": 0.5, "tuning": TUNING, "budget": "matched",
    "clients.held_out_mean": 0.3, "clients.local_only_mean": 0.3,
    "clients.federated_mean_same_clients": 0.3,
}  # fmt: skip
OTHERS = {"federated": "centralized", "matched": "converged", "accuracy": "macro_f1"}
TIMES = {"device_seconds", "evaluation_seconds", "wall_seconds"}


@pytest.fixture(scope="module")
def made(small_config, tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    changes = {"rounds": 2, "evaluation.min_client_examples": 5, "evaluation.every": 1}
    federated, _ = run_both(small_config(changes), out)
    data = federated.result.model_dump()
    for path, value in VALUES.items():
        *parents, last = path.split(".")
        (data[parents[0]] if parents else data)[last] = value
    return replace(federated, result=Result.model_validate(data))


def leaves(value, path=()):
    """The path of every value that is no mapping."""
    if isinstance(value, dict) and value:
        for key in value:
            yield from leaves(value[key], (*path, key))
    else:
        yield path


def edited(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return value - 0.2 if value > 0.5 else value + 0.2
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return OTHERS.get(value, value + "x")
    if isinstance(value, list):
        return value[1:] if value else [1]
    return 0.5 if value is None else "other"


def with_edit(run, path):
    """The run with another value there; None where the schema allows no other."""
    data = copy.deepcopy(run.result.model_dump())
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = edited(place[path[-1]])
    return replace(run, result=Result.model_construct(**checked(data)))


def checked(data):
    whole = Result.model_validate(data)
    return {name: getattr(whole, name) for name in Result.model_fields}


def found(run, other, environments=(HERE, HERE)):
    told = {id(run): environments[0], id(other): environments[1]}
    same_id = replace(other, result=other.result.model_copy(update={"id": run.result.id}))
    told[id(same_id)] = environments[1]
    return [w for c in conflicts([run, same_id], lambda r: told[id(r)]) for w in c.differences]


def may_differ(path, exact=True):
    costs = COSTS_MAY_DIFFER | (set() if exact else BY_BATCHES)
    return path[0] in MAY_DIFFER or (path[0] == "costs" and path[1] in costs)


def test_every_field_of_a_result_conflicts_or_may_differ(made):
    paths = [p for p in leaves(made.result.model_dump()) if p != ("id",)]
    assert {path[0] for path in paths} == Result.model_fields.keys() - {"id"}
    assert len(paths) > 80
    for exact, environments in ((True, (HERE, HERE)), (False, (HERE, THERE))):
        silent, blamed = [], []
        for path in paths:
            if path == ("costs", "padding_waste") and made.result.costs.padding_waste is None:
                continue
            words = found(made, with_edit(made, path), environments)
            name = ".".join(path)
            if may_differ(path, exact):
                blamed += [name] if words else []
            elif not any(w.partition(": ")[0] in (name, name.rpartition(".")[0]) for w in words):
                silent.append(name)
        weights = [f"{name}.weights_sha256" for name in ("selected", "last")]
        # of two environments the selected round may be another, as near as they are
        elsewhere = [*weights, "selected.round"]
        # a score of few clients moves by more than this edit from environment to environment
        few = ["clients.std", "clients.worst_decile"]
        assert set(silent) <= (set() if exact else {*elsewhere, *few}), silent
        assert blamed == (["files.clients.csv"] if exact else [])  # it tells no time and no path


def test_every_field_of_a_round_conflicts_or_may_differ(made):
    for key in Round.model_fields:
        if key == "round":
            continue
        rounds = copy.deepcopy(made.rounds)
        value = rounds[0].get(key)
        if key in ("missing", "rejected"):
            rounds[0][key] = {"1": "no answer"}
        elif isinstance(value, dict):
            value[made.result.primary_metric] += 0.1
        else:
            rounds[0][key] = edited(value)
        words = found(made, replace(made, rounds=rounds))
        if key in {*TIMES, "stray"}:
            assert not words
        else:
            assert [w.partition(": ")[0] for w in words] == [
                f"round 1.{key}" + (".accuracy" if key == "validation" else "")
            ]


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("quantiles", lambda run: [q + 1e-3 for q in run.quantiles]),
        ("curves", lambda run: moved(run.curves, "validation")),
        ("curves", lambda run: moved(run.curves, "loss")),
        ("curves", lambda run: moved(run.curves, "sent")),
    ],
)  # fmt: skip
def test_what_a_leaderboard_keeps_of_rounds_and_clients_conflicts(made, field, change):
    board = read_digest(made.path, made.path, "a", "a")
    other = replace(board, key="b", source="b", **{field: change(board)})
    for runs in ([board, other], [other, board]):
        settled = settle(runs)
        assert not settled.runs and len(settled.conflicts) == 1
    assert len(settle([board, replace(board, key="b", source="b")]).runs) == 1


def moved(curves, name):
    column = getattr(curves, name)[:]
    column[0] += 1 if name == "sent" else 1e-3
    return replace(curves, **{name: column})


def test_an_invented_search_is_a_conflict_in_any_order(made):
    plain = load_run(made.path)
    result = Result.model_validate({**plain.result.model_dump(), "tuned": True, "tuning": TUNING})
    invented = replace(plain, result=result)
    for pair in ((plain, invented), (invented, plain)):
        for environments in ((HERE, HERE), (HERE, THERE)):
            words = found(*pair, environments)
            assert {w.partition(": ")[0] for w in words} == {"tuned", "tuning"}
