"""Digests of run folders that were read before, in one SQLite file inside the site.

The key is a hash of the files' content, so an entry is never out of date: a folder that changed by
one bit has another key. A cache that cannot be read is made again.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from fednlp.leaderboard.digest import BoardRun
from fednlp.results.files import refuse_link

NAME = ".fednlp-cache.sqlite"
_TABLE = "CREATE TABLE IF NOT EXISTS digests (key TEXT PRIMARY KEY, content BLOB NOT NULL)"


class Cache:
    """Digests by key.

    path: the file; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        if path is not None:
            refuse_link(path, "the cache of the site")

    def get(self, key: str) -> dict[str, Any] | None:
        """The plain data of a digest, see `BoardRun.as_json`; None if it is not there."""
        with suppress(sqlite3.Error, ValueError, zlib.error), self._opened() as database:
            if database is not None:
                row = database.execute(
                    "SELECT content FROM digests WHERE key = ?", (key,)
                ).fetchone()
                return json.loads(zlib.decompress(row[0])) if row else None
        return None

    def put(self, runs: Iterable[BoardRun]) -> None:
        """Adds digests; where the file cannot be written they are not kept, and no harm is done."""
        rows = ((run.key, zlib.compress(json.dumps(run.as_json()).encode(), 1)) for run in runs)
        with suppress(sqlite3.Error), self._opened() as database:
            if database is not None:
                with database:
                    database.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?)", rows)

    def keep(self, keys: Iterable[str]) -> None:
        """Forgets all others."""
        wanted = set(keys)
        with suppress(sqlite3.Error), self._opened() as database:
            if database is not None:
                with database:
                    known = [row[0] for row in database.execute("SELECT key FROM digests")]
                    gone = [(key,) for key in known if key not in wanted]
                    database.executemany("DELETE FROM digests WHERE key = ?", gone)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection | None]:
        if self.path is None or not self.path.parent.is_dir():
            yield None
            return
        with closing(self._connect()) as database:
            yield database

    def _connect(self) -> sqlite3.Connection:
        assert self.path is not None
        database = sqlite3.connect(self.path, timeout=10)
        try:
            database.execute(_TABLE)
        except sqlite3.DatabaseError:  # another thing than a database, or half of one
            database.close()
            self.path.unlink(missing_ok=True)
            database = sqlite3.connect(self.path, timeout=10)
            database.execute(_TABLE)
        return database
