"""A note beside a tracker's store: how long a run of a trajectory it shows, and if to its end.

It keeps a shorter run from taking the place of a longer one, and two processes from writing to one.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from fednlp.errors import UserError
from fednlp.results import files
from fednlp.results.own_names import no_link


class Ledger:
    """`<directory>/<tracker>/<key>.json`, held by one process at a time.

    Attributes:
        rounds: planned rounds of the run that is shown; 0 if there is none.
        finished: whether its result has been sent.
    """

    def __init__(self, directory: Path, tracker: str, key: str) -> None:
        self.path = directory / tracker / f"{key}.json"
        self._lock: int | None = None
        self._read()

    def hold(self) -> None:
        """Raises UserError where another process holds it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = no_link(str(self.path.with_suffix(".lock")), os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise UserError(str(self.path), "another process sends this run") from None
        self._lock = lock
        self._read()

    def shows(self, rounds: int) -> bool:
        """Whether a run of so many rounds is shown to its end, or a longer one."""
        return self.rounds > rounds or (self.rounds == rounds and self.finished)

    def write(self, rounds: int, finished: bool) -> None:
        self.rounds, self.finished = rounds, finished
        files.write_json(self.path, {"rounds": rounds, "finished": finished})

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _read(self) -> None:
        self.rounds, self.finished = 0, False
        try:
            note: Any = files.read_json(self.path)
            self.rounds, self.finished = int(note["rounds"]), note["finished"] is True
        except (UserError, LookupError, TypeError, ValueError):
            return  # none, or damaged: the tracker's run is made anew
