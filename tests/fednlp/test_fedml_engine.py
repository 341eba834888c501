"""A federation gives the local engine's bits, whatever the method; what silos do wrong is told."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from harness import command, contents, digests, run

from fednlp.cohorts import Cohorts
from fednlp.engines.fedml import library
from fednlp.engines.fedml.codec import decode, encode
from fednlp.engines.local import LocalEngine
from fednlp.errors import NotFinite, UserError
from fednlp.experiment import Experiment
from fednlp.flat_model import digest
from fednlp.hooks import Hooks
from fednlp.results.schema import left_out

if library.missing():
    pytest.skip(f"make fedml installs {library.missing()}", allow_module_level=True)

from fedml_loopback import FEDERATED, changed, federated, loopback

from fednlp.engines.fedml import as_fedml
from fednlp.engines.fedml.messages import Answer, ClientState


def same(ours, theirs):
    """All that two folders of a run hold, but for what tells who carried it."""
    assert digests(ours) == digests(theirs)
    one, two = contents(ours.path), contents(theirs.path)
    for found in (one, two):
        for name in ("config.yaml", "environment.json"):
            del found[name]
        notes = found["result.json"]["notes"]
        found["result.json"]["notes"] = [n for n in notes if "client states collected" not in n]
    assert one.pop("result.json") == two.pop("result.json")
    assert one == two


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": "fedavg", "model.dropout": 0.1},
        {"algorithm": "fedprox"},
        {"algorithm": "fedadam"},
        {"algorithm": "fednova", "partition": {"name": "quantity", "alpha": 0.5, "clients": 5}},
        {"algorithm": "scaffold", "rounds": 3},
        {"algorithm": "ditto", "evaluation.min_client_examples": 5, "rounds": 3},
        {"algorithm": "scaffold", "engine.aggregation": "exact", "model.lora": {"r": 2}},
    ],
    ids=lambda c: f"{c['algorithm']}{'+' if len(c) > 2 else ''}",
)
def test_the_local_engines_bits(changes, small_config, tmp_path):
    carried = federated(small_config, tmp_path / "carried", changes)
    plain = small_config({**FEDERATED, **changes, "engine.name": "local", "engine.workers": 1})
    same(carried, run(plain, tmp_path / "plain"))
    assert json.loads((carried.path / "environment.json").read_text())[0]["engine"] == "fedml"


def test_the_wire_carries_what_the_result_claims(small_config, tmp_path):
    config = small_config({**FEDERATED, "algorithm": "scaffold"})
    with loopback(config, tmp_path) as loop:
        found = run(config, tmp_path)
        down = loop.server.sent["train"]
        up = loop.server.received["answer"]
        states = loop.server.received["state"]
    costs = found.result.costs
    assert costs.bytes_down <= down < 1.05 * costs.bytes_down
    assert costs.bytes_up <= up < 1.05 * costs.bytes_up
    collected = next(n for n in found.result.notes if "client states collected" in n)
    size = int(collected.split(" of ")[1].split()[0].replace(",", ""))
    assert size <= states < 1.05 * size


def nan(fields, tensors, frame):
    tensors["delta"][3] = float("nan")
    return [encode(fields, tensors)]


def short(fields, tensors, frame):
    return [encode(fields, {"delta": tensors["delta"][:-1]})]


def renamed(fields, tensors, frame):
    return [encode(fields, {"other": tensors["delta"]})]


def oversized(fields, tensors, frame):
    return [frame + bytes(1 << 26)]


def noise(fields, tensors, frame):
    return [b"\x80\x04" + frame]


def another_rounds(fields, tensors, frame):
    return [encode({**fields, "round": 7}, tensors), frame]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (nan, "its upload 'delta' is not finite"),
        (short, "has 'delta' as float32"),
        (renamed, "has 'other' instead of 'delta'"),
        (oversized, "above the limit"),
        (noise, "not a frame of this program"),
    ],
)
def test_bad_answers_are_rejected_and_counted(how, reason, small_config, tmp_path):
    """The mean of the others is what is left, with their weights: that of a run without it."""
    first = federated(small_config, tmp_path / "whole").rounds[0]
    bad = first["clients"][1]
    changes = {"engine.min_clients": 2}
    found = federated(small_config, tmp_path / "bad", changes, alter=changed(bad, how))
    record = found.rounds[0]
    assert list(record["rejected"]) == [str(bad)] and reason in record["rejected"][str(bad)]
    assert f"silo {1 + bad % 2} (" in record["rejected"][str(bad)]
    assert record["weights_sha256"] != first["weights_sha256"]
    assert "rejected" not in found.rounds[1] and left_out(record) == {bad}
    note = next(n for n in found.result.notes if "rejected" in n)
    assert "left out: 1 (client" in note and reason in note


def test_the_mean_is_that_of_the_clients_that_are_left(small_config, tmp_path):
    """Of unequal sizes, so that weights which still added up to the whole would show."""
    split = {"partition": {"name": "quantity", "alpha": 1.0, "clients": 4, "min_size": 4}}
    changes = {**split, "engine.min_clients": 2, "rounds": 1, "engine.aggregation": "exact"}
    first = federated(small_config, tmp_path / "whole", changes).rounds[0]
    bad = first["clients"][1]
    found = federated(small_config, tmp_path / "bad", changes, alter=changed(bad, nan))

    parts = Experiment(small_config({**FEDERATED, **changes, "engine.name": "local"}))
    method, cohorts = Hooks(parts.algorithm), Cohorts(parts)
    left = [assignment for assignment in cohorts.draw(0) if assignment.client != bad]
    assert len(left) == 2 and len({assignment.weight for assignment in left}) == 2
    weights = parts.initial_weights
    server = method.init_server(weights, parts.model.layout)
    stateless = SimpleNamespace(load=lambda client, round: {})
    mean = LocalEngine(parts).run_round(0, weights, server, left, stateless).mean
    after = method.server_update(weights, mean, server, cohorts.describe(0, left), "a test")
    assert found.rounds[0]["weights_sha256"] == digest(after) != first["weights_sha256"]


def test_with_all_clients_needed_a_bad_answer_ends_the_run_in_one_line(small_config, tmp_path):
    bad = federated(small_config, tmp_path / "whole").rounds[0]["clients"][1]
    with pytest.raises(UserError) as error:
        federated(small_config, tmp_path / "bad", alter=changed(bad, nan))
    line = str(error.value)
    assert f"round 1: 2 of 3 clients gave an answer (client {bad}: silo" in line
    assert "engine.min_clients" in line and "\n" not in line


def test_another_rounds_answer_is_a_stray_and_the_right_one_counts(small_config, tmp_path):
    whole = federated(small_config, tmp_path / "whole")
    alter = changed(whole.rounds[0]["clients"][0], another_rounds)
    found = federated(small_config, tmp_path / "late", alter=alter)
    assert digests(found) == digests(whole)
    (stray,) = found.rounds[0]["stray"]
    assert "round 8, which it was not asked for" in stray


def test_a_client_that_diverges_is_what_it_is_locally(small_config, tmp_path):
    wild = {"client.lr": 1e30, "client.clip_norm": None}
    with pytest.raises(NotFinite, match=r"client \d, round 1: its"):
        federated(small_config, tmp_path, wild)


def test_a_silo_that_never_answers_is_named_and_done_without(small_config, tmp_path):
    whole = federated(small_config, tmp_path / "whole")
    absent = [k for k in whole.rounds[1]["clients"] if k % 2]  # silo 2's

    def silent(rank, body, frame):
        return [] if isinstance(body, Answer) and rank == 2 and body.round == 1 else None

    changes = {"engine.min_clients": 1}
    found = federated(small_config, tmp_path / "silent", changes, alter=silent)
    assert digests(found)[0] == digests(whole)[0]
    missing = found.rounds[1]["missing"]
    assert sorted(map(int, missing)) == sorted(absent) and absent
    assert all("no answer of silo 2 (" in why and "within 2 s" in why for why in missing.values())
    assert any(f"gave no answer and were left out: {len(absent)}" in n for n in found.result.notes)


def test_a_silo_that_dies_is_not_waited_for_and_one_that_comes_back_is_asked(
    small_config, tmp_path
):
    config = small_config({**FEDERATED, "engine.min_clients": 1, "rounds": 3})
    whole = federated(small_config, tmp_path / "whole", {"rounds": 3})

    def dies(rank, body, frame):
        if isinstance(body, Answer) and rank == 2 and body.round == 0:
            loop.server.silos[2].die()
            return []
        if isinstance(body, Answer) and rank == 1 and body.round == 1 and 2 not in back:
            back.add(2)
            loop.join(2, config)
        return None

    back = set()
    with loopback(config, tmp_path / "dies", alter=dies) as loop:
        found = run(config, tmp_path / "dies")
    assert all("is gone (its stream ended)" in why for why in found.rounds[0]["missing"].values())
    assert {k for k in whole.rounds[0]["clients"] if k % 2} == set(
        map(int, found.rounds[0]["missing"])
    )
    assert back and "missing" not in found.rounds[2]


def test_a_server_that_begins_again_takes_the_states_of_its_checkpoint(small_config, tmp_path):
    """It forgets rounds; what clients kept of them must not come back."""
    changes = {"algorithm": "scaffold", "rounds": 5, "checkpoint.every": 3, "evaluation.every": 3}
    whole = federated(small_config, tmp_path / "whole", changes)

    def stops(rank, body, frame):
        if isinstance(body, Answer) and body.round == 4:
            raise KeyboardInterrupt
        return None

    with pytest.raises(KeyboardInterrupt):
        federated(small_config, tmp_path / "stopped", changes, alter=stops)
    again = federated(small_config, tmp_path / "stopped", changes)
    same(again, whole)


def test_a_lost_state_is_told(small_config, tmp_path):
    changes = {"algorithm": "scaffold", "rounds": 4}

    def loses(rank, body, frame):
        if isinstance(body, Answer) and body.round == 2:
            for path in (tmp_path / "silos").rglob("*.safetensors"):
                path.unlink()
        return None

    with pytest.raises(UserError, match=r"its state after round \d is not in"):
        federated(small_config, tmp_path, changes, alter=loses)


def test_a_collected_state_is_checked(small_config, tmp_path):
    """Another run's is no answer; one that is not finite ends the run in one line."""

    def alter(rank, body, frame):
        if not isinstance(body, ClientState):
            return None
        fields, tensors = decode(frame, 1 << 30)
        stray = encode({**fields, "run": "another"}, tensors)
        next(iter(tensors.values()))[0] = float("inf")
        return [stray, encode(fields, tensors)]

    with pytest.raises(UserError, match=r"state of client \d, round \d: silo .* is not finite"):
        federated(small_config, tmp_path, {"algorithm": "scaffold"}, alter=alter)


