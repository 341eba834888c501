"""All runs of all sources, through the cache; whatever is not one is named and skipped."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fednlp.errors import UserError, one_line
from fednlp.leaderboard import digest
from fednlp.leaderboard.cache import Cache
from fednlp.leaderboard.conflicts import Conflict, settle
from fednlp.leaderboard.digest import BoardRun, folder_key, read_digest
from fednlp.leaderboard.sources import distinct, opened, run_folders

FEW = 64  # folders that are read faster than processes start
CHUNK = 16  # folders that a process reads at once

Task = tuple[Path, str, str]  # folder, source, key


@dataclass
class Collection:
    """runs: one per id. problems: a line each. read: folders that were not in the cache."""

    runs: list[BoardRun]
    conflicts: list[Conflict]
    problems: list[str] = field(default_factory=list)
    read: int = 0


def collect(sources: Sequence[Path], cache: Cache) -> Collection:
    """Reads the run folders in all sources.

    Raises:
        UserError: a source cannot be opened.
    """
    problems: list[str] = []
    found: list[BoardRun] = []
    missing: list[Task] = []
    with ExitStack() as stack:
        for source in distinct(sources):
            directory = stack.enter_context(opened(source))
            for path in run_folders(directory, problems):
                try:
                    key = folder_key(path)
                    run = _known(cache, path, str(source), key)
                    if run is None:
                        missing.append((path, str(source), key))
                    else:
                        found.append(run)
                except (UserError, OSError) as error:
                    problems.append(one_line(error) or str(error))
        new = []
        for outcome in _read_all(missing):
            if isinstance(outcome, str):
                problems.append(outcome)
            else:
                new.append(outcome)
    cache.put(new)
    runs, conflicts = settle(sorted(found + new, key=lambda run: str(run.path)))
    cache.keep(run.key for run in found + new)
    return Collection(runs, conflicts, problems, len(missing))


def _read_all(tasks: list[Task]) -> Iterable[BoardRun | str]:
    processes = min(os.cpu_count() or 1, len(tasks) // FEW)
    if processes < 2:
        yield from map(_read, tasks)
        return
    with ProcessPoolExecutor(processes, _context()) as pool:
        yield from pool.map(_read, tasks, chunksize=CHUNK)


def _context() -> Any:
    """Of `multiprocessing`: where there is one, a server that imports once and forks."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([digest.__name__])
    return context


def _known(cache: Cache, path: Path, source: str, key: str) -> BoardRun | None:
    data = cache.get(key)
    if data is None:
        return None
    try:
        return BoardRun.from_json(data, path, source, key)
    except (ValueError, LookupError, TypeError):  # another thing than we wrote
        return None


def _read(task: Task) -> BoardRun | str:
    """The digest of a folder, or the line that says why there is none."""
    try:
        return read_digest(*task)
    except (ValueError, OSError) as error:
        line = one_line(error)
        if line is None:
            raise
        return line
