"""Where runs come from: run folders, directories of them, submissions; of one or of many people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fednlp.errors import UserError
from fednlp.leaderboard.site import MARKER
from fednlp.results.escaping import shown
from fednlp.results.files import entries, stands
from fednlp.submissions.read import open_submission
from tasks.plain_files import kind_of

ENTRY = ".zip"  # a submission in a directory; one that is named itself may be called anything
TRIALS = "tuning"  # beside final runs: those of a search for settings, which are in no table


@dataclass(frozen=True)
class Opened:
    """Run folders that can be read now.

    folders: each with the path by which it is told. told: a line about a folder as one about that.
    note: what the submitter says of a submission.
    """

    source: str  # where they are, and for a submission who says to have made it
    folders: Sequence[tuple[Path, Path]]
    told: Callable[[object], str] = str
    note: str = ""


def places(source: Path, problems: list[str]) -> Iterator[Path]:
    """The directories of run folders and the submissions at or below a source, by name.

    What is unfinished or cannot be read is appended to the problems. Links to directories are not
    followed, but one to a run folder is one.
    """
    if kind_of(source) == "file" or _is_run(source, problems):
        yield source
        return
    waiting = [source]
    while waiting:
        directory = waiting.pop()
        try:
            inside = entries(directory)
        except UserError as error:
            problems.append(str(error))
            continue
        waiting += [path for path in reversed(inside) if _is_tree(path, problems)]
        yield directory
        yield from (path for path in inside if path.suffix == ENTRY and path.is_file())


@contextmanager
def opened(place: Path) -> Iterator[Opened]:
    """The run folders of one of the `places`; those of a submission are gone afterwards.

    Raises:
        UserError: it is a submission that is damaged or may not be unpacked.
    """
    if kind_of(place) == "file":
        with open_submission(place, weights=False) as submission:
            folders = [(path, place / path.name) for path in submission.folders]
            by = f" by {shown(submission.about.name, 60)}" if submission.about.name else ""
            yield Opened(f"{place}{by}", folders, submission.told, submission.about.note)
        return
    alone = stands(place / "result.json")
    found = [place] if alone else [p for p in entries(place) if _has(p, "result.json")]
    yield Opened(str(place), [(path, path) for path in found])


@contextmanager
def unpacked(place: Path) -> Iterator[dict[Path, Path]]:
    """Where the run folders of a submission lie, by the paths by which they are told.

    Those of a directory lie where they are told to. Raises: see `opened`.
    """
    if kind_of(place) != "file":
        yield {}
        return
    with open_submission(place, weights=False) as submission:
        yield {place / path.name: path for path in submission.folders}


def distinct(sources: Sequence[Path]) -> list[Path]:
    """The sources without those that are given twice, in order.

    Raises:
        UserError: nothing is where one should be.
    """
    for source in sources:
        if kind_of(source) not in ("directory", "file"):
            expected = "a run folder, a directory of run folders, or a submission"
            raise UserError(str(source), "no such directory or file", expected, "check the path")
    return list({source.resolve(): source for source in sources}.values())


def _is_run(path: Path, problems: list[str]) -> bool:
    """Whether it is a run folder, and if it is an unfinished one says so."""
    try:
        if stands(path / "result.json"):
            return True
        if stands(path / "identity.json"):
            problems.append(f"{path}: is not finished; run it again, it continues")
            return True
    except UserError as error:
        problems.append(str(error))
    return False


def _is_tree(path: Path, problems: list[str]) -> bool:
    """Whether there may be run folders below it: it is no run folder and no site of ours."""
    if path.suffix == ENTRY or _is_run(path, problems) or path.name == TRIALS:
        return False
    try:
        return path.is_dir() and not path.is_symlink() and not stands(path / MARKER)
    except (UserError, OSError) as error:
        problems.append(str(error))
        return False


def _has(folder: Path, name: str) -> bool:
    try:
        return stands(folder / name)
    except UserError:  # which `places` told
        return False
