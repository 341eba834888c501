"""A process that stands still or is cut off without dying: the others end, and say who it is."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress

import pytest
from harness import digests, run
from rank_processes import KILLED, command_ranks

from fednlp.engines.torchrun import follower, leader
from fednlp.engines.torchrun import part as parts_of_rounds
from fednlp.engines.torchrun.group import Group
from fednlp.results.reading import load_run

HOST = socket.gethostname()
CHANGES = {
    "algorithm": "ditto", "rounds": 3, "sampling.clients_per_round": 4, "engine.threads": 1,
    "engine.aggregation": "exact", "centralized.budget": "none",
}  # fmt: skip


def stopped() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def cut_off() -> None:
    """Every connection of this process is closed, and it goes on."""
    for entry in os.listdir("/proc/self/fd"):
        with suppress(OSError), socket.socket(fileno=os.dup(int(entry))) as connection:
            connection.getpeername()  # raises where it only listens
            connection.shutdown(socket.SHUT_RDWR)


def told(group, *_):
    return int(group.post.doing.removeprefix("round "))


def in_round_2(victim, where, work):
    """Before rank `victim` trains, adds up or sends what a client keeps, it does `work`, once."""

    def before(rank):
        if rank != victim:
            return
        holder, name, round_of = {
            "training": (parts_of_rounds.Trainer, "train", lambda _, sent: sent.round + 1),
            "the sum": (leader if rank == 0 else follower, "reduced", told),
            "a state": (Group, "send", told),
        }[where]
        known, done = getattr(holder, name), []

        def changed(*arguments):
            if round_of(*arguments[:2]) == 2 and not done:
                done.append(work)
                work()
            return known(*arguments)

        setattr(holder, name, changed)

    return before


@pytest.mark.parametrize(
    ("work", "victim", "where"),
    [
        (stopped, 0, "training"),
        (cut_off, 1, "a state"),
        pytest.param(stopped, 1, "training", marks=pytest.mark.long),
        pytest.param(stopped, 1, "the sum", marks=pytest.mark.long),
        pytest.param(stopped, 0, "the sum", marks=pytest.mark.long),
        pytest.param(cut_off, 1, "the sum", marks=pytest.mark.long),
        pytest.param(cut_off, 0, "training", marks=pytest.mark.long),
        pytest.param(cut_off, 0, "the sum", marks=pytest.mark.long),
        pytest.param(stopped, 0, "a state", marks=pytest.mark.long),
        pytest.param(stopped, 1, "a state", marks=pytest.mark.long),
        pytest.param(cut_off, 1, "training", marks=pytest.mark.long),
    ],
)
def test_the_others_end_and_name_it(work, victim, where, small_config, tmp_path):
    """Rank 0 serves the store here, so what it does not answer must not hold anyone."""
    path = tmp_path / "c.yaml"
    several = {**CHANGES, "engine.name": "torchrun", "engine.timeout": 5}
    path.write_text(small_config(several).model_dump_json())
    arguments = lambda rank: ["run", path, "--out", tmp_path / "o"]  # noqa: E731
    stands = victim if work is stopped else None
    answers = command_ranks(3, arguments, in_round_2(victim, where, work), stands)
    own = answers.pop(victim)
    assert f"rank {victim} on {HOST}: was lost in round 2; the same command continues" in (
        answers[0].one_line()
    )
    assert (answers[1].code, answers[1].err) == (2, "")
    if work is stopped:
        assert own == KILLED  # by the test, after all others had ended
    else:
        assert "in round 2" in own.one_line()  # what it can know: it has lost the others
    (folder,) = (tmp_path / "o").iterdir()
    assert len((folder / "rounds.jsonl").read_text().splitlines()) == 1
    assert all(answer.code == 0 for answer in command_ranks(2, arguments))
    whole = run(small_config(CHANGES), tmp_path / "whole")
    assert digests(load_run(folder)) == digests(whole)
