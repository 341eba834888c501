"""Clients of a method that are trained together although each is written for itself.

`local_update` calls `client.train` somewhere in its middle. Every client runs in a coroutine of its
own up to that call and waits there; when all wait, what they ask for is done at once and they go
on. Greenlets switch in the middle of a call for a microsecond or two; threads that hand over to
each other took a hundred per client.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from greenlet import getcurrent, greenlet

from fednlp.engines.client import Asked, Learned, Upload
from fednlp.together.steps import CorrectionFailed

Work = Callable[[Callable[[Asked], Learned]], Upload]  # is given what does its trainings
TrainAll = Callable[[Sequence[Asked]], Sequence[Learned]]


def meet(works: Sequence[Work], train_all: TrainAll) -> list[Upload]:
    """The uploads of all clients, in their order.

    Raises what the first client to fail raised; the others end where they wait.
    """
    caller = getcurrent()  # what a client raises, it raises here
    members = [greenlet(work, caller) for work in works]
    uploads: dict[greenlet, Upload] = {}
    waiting: dict[greenlet, Asked] = {}

    def note(member: greenlet, said: Any) -> None:
        if member.dead:
            uploads[member] = said
        else:
            waiting[member] = said

    try:
        for member in members:
            note(member, member.switch(caller.switch))
        while waiting:
            asked, waiting = waiting, {}
            try:
                learned = train_all(list(asked.values()))
            except CorrectionFailed as failed:
                cause = failed.__cause__
                assert cause is not None
                (culprit,) = (m for m, its in asked.items() if its is failed.asked)
                culprit.throw(type(cause), cause, cause.__traceback__)
                raise cause from None  # it was swallowed
            for member, answer in zip(asked, learned, strict=True):
                note(member, member.switch(answer))
    finally:
        for member in members:
            if member:  # begun and not ended
                with suppress(Exception):  # what it raises on its way out hides no other error
                    member.throw()
    return [uploads[member] for member in members]
