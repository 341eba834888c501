"""Digests of run folders that were read before, in one SQLite file inside the site.

The key is a hash of the files' content, so an entry is never out of date: a folder that changed by
one bit has another key. Beside it stand the keys of folders whose files are as they were, and the
scores of runs on draws of their test examples. A cache that cannot be read is made again.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from fednlp.leaderboard.digest import BoardRun
from fednlp.results.files import refuse_link

NAME = ".fednlp-cache.sqlite"
_TABLES = """
CREATE TABLE IF NOT EXISTS digests (key TEXT PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS scores (key TEXT PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS folders (path BLOB PRIMARY KEY, state TEXT NOT NULL, key TEXT NOT NULL);
"""


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
        return self._get("digests", key)

    def put(self, runs: Iterable[BoardRun]) -> None:
        """Adds digests; where the file cannot be written they are not kept, and no harm is done."""
        self._put("digests", ((run.key, run.as_json()) for run in runs))

    def keep(self, keys: Iterable[str]) -> None:
        """Forgets all other digests."""
        self._keep("digests", keys)

    def get_scores(self, key: str) -> dict[str, Any] | None:
        """The scores of a run on draws of its test examples, see `example_pairs`, or None."""
        return self._get("scores", key)

    def put_scores(self, scores: dict[str, dict[str, Any]]) -> None:
        """Adds scores by key, as `put` adds digests."""
        self._put("scores", scores.items())

    def keep_scores(self, keys: Iterable[str]) -> None:
        """Forgets all other scores."""
        self._keep("scores", keys)

    def folders(self) -> dict[str, tuple[str, str]]:
        """Path of a folder -> state of its files, key; see `known_folders`."""
        with suppress(sqlite3.Error, ValueError), self._opened() as database:
            if database is not None:
                rows = database.execute("SELECT path, state, key FROM folders")
                return {os.fsdecode(path): (str(state), str(key)) for path, state, key in rows}
        return {}

    def put_folders(self, folders: dict[str, tuple[str, str]]) -> None:
        """Replaces what `folders` gives."""
        rows = [(os.fsencode(path), *known) for path, known in folders.items()]
        with suppress(sqlite3.Error), self._opened() as database:
            if database is not None:
                with database:
                    database.execute("DELETE FROM folders")
                    database.executemany("INSERT INTO folders VALUES (?, ?, ?)", rows)

    def _get(self, table: str, key: str) -> dict[str, Any] | None:
        with suppress(sqlite3.Error, ValueError, zlib.error), self._opened() as database:
            if database is not None:
                found = f"SELECT content FROM {table} WHERE key = ?"
                row = database.execute(found, (key,)).fetchone()
                return json.loads(zlib.decompress(row[0])) if row else None
        return None

    def _put(self, table: str, entries: Iterable[tuple[str, dict[str, Any]]]) -> None:
        rows = ((key, zlib.compress(json.dumps(data).encode(), 1)) for key, data in entries)
        with suppress(sqlite3.Error), self._opened() as database:
            if database is not None:
                with database:
                    database.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", rows)

    def _keep(self, table: str, keys: Iterable[str]) -> None:
        wanted = set(keys)
        with suppress(sqlite3.Error), self._opened() as database:
            if database is not None:
                with database:
                    known = [row[0] for row in database.execute(f"SELECT key FROM {table}")]
                    gone = [(key,) for key in known if key not in wanted]
                    database.executemany(f"DELETE FROM {table} WHERE key = ?", gone)

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
            database.executescript(_TABLES)
        except sqlite3.DatabaseError:  # another thing than a database, or half of one
            database.close()
            self.path.unlink(missing_ok=True)
            database = sqlite3.connect(self.path, timeout=10)
            database.executescript(_TABLES)
        return database
