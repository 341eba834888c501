"""The files of a site: written one by one under temporary names, and nowhere but in their folder.

A marker says that a folder is ours and which files we made in it; only these are removed.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fednlp.errors import UserError
from fednlp.results.files import not_written, read_json, refuse_link, stands
from tasks.plain_files import kind_of

MARKER = ".fednlp-leaderboard.json"
# names that we give: nothing else is removed, whatever a marker says
_OURS = re.compile(
    r"index\.html|(assets|benchmark|data|run)/[\w-]+\.(html|css|js|csv|json|tex|md|yaml)"
)


class Site:
    """A folder that pages are written into.

    Raises:
        UserError: the folder is not empty and not ours, is a link, or cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = self.kept = 0
        self._files: dict[str, str] = {}  # name -> hash of what it was made from, if that is known
        refuse_link(folder, "a directory for the site")
        if kind_of(folder) not in ("nothing", "directory"):
            raise UserError(f"--out {folder}", "is no directory", fix="choose another")
        self._before = self._claim()

    def _claim(self) -> dict[str, str]:
        """The files of an earlier site here."""
        marker = self.folder / MARKER
        if stands(marker):
            refuse_link(marker, "the marker of a site")
            return _listed(marker)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            empty = not any(self.folder.iterdir())
        except OSError as error:
            raise not_written(self.folder, error) from None
        if not empty:
            found = f"is not empty and holds no {MARKER}, so it is not a site of ours"
            raise UserError(f"--out {self.folder}", found, fix="choose another folder, or empty it")
        self._mark({})
        return {}

    def write(self, name: str, content: str) -> None:
        """Writes a file; name: relative, with `/`, made by us.

        Raises:
            UserError: the system refuses, or a link or a directory stands in the way.
        """
        data, path = content.encode("utf-8", errors="replace"), self._path(name)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
        try:
            path.parent.mkdir(exist_ok=True)
            refuse_link(path.parent, "a directory of the site")
            with open(temporary, "xb") as stream:
                stream.write(data)
            os.replace(temporary, path)  # takes the place of a link, follows none
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise not_written(path, error) from None
        self._files[name] = ""
        self.written += 1

    def write_once(self, name: str, needed: str, make: Callable[[], str]) -> None:
        """Writes a file unless it stands there, made from the same; needed: hash of that."""
        path = self._path(name)
        if self._before.get(name) == needed and not path.parent.is_symlink() and path.is_file():
            self.kept += 1
        else:
            self.write(name, make())
        self._files[name] = needed

    def finish(self) -> int:
        """Removes the files of the site before that were not made again; returns how many."""
        gone = [name for name in self._before if name not in self._files]
        for name in gone:
            path = self._path(name)
            if os.path.islink(path.parent):
                continue
            with suppress(OSError):
                path.unlink()
        self._mark(dict(sorted(self._files.items())))
        return len(gone)

    def discard(self, *names: str) -> None:
        """Leaves a folder that was empty as it was; names: of what others have put there."""
        if not self._before:
            with suppress(OSError):
                for name in (*names, MARKER):
                    (self.folder / name).unlink(missing_ok=True)
                self.folder.rmdir()

    def _mark(self, names: dict[str, str]) -> None:
        text = json.dumps({"made_by": "fednlp leaderboard", "files": names}, indent=1)
        path = self.folder / MARKER
        temporary = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
        try:
            with open(temporary, "x", encoding="utf-8") as stream:
                stream.write(text + "\n")
            os.replace(temporary, path)
        except OSError as error:
            raise not_written(path, error) from None

    def _path(self, name: str) -> Path:
        assert _OURS.fullmatch(name), name
        return self.folder.joinpath(*name.split("/"))


def _listed(marker: Path) -> dict[str, str]:
    """The names in a marker with their hashes; what is not a name that we give is left alone."""
    data = read_json(marker)
    names = data.get("files") if isinstance(data, dict) else None
    if not isinstance(names, dict):
        raise UserError(str(marker), "does not list the files of a site", fix="empty the folder")
    return {name: str(made) for name, made in names.items() if _OURS.fullmatch(name)}
