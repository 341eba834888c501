"""Finished runs, sent as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from fednlp.errors import UserError
from fednlp.results.files import stands
from fednlp.results.reading import FinishedRun, load_run
from fednlp.trackers.choice import require
from fednlp.trackers.feed import Feed


def send(path: Path, names: Iterable[str]) -> list[str]:
    """Sends a finished run folder to trackers; returns what kept it from any of them, in lines.

    Raises:
        UserError: it is no finished run, or a tracker is not known or not installed.
    """
    wanted = list(names)
    require(wanted)
    if not stands(path / "result.json"):
        raise UserError(str(path), "is no finished run", "a run folder with a result.json")
    problems: list[str] = []
    _send(load_run(path), wanted, problems.append)
    return problems


def catch_up(run: FinishedRun, names: Iterable[str], warn: Callable[[str], None]) -> None:
    """Sends a finished run to those trackers that show neither its end nor a longer run."""
    _send(run, list(names), warn, again=False)


def _send(
    run: FinishedRun, names: list[str], warn: Callable[[str], None], again: bool = True
) -> None:
    with Feed(names, run.path, warn) as feed:
        feed.begin(run.rounds, again)
        feed.finish(run.result)
