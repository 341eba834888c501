"""How processes find those that were started with them.

torchrun keeps its store when it starts all again, with all that is written there; how often each
process was started need not be the same on two nodes. So each says a word of its own, rank 0
welcomes those words under a token, and all go on once all have acknowledged one token. A word or a
welcome of an earlier start fits no process of this one.
"""

from __future__ import annotations

import json
import secrets
import time
from datetime import timedelta

import torch.distributed as dist

from fednlp.engines.torchrun.line import Line
from fednlp.engines.torchrun.membership import START, Membership
from fednlp.errors import UserError

_PAUSE = 0.02  # seconds


def connected(me: Membership, limit: float, place: str, serves: bool = False) -> Line:
    """A connection of its own to a place in the store.

    Raises:
        RuntimeError: there is none within the limit, in seconds.
    """

    def connect() -> dist.Store:
        store = dist.TCPStore(
            me.address,
            me.port,
            is_master=serves,
            wait_for_workers=False,
            timeout=timedelta(seconds=limit),
        )
        return dist.PrefixStore(place, store)

    return Line(connect, limit)


def agreed_token(line: Line, me: Membership, limit: float) -> str:
    """The same in all processes of this start, and in no other.

    Raises:
        UserError: not all arrive within the limit, in seconds.
        RuntimeError: the store is gone.
    """
    word, until = secrets.token_hex(8), time.monotonic() + limit
    _set(line, _hello(me.rank), word)
    return _lead(line, me, until) if me.leads else _follow(line, me, word, until)


def _lead(line: Line, me: Membership, until: float) -> str:
    hellos = [_hello(rank) for rank in range(me.size)]
    known: list[bytes] = []
    token = ""
    while True:
        if _stand(line, hellos):
            words = line.ask(lambda store: store.multi_get(hellos))
            if words != known:
                known, token = words, secrets.token_hex(8)
                _set(line, "welcome", json.dumps([token, [word.decode() for word in words]]))
            acknowledged = [f"ack/{token}/{rank}" for rank in range(1, me.size)]
            if not acknowledged or _stand(line, acknowledged):
                _set(line, f"go/{token}", "")
                return token
        missing = [rank for rank, key in enumerate(hellos) if not _stand(line, [key])]
        _pause(me, until, f"ranks {missing}" if missing else "those that have ended since")


def _follow(line: Line, me: Membership, word: str, until: float) -> str:
    accepted = ""
    while not (accepted and _stand(line, [f"go/{accepted}"])):
        if _stand(line, ["welcome"]):
            token, words = json.loads(line.ask(lambda store: store.get("welcome")))
            if words[me.rank : me.rank + 1] == [word] and token != accepted:
                _set(line, f"ack/{token}/{me.rank}", "")
                accepted = token
        _pause(me, until, "all that rank 0 waits for")
    return accepted


def _pause(me: Membership, until: float, missing: str) -> None:
    if time.monotonic() > until:
        found = f"rank {me.rank} of {me.size} waited at {me.address} in vain for {missing}"
        raise UserError("engine.name: torchrun", found, fix=f"start all: {START}")
    time.sleep(_PAUSE)


def _set(line: Line, key: str, text: str) -> None:
    line.ask(lambda store: store.set(key, text))


def _stand(line: Line, keys: list[str]) -> bool:
    return line.ask(lambda store: store.check(keys))


def _hello(rank: int) -> str:
    return f"hello/{rank}"
