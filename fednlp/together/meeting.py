"""Clients of a method that are trained together although each is written for itself.

`local_update` calls `client.train` somewhere in its middle. Every client runs in a thread of its
own up to that call and waits there; when all wait, what they ask for is done at once and they go
on. Only one thread runs at any time, so nothing here is concurrent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from fednlp.engines.client import Asked, Learned, Upload
from fednlp.together.steps import CorrectionFailed

Work = Callable[[Callable[[Asked], Learned]], Upload]  # is given what does its trainings
TrainAll = Callable[[Sequence[Asked]], Sequence[Learned]]


class _Dismissed(BaseException):
    """Ends a thread that nobody waits for any more."""


class Member:
    """One client. asked: the training that it waits for. error: what it ended with."""

    def __init__(self, work: Work, threads: ThreadPoolExecutor) -> None:
        self.asked: Asked | None = None
        self.error: BaseException | None = None
        self.upload: Upload | None = None
        self._answer: Learned | BaseException | None = None
        self._work, self._threads, self._dismissed = work, threads, False
        self._go, self._rest = Lock(), Lock()  # each is held but when its side may go on
        self._go.acquire()
        self._rest.acquire()

    def begin(self) -> None:
        """Runs it until it first asks, or ends."""
        self._threads.submit(self._run)
        self._rest.acquire()

    def resume(self, answer: Learned | BaseException) -> None:
        """Runs it until it asks or ends. answer: what it asked for, or what `train` raises."""
        self._answer, self.asked = answer, None
        self._go.release()
        self._rest.acquire()

    def dismiss(self) -> None:
        """Ends it where it waits, or where it would: an interrupt may come while it runs."""
        self._dismissed = True
        if self.asked is not None:
            self.resume(_Dismissed())

    def _run(self) -> None:
        try:
            self.upload = self._work(self._ask)
        except BaseException as error:
            self.error = error
        finally:
            self._rest.release()

    def _ask(self, asked: Asked) -> Learned:
        self.asked = asked
        if self._dismissed:
            raise _Dismissed
        self._rest.release()
        self._go.acquire()
        if isinstance(self._answer, BaseException):
            raise self._answer
        assert self._answer is not None
        return self._answer


def meet(works: Sequence[Work], train_all: TrainAll, threads: ThreadPoolExecutor) -> list[Upload]:
    """The uploads of all clients, in their order.

    threads: one for each client. Raises what the first client to fail raised.
    """
    members = [Member(work, threads) for work in works]
    try:
        for member in members:
            member.begin()
            _raise_error(member)
        while waiting := [member for member in members if member.asked is not None]:
            asked = [member.asked for member in waiting if member.asked is not None]
            try:
                learned = train_all(asked)
            except CorrectionFailed as failed:
                culprit = waiting[[a is failed.asked for a in asked].index(True)]
                assert failed.__cause__ is not None
                culprit.resume(failed.__cause__)
                _raise_error(culprit)
                raise failed.__cause__ from None  # it was swallowed
            for member, answer in zip(waiting, learned, strict=True):
                member.resume(answer)
                _raise_error(member)
    finally:
        for member in members:
            member.dismiss()
    return [member.upload for member in members if member.upload is not None]


def _raise_error(member: Member) -> None:
    if member.error is not None:
        raise member.error