def test_silos_that_disagree_are_told_what_differs(small_config, tmp_path):
    config = small_config({**FEDERATED, "engine.silos": 1})
    other = small_config({**FEDERATED, "client.lr": 0.2, "partition.seed": 3})
    with loopback(config, tmp_path, 1, strict=False) as loop:
        loop.join(1, other)
        with pytest.raises(UserError, match=r"a silo.s file: the server: client\.lr is 0\.1 there"):
            run(config, tmp_path)
    with loopback(other, tmp_path, 1) as loop, pytest.raises(UserError) as error:
        loop.join(1, config)
        run(other, tmp_path)
    assert "silo 1 (" in str(error.value) and "client.lr is 0.1 there and 0.2 here" in str(
        error.value
    )
    assert "partition is " in str(error.value)


def test_nobody_joins(small_config, tmp_path):
    config = small_config(FEDERATED)
    with loopback(config, tmp_path, 2) as loop:
        del loop.server.silos[2]
        with pytest.raises(UserError, match="silo 2 of 2 did not join within 5 s; start them"):
            run(config, tmp_path)


def test_outside_a_federation_there_is_no_engine(small_config, tmp_path):
    with pytest.raises(UserError, match="'fedml' outside a federation"):
        run(small_config(FEDERATED), tmp_path)


