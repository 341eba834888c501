"""Silos that are gone, silent or late: who is waited for, who is left out, who is back."""

from __future__ import annotations

import time

import pytest
from harness import run

from fednlp.engines.fedml import library
from fednlp.errors import UserError

if library.missing():
    pytest.skip(f"make fedml installs {library.missing()}", allow_module_level=True)

from fedml_loopback import FEDERATED, LoopServer, changed, federated, loopback

from fednlp.engines.fedml.messages import Answer, Ready
from fednlp.engines.fedml.transport import SERVER

LONG = {"engine.timeout": 3600.0, "engine.round_timeout": 3600.0}  # seconds: nobody waits so long


@pytest.fixture(autouse=True)
def who_waits_in_vain_fails(monkeypatch):
    """Thousands of looks at an empty inbox are seconds, which no round here needs."""
    look, looks = LoopServer.handle_one, [0]

    def handle_one(self, seconds):
        came = look(self, seconds)
        looks[0] = 0 if came else looks[0] + 1
        assert looks[0] < 3000, "waits for whom nobody needs"
        return came

    monkeypatch.setattr(LoopServer, "handle_one", handle_one)


def at_round(number, act):
    """Does it once, when silo 1 answers in that round (from 0)."""
    done = []

    def alter(rank, body, frame):
        if rank == 1 and isinstance(body, Answer) and body.round == number and not done:
            done.append(True)
            act()
        return None

    return alter


def of_silo_2(record) -> set[str]:
    return {str(k) for k in record["clients"] if k % 2}


def missing(found) -> list[set[str]]:
    return [set(record.get("missing", {})) for record in found.rounds]


CHANGES = {"engine.min_clients": 1, "rounds": 5, "sampling.clients_per_round": 4}


def test_a_dead_silo_is_left_out_of_each_round_until_it_is_back(small_config, tmp_path):
    config = small_config({**FEDERATED, **LONG, **CHANGES})
    with loopback(config, tmp_path) as loop:
        dies = at_round(0, lambda: loop.server.silos[2].die())
        again = at_round(2, lambda: loop.join(2, config))

        def alter(*sent):
            return dies(*sent) or again(*sent)

        for silo in loop.server.silos.values():
            silo.alter = loop.alter = alter
        found = run(config, tmp_path)
    absent = [of_silo_2(record) for record in found.rounds]
    assert all(absent)
    assert missing(found)[:2] == absent[:2] and missing(found)[3:] == [set(), set()]
    assert all(
        why.endswith("is gone (its stream ended)")
        for record in found.rounds[:2]
        for why in record["missing"].values()
    )


def test_a_silo_that_falls_silent_is_lost_and_a_word_of_it_is_enough(small_config, tmp_path):
    """Its connection stands all the time, and its answers count again once it is heard."""
    config = small_config({**FEDERATED, **LONG, **CHANGES})
    with loopback(config, tmp_path) as loop:
        falls = at_round(0, lambda: loop.server.silent.update({2: 3601.0}))
        heard = at_round(2, lambda: loop.server.silent.clear())

        def alter(rank, body, frame):
            if rank == 2 and isinstance(body, Answer) and loop.server.silent:
                return []
            return falls(rank, body, frame) or heard(rank, body, frame)

        for silo in loop.server.silos.values():
            silo.alter = alter
        found = run(config, tmp_path)
    absent = [of_silo_2(record) for record in found.rounds]
    assert all(absent) and missing(found)[1] == absent[1]
    assert missing(found)[3:] == [set(), set()]
    for why in found.rounds[0]["missing"].values():
        assert "is gone (no sign of life for 3600 s)" in why


