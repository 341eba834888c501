"""The command `run` in one of several processes: rank 0 runs it, the others follow."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

import typer

from fednlp.config_schema import RunConfig
from fednlp.engines.torchrun import current
from fednlp.engines.torchrun.follower import follow
from fednlp.engines.torchrun.group import Group
from fednlp.engines.torchrun.membership import Membership
from fednlp.errors import ProcessLost, UserError
from fednlp.processes import share_machine

_FAILED = 2
_TERMINATED = 143  # by SIGTERM


def run_as_member(
    me: Membership,
    read: Callable[[], Sequence[RunConfig]],
    lead: Callable[[], None],
) -> None:
    """read: gives the configurations, or raises what is wrong with them. lead: runs them all.

    Raises:
        UserError: of rank 0; of another only if rank 0 cannot tell it.
        typer.Exit: a process that follows ends as rank 0 does.
    """
    share_machine(me.local_size)
    group = Group(me)
    try:
        if me.leads:
            _lead(group, read, lead)
        else:
            _follow(group, read)
    except KeyboardInterrupt:
        group.post.leave()
        lost = group.post.lost()
        if lost and group.post.tells_of(lost):
            raise group.post.pulse.lost(lost, group.post.doing) from None
        if me.leads:
            raise
        sys.exit(_TERMINATED)
    except BaseException:
        group.post.leave()
        raise
    group.close()


def _lead(group: Group, read: Callable[[], Sequence[RunConfig]], lead: Callable[[], None]) -> None:
    try:
        configs = read()
        for config in configs:
            _check(config, group.me)
        _settle(group, configs)
        with current.serving(group):
            lead()
    except Exception:
        group.post.end(failed=True)
        raise
    group.post.end(failed=False)


def _follow(group: Group, read: Callable[[], Sequence[RunConfig]]) -> None:
    from fednlp.engines import preloaded  # noqa: F401  while rank 0 reads the data

    configs: Sequence[RunConfig] = []
    problem: Exception | None = None
    try:
        configs = read()
        _settle(group, configs)
    except (ValueError, OSError) as error:
        problem = error
    try:
        if not follow(group, configs, problem):
            raise typer.Exit(_FAILED)
    except ProcessLost as error:
        if group.post.tells_of(group.post.lost()):
            raise
        raise typer.Exit(_FAILED) from error


def _settle(group: Group, configs: Sequence[RunConfig]) -> None:
    """What the configurations say of the processes."""
    pulse, me = group.post.pulse, group.me
    with suppress(ValueError):
        group.post.allow(max(config.engine.timeout for config in configs))
    again = all(config.engine.on_worker_loss == "continue" for config in configs)
    if again and me.restarts < me.most_restarts:
        pulse.then = f"torchrun starts all again ({me.restarts + 1} of {me.most_restarts} times)"


def _check(config: RunConfig, me: Membership) -> None:
    engine = config.engine
    if engine.name != "torchrun":
        found = f"'{engine.name}', of which {me.size} processes were started"
        raise UserError("engine.name", found, "torchrun", "engine.name=torchrun, or one process")
    if engine.on_worker_loss == "continue" and not me.most_restarts:
        found = "'continue', but nothing would start the processes again"
        raise UserError("engine.on_worker_loss", found, fix="torchrun --max-restarts 3, or 'stop'")
    if engine.on_worker_loss == "stop" and me.restarts:
        found = f"'stop', and torchrun has started all again ({me.restarts} of {me.most_restarts})"
        fix = "on_worker_loss: continue, or the same command without --max-restarts"
        raise UserError("engine.on_worker_loss", found, fix=fix)
