"""Clients that meet: whatever ends a meeting, no thread of it is left waiting."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fednlp.together.meeting import meet


class Interrupted(BaseException):
    pass


@pytest.fixture
def threads():
    """As many as clients: a meeting after one that left a thread waiting would never end."""
    with ThreadPoolExecutor(3) as pool:
        yield pool


def asks(times):
    def work(learn):
        return [learn((times, k)) for k in range(times)]

    return work


def test_all_that_wait_are_answered_at_once(threads):
    groups = []

    def train_all(asked):
        groups.append(asked)
        return [f"answer to {one}" for one in asked]

    found = meet([asks(2), asks(1), asks(0)], train_all, threads)
    assert groups == [[(2, 0), (1, 0)], [(2, 1)]]
    assert found == [["answer to (2, 0)", "answer to (2, 1)"], ["answer to (1, 0)"], []]


def fails_at_once(learn):
    raise ValueError("at once")


def fails_afterwards(learn):
    learn("a question")
    raise ValueError("afterwards")


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("failing", [fails_at_once, fails_afterwards])
def test_the_first_error_is_raised(failing, place, threads):
    works = [asks(2), asks(2)]
    works.insert(place, failing)
    with pytest.raises(ValueError):
        meet(works, lambda asked: asked, threads)
    assert meet([asks(1)] * 3, lambda asked: asked, threads) == [[(1, 0)]] * 3


def test_a_failed_training_ends_all(threads):
    ended = []

    def work(learn):
        try:
            learn("a question")
        finally:
            ended.append(1)

    def train_all(asked):
        raise Interrupted

    with pytest.raises(Interrupted):
        meet([work] * 3, train_all, threads)
    assert ended == [1, 1, 1]


def test_an_interrupt_while_a_client_runs(threads, monkeypatch):
    """It asks only after the meeting has been given up."""
    given_up, ended = threading.Event(), threading.Event()

    def slow(learn):
        given_up.wait(10)
        try:
            learn("too late")
        finally:
            ended.set()

    from fednlp.together.meeting import Member

    def begin(member):
        member._threads.submit(member._run)
        raise Interrupted

    monkeypatch.setattr(Member, "begin", begin)
    with pytest.raises(Interrupted):
        meet([slow], lambda asked: asked, threads)
    given_up.set()
    assert ended.wait(10)