def test_a_method_that_encodes_is_rejected_without_a_trace_of_it(small_config, tmp_path):
    """Whatever a damaged payload makes `decode` raise is a reason and no crash."""
    whole = federated(small_config, tmp_path / "whole")
    bad = whole.rounds[0]["clients"][0]

    def emptied(fields, tensors, frame):
        return [encode(fields, {})]

    found = federated(
        small_config, tmp_path / "bad", {"engine.min_clients": 2}, alter=changed(bad, emptied)
    )
    assert "no tensor instead of 'delta'" in found.rounds[0]["rejected"][str(bad)]
    assert torch.isfinite(torch.tensor(found.result.costs.bytes_up))


def test_a_federated_run_is_verified_as_any_other(small_config, tmp_path):
    """Trained again by the local engine; rounds that left clients out cannot be."""
    whole = federated(small_config, tmp_path / "whole", {"rounds": 2})
    answer = command("verify", whole.path)
    assert answer.code == 0 and f"{whole.path.name}: verified" in answer.out, answer.out
    assert "all 2 rounds trained again from the initial weights" in answer.out
    alter = changed(whole.rounds[0]["clients"][1], nan)
    less = {"rounds": 2, "engine.min_clients": 2}
    found = federated(small_config, tmp_path / "less", less, alter=alter)
    answer = command("verify", found.path)
    assert f"{found.path.name}: verified" not in answer.out and answer.code == 1, answer.out


def test_fedmls_own_cross_silo_leaves_no_client_out(small_config):
    config = small_config({**FEDERATED, "client.on_nonfinite": "skip"})
    with pytest.raises(UserError, match=r"client.on_nonfinite: is skip; FedML's cross-silo can"):
        as_fedml(config)


def test_bytes_of_rejected_answers_are_in_no_cost(small_config, tmp_path):
    """Nobody vouches for them; what was sent to their clients counts."""
    whole = federated(small_config, tmp_path / "whole").rounds[0]
    changes = {"engine.min_clients": 2}
    alter = changed(whole["clients"][1], nan)
    record = federated(small_config, tmp_path / "bad", changes, alter=alter).rounds[0]
    assert record["bytes_up"] * 3 == whole["bytes_up"] * 2
    assert record["bytes_down"] == whole["bytes_down"]