def test_a_silo_that_never_joins_is_waited_for_once(small_config, tmp_path):
    config = small_config({**FEDERATED, **CHANGES, "engine.timeout": 5.0})
    with loopback(config, tmp_path) as loop:
        del loop.server.silos[2]
        loop.hub.patience = 1.0  # seconds, before the first round
        waits, begin = [], loop.hub.begin

        def began(*arguments):
            begin(*arguments)
            waits.append(loop.hub.silos[2].absent)
            loop.hub.patience = 3600.0

        loop.hub.begin = began
        found = run(config, tmp_path)
    assert waits == [True] * 5
    whys = {why for record in found.rounds for why in record["missing"].values()}
    assert whys == {"silo 2 is gone (has not joined)"}
    assert missing(found) == [of_silo_2(record) for record in found.rounds]


def test_a_silo_that_is_there_may_take_longer_to_prepare(small_config, tmp_path):
    """`engine.timeout` is for those that give no sign of life."""

    def slow(rank, body, frame):
        if rank == 2 and isinstance(body, Ready):
            time.sleep(1.5)
        return None

    config = small_config({**FEDERATED, "engine.round_timeout": 60.0})
    with loopback(config, tmp_path, alter=slow) as loop:
        loop.hub.patience = 1.0
        found = run(config, tmp_path)
    assert missing(found) == [set()] * len(found.rounds)


def test_what_comes_unreadable_of_a_silo_that_owes_an_earlier_answer_is_nobodys(
    small_config, tmp_path
):
    """Which of the two it was meant to be cannot be told; the right answer is waited for."""
    changes = {"engine.min_clients": 1, "engine.round_timeout": 1.0, "rounds": 3}
    sent = []

    def alter(rank, body, frame):
        if rank != 2 or not isinstance(body, Answer):
            return None
        if body.round == 0:
            return []
        sent.append(body.round)
        return [b"\x80\x04" + frame, frame] if sent == [1] else None

    found = federated(small_config, tmp_path, changes, alter=alter)
    assert missing(found) == [of_silo_2(found.rounds[0]), set(), set()] and sent
    assert all("rejected" not in record for record in found.rounds)
    (stray,) = found.rounds[1]["stray"]
    assert "not a frame of this program" in stray


def test_an_answer_above_the_limit_is_told_at_once(small_config, tmp_path):
    """The silo says so instead of leaving the round to its timeout."""
    bad = federated(small_config, tmp_path / "whole").rounds[0]["clients"][1]

    def too_long(fields, tensors, frame):  # as `send_message` does
        raise UserError("engine.message_limit", "a message 'answer' has 9 bytes", "at most 8")

    with pytest.raises(UserError) as error:
        federated(small_config, tmp_path / "bad", LONG, alter=changed(bad, too_long))
    assert f"round 1: 2 of 3 clients gave an answer (client {bad}: silo" in str(error.value)
    assert "engine.message_limit: a message 'answer' has" in str(error.value)


def test_what_the_server_may_not_send_ends_the_run_at_once(small_config, tmp_path):
    config = small_config({**FEDERATED, **LONG})
    with loopback(config, tmp_path) as loop:
        loop.server.limit = 20_000
        with pytest.raises(UserError, match=r"engine.message_limit: a message 'train' has \d+ by"):
            run(config, tmp_path)


def test_sides_with_different_limits_are_told_so(small_config, tmp_path):
    config = small_config(FEDERATED)
    with loopback(config, tmp_path, 1) as loop:
        loop.join(1, small_config({**FEDERATED, "engine.message_limit": 10**6}))
        with pytest.raises(
            UserError, match=r"engine\.message_limit is 1000000 there and 1073741824"
        ):
            run(config, tmp_path)


def test_a_silo_that_cannot_read_the_server_says_so_and_ends(small_config, tmp_path):
    config = small_config(FEDERATED)
    with loopback(config, tmp_path, 1) as loop:
        silo = loop.server.silos[1]
        silo.arrived(SERVER, b"\x80\x04" + bytes(100))
        with pytest.raises(UserError, match="the server: what it sends cannot be read: not a fr"):
            silo.step()
