"""Several processes that lead and follow, forked from the test's: nothing is imported again."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import QUIET, Answer, command

from fednlp.engines.torchrun.command import run_as_member
from fednlp.engines.torchrun.membership import membership
from fednlp.runs import run_pair

LIMIT = 120.0  # seconds, after which processes that hang are killed
KILLED = -signal.SIGKILL


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ranks(
    count: int, work: Callable[[int], Any], stopped: int | None = None, **variables: str
) -> list[Any]:
    """What `work(rank)` gives in each of `count` processes; an exit status where one is killed.

    stopped: a rank that cannot end by itself, and is killed when the others have.
    """
    port = str(free_port())
    with tempfile.TemporaryDirectory() as folder:
        children = []
        for rank in range(count):
            child = os.fork()
            if child == 0:
                os.environ.update(
                    RANK=str(rank), WORLD_SIZE=str(count), LOCAL_RANK=str(rank),
                    LOCAL_WORLD_SIZE=str(count), MASTER_ADDR="127.0.0.1",
                    MASTER_PORT=port, **variables,
                )  # fmt: skip
                try:
                    value = work(rank)
                except BaseException:
                    value = traceback.format_exc()
                Path(folder, f"{rank}").write_bytes(pickle.dumps(value))
                os._exit(0)
            children.append(child)
        statuses = _ended(children, stopped)
        with socket.socket() as probe:  # no one listens any more
            assert probe.connect_ex(("127.0.0.1", int(port))) != 0
        return [
            statuses[rank] or pickle.loads(Path(folder, f"{rank}").read_bytes())
            for rank in range(count)
        ]


def _ended(children: list[int], stopped: int | None) -> list[int]:
    statuses: dict[int, int] = {}
    until = time.monotonic() + LIMIT
    while len(statuses) < len(children):
        if stopped is not None and {*children} - {*statuses} == {children[stopped]}:
            os.kill(children[stopped], signal.SIGKILL)
        for child in set(children) - set(statuses):
            if time.monotonic() > until:
                os.kill(child, signal.SIGKILL)
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                statuses[child] = os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return [statuses[child] for child in children]


def run_ranks(count: int, configs: list[Any], out: Path) -> None:
    """Runs configurations, of different seeds, with so many processes of one start."""
    out.mkdir(parents=True, exist_ok=True)

    def work(rank: int) -> str:
        me = membership()
        assert me is not None

        def lead() -> None:
            for config in configs:
                run_pair(config, out, QUIET)

        run_as_member(me, lambda: configs, lead)
        return "well"

    assert ranks(count, work) == ["well"] * count


def command_ranks(
    count: int,
    arguments: Callable[[int], list[object]],
    before: Callable[[int], None] = lambda rank: None,
    stopped: int | None = None,
    **variables: str,
) -> list[Answer]:
    """`python run_bench.py ARGUMENTS` in each of `count` processes."""

    def work(rank: int) -> Answer:
        before(rank)
        return command(*arguments(rank))

    return ranks(count, work, stopped, **variables)
