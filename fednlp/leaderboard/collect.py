"""All runs of all sources, through the cache; whatever is not one is named and skipped."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fednlp.errors import UserError, one_line
from fednlp.leaderboard import digest
from fednlp.leaderboard.cache import Cache
from fednlp.leaderboard.conflicts import Settled, settle
from fednlp.leaderboard.digest import BoardRun, folder_key, read_digest
from fednlp.leaderboard.known_folders import KnownFolders
from fednlp.leaderboard.sources import Opened, opened, places

FEW = 64  # folders that are read faster than processes start
CHUNK = 16  # folders that a process reads at once


@dataclass(frozen=True)
class Task:
    """A folder to be read. path: by which it is told. source: the place that it is in."""

    folder: Path
    path: Path
    source: str
    key: str


@dataclass
class Collection:
    """problems: a line each. read: folders that were not in the cache."""

    settled: Settled
    problems: list[str] = field(default_factory=list)
    read: int = 0


def collect(sources: Sequence[Path], cache: Cache) -> Collection:
    """Reads the run folders in all sources; of a run in several the first is that of its line."""
    problems: list[str] = []
    found: list[BoardRun] = []
    read, known = 0, KnownFolders(cache)
    with _Reader() as reader:
        for source in sources:
            for place in places(source, problems):
                try:
                    with opened(place) as inside:
                        runs, missing = _known(cache, known, inside, problems)
                        new = list(_read(reader, missing, inside, problems))
                except (UserError, OSError) as error:
                    problems.append(one_line(error) or str(error))
                    continue
                cache.put(new)
                read += len(missing)
                here = sorted(runs + new, key=lambda run: str(run.path))
                found += [replace(run, submission_note=inside.note) for run in here]
    cache.keep(run.key for run in found)
    known.keep()
    return Collection(settle(found), problems, read)


def _known(
    cache: Cache, folders: KnownFolders, inside: Opened, problems: list[str]
) -> tuple[list[BoardRun], list[Task]]:
    """The runs of a place that the cache has, and the folders that it has not."""
    known, missing = [], []
    for folder, path in inside.folders:
        try:
            # what was unpacked just now is never the same file again
            key = folders.key(folder) if folder == path else folder_key(folder)
            run = _cached(cache, path, inside.source, key)
            if run is None:
                missing.append(Task(folder, path, inside.source, key))
            else:
                known.append(run)
        except (UserError, OSError) as error:
            problems.append(inside.told(one_line(error) or error))
    return known, missing


def _cached(cache: Cache, path: Path, source: str, key: str) -> BoardRun | None:
    data = cache.get(key)
    if data is None:
        return None
    try:
        return BoardRun.from_json(data, path, source, key)
    except (ValueError, LookupError, TypeError, AttributeError):  # another thing than we wrote
        return None


def _read(
    reader: _Reader, missing: list[Task], inside: Opened, problems: list[str]
) -> Iterator[BoardRun]:
    for outcome in reader.read(missing):
        if isinstance(outcome, str):
            problems.append(inside.told(outcome))
        else:
            yield outcome


class _Reader:
    """Reads folders in this process, or where they are many in others, which it starts once."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, tasks: list[Task]) -> Iterable[BoardRun | str]:
        processes = os.cpu_count() or 1
        if len(tasks) < 2 * FEW or processes < 2:
            return map(_digest, tasks)
        if self._pool is None:
            pool = ProcessPoolExecutor(min(processes, len(tasks) // FEW), _context())
            self._pool = self._stack.enter_context(pool)
        return self._pool.map(_digest, tasks, chunksize=CHUNK)


def _context() -> Any:
    """Of `multiprocessing`: where there is one, a server that imports once and forks."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([digest.__name__])
    return context


def _digest(task: Task) -> BoardRun | str:
    """The digest of a folder, or the line that says why there is none."""
    try:
        return read_digest(task.folder, task.path, task.source, task.key)
    except Exception as error:  # the files of a run may hold anything
        found = f"cannot be read ({type(error).__name__}: {error})"
        return one_line(error) or f"{task.folder}: {found}"
