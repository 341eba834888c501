"""Where runs come from: directories of run folders, from one or from many people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fednlp.errors import UserError
from fednlp.results.files import entries, stands
from tasks.plain_files import kind_of


@contextmanager
def opened(source: Path) -> Iterator[Path]:
    """The directory of run folders that a source is: where archives will be unpacked.

    Raises:
        UserError: it is no directory.
    """
    if kind_of(source) != "directory":
        raise UserError(str(source), "no such directory", "a directory of run folders")
    yield source


def run_folders(directory: Path, problems: list[str]) -> list[Path]:
    """The folders with a result directly in a directory, by name; problems are appended."""
    found = []
    for path in entries(directory):
        try:
            if stands(path / "result.json"):
                found.append(path)
            elif stands(path / "identity.json"):
                problems.append(f"{path}: is not finished; run it again, it continues")
        except UserError as error:
            problems.append(str(error))
    return found


def distinct(sources: Sequence[Path]) -> list[Path]:
    """The sources without those that are given twice, in order."""
    return list({source.resolve(): source for source in sources}.values())
