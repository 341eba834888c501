"""Clients that meet: whatever ends a meeting, none of them is left waiting."""

from __future__ import annotations

import pytest

from fednlp.together.meeting import meet


class Interrupted(BaseException):
    pass


def asks(times):
    def work(learn):
        return [learn((times, k)) for k in range(times)]

    return work


def test_all_that_wait_are_answered_at_once():
    groups = []

    def train_all(asked):
        groups.append(asked)
        return [f"answer to {one}" for one in asked]

    found = meet([asks(2), asks(1), asks(0)], train_all)
    assert groups == [[(2, 0), (1, 0)], [(2, 1)]]
    assert found == [["answer to (2, 0)", "answer to (2, 1)"], ["answer to (1, 0)"], []]


def fails_at_once(learn):
    raise ValueError("at once")


def fails_afterwards(learn):
    learn("a question")
    raise ValueError("afterwards")


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("failing", [fails_at_once, fails_afterwards])
def test_the_first_error_is_raised(failing, place):
    works = [asks(2), asks(2)]
    works.insert(place, failing)
    with pytest.raises(ValueError):
        meet(works, lambda asked: asked)
    assert meet([asks(1)] * 3, lambda asked: asked) == [[(1, 0)]] * 3


def test_a_failed_training_ends_all():
    ended = []

    def work(learn):
        try:
            learn("a question")
        finally:
            ended.append(1)

    def train_all(asked):
        raise Interrupted

    with pytest.raises(Interrupted):
        meet([work] * 3, train_all)
    assert ended == [1, 1, 1]


def test_what_a_client_raises_on_its_way_out_hides_nothing():
    def work(learn):
        try:
            learn("a question")
        finally:
            raise KeyError("on the way out")

    def train_all(asked):
        raise Interrupted

    with pytest.raises(Interrupted):
        meet([work] * 3, train_all)


def test_an_interrupt_in_a_client_ends_all():
    ended = []

    def waits(learn):
        try:
            learn("a question")
        finally:
            ended.append(1)

    def interrupted(learn):
        raise Interrupted

    with pytest.raises(Interrupted):
        meet([waits, waits, interrupted, waits], lambda asked: asked)
    assert ended == [1, 1]
