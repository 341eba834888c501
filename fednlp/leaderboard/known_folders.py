"""Keys of run folders whose files are as they were when they were hashed: not hashed again.

A write moves a file's ctime, which no program can set. A write within one tick of the clock may not
move it, so files that changed shortly before they were hashed are hashed again (as git does with
its index, "racy git").
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from time import time_ns

from fednlp.leaderboard.cache import Cache
from fednlp.leaderboard.digest import FILES, VERSION, folder_key

SETTLED = 3 * 10**9  # nanoseconds without a change; the coarsest ticks of file systems are 2 s


@dataclass(frozen=True)
class _State:
    """told: what the system says of the files. newest: the last of their times, in ns."""

    told: str
    newest: int


class KnownFolders:
    """The keys of folders by their paths; those asked for are what the cache has afterwards."""

    def __init__(self, cache: Cache) -> None:
        self._cache, self._before = cache, cache.folders()
        self._now: dict[str, tuple[str, str]] = {}

    def key(self, folder: Path) -> str:
        """See `folder_key`.

        Raises:
            UserError: a file cannot be read or is too large.
        """
        path, state = os.path.abspath(folder), _state(folder)
        known = self._before.get(path)
        if known is not None and state is not None and known[0] == state.told:
            self._now[path] = known
            return known[1]
        begun = time_ns()
        key = folder_key(folder)
        if state is not None and state.newest < begun - SETTLED and _state(folder) == state:
            self._now[path] = state.told, key
        return key

    def keep(self) -> None:
        """Forgets all folders that were not asked for."""
        if self._now != self._before:
            self._cache.put_folders(self._now)


def _state(folder: Path) -> _State | None:
    """Of all files that a key is made from; None where the system does not tell."""
    parts, newest = [f"{VERSION}"], 0
    for name in FILES:
        try:
            found = os.stat(folder / name)
        except FileNotFoundError:
            parts.append("none")
            continue
        except OSError:
            return None
        times = found.st_mtime_ns, found.st_ctime_ns
        newest = max(newest, *times)
        parts.append(f"{found.st_dev} {found.st_ino} {found.st_size} {times[0]} {times[1]}")
    return _State("\n".join(parts), newest)
