"""A submission unpacked into a folder that is gone afterwards; nothing in it is run or imported."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from fednlp.errors import UserError
from fednlp.results.files import not_written, parse_json
from fednlp.results.reading import FinishedRun, load_run
from fednlp.shown import shown
from fednlp.submissions import layout
from fednlp.submissions.archive import BROKEN, LEAVE, broken, opened, refused
from fednlp.submissions.layout import ABOUT, About, Facts

_CHUNK = 2**20  # bytes


@dataclass(frozen=True)
class Submission:
    """An unpacked submission: where it came from, what it says of itself, its run folders."""

    source: Path
    about: About
    folders: tuple[Path, ...]

    def runs(self, problems: list[str]) -> list[FinishedRun]:
        """Its finished runs; what is wrong with the others is appended as lines."""
        found = []
        for folder in self.folders:
            try:
                found.append(load_run(folder))
            except UserError as error:
                problems.append(self.told(error))
        return found

    def told(self, error: object) -> str:
        """A line about an unpacked file as one about the submission."""
        text = str(error)
        for folder in self.folders:
            text = text.replace(str(folder), f"{self.source}: {folder.name}")
        return text


@contextmanager
def open_submission(path: Path, *, weights: bool = True) -> Iterator[Submission]:
    """Unpacks what `submit` packed, after everything in it was checked.

    Its files are there within the `with` block only.

    Args:
        weights: unpack stored weights and client states too.

    Raises:
        UserError: it is no such file, is damaged, or holds what no run folder holds.
    """
    with opened(path) as (archive, entries), tempfile.TemporaryDirectory(prefix="fednlp-") as place:
        about = _about(path, archive, entries)
        for entry in entries:
            if entry.filename != ABOUT and (weights or not layout.is_state(entry.filename)):
                target = Path(place, *entry.filename.split("/"))
                _unpack(path, archive, entry, target, about.files[entry.filename])
        folders = tuple(Path(place, name) for name in about.runs)
        submission = Submission(path, about, folders)
        yield submission


def _about(path: Path, archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> About:
    """The description, which names every other entry with its size, and no more."""
    names = {entry.filename: entry for entry in entries}
    if ABOUT not in names:
        raise UserError(str(path), f"holds no {ABOUT}", "a submission", "pack it by `submit`")
    try:
        data = parse_json(archive.read(names[ABOUT]))
        form = data.get("format") if isinstance(data, dict) else None
        if isinstance(form, int) and form > layout.FORMAT:
            found = f"is of format {form}"
            raise UserError(str(path), found, f"at most {layout.FORMAT}", "update this program")
        about = About.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = shown(".".join(str(part) for part in first["loc"]), 80)
        raise UserError(f"{path}: {ABOUT}: {key}", first["msg"].lower(), fix=LEAVE) from None
    except UserError:
        raise
    except BROKEN as error:
        raise UserError(f"{path}: {ABOUT}", f"not readable ({shown(error)})", fix=LEAVE) from None
    for name in sorted(set(about.files) ^ (set(names) - {ABOUT})):
        missing = name not in names
        raise refused(path, name, "is missing" if missing else f"is not named in {ABOUT}")
    for name, facts in about.files.items():
        if facts.bytes != names[name].file_size:
            raise refused(path, name, f"has not the size that {ABOUT} says")
    if sorted({name.partition("/")[0] for name in about.files}) != sorted(about.runs):
        found = "does not name the folders that are there"
        raise UserError(f"{path}: {ABOUT}: runs", found, fix=LEAVE)
    return about


def _unpack(
    path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, facts: Facts
) -> None:
    digest, size = hashlib.sha256(), 0
    try:
        os.makedirs(target.parent, exist_ok=True)
        with open(target, "xb") as stream:
            for chunk in _chunks(path, archive, entry):
                size += len(chunk)
                if size > entry.file_size:
                    break
                digest.update(chunk)
                stream.write(chunk)
    except OSError as error:
        raise not_written(target, error) from None
    if size != entry.file_size or digest.hexdigest() != facts.sha256:
        raise refused(path, entry.filename, f"is not the file whose checksum {ABOUT} has")


def _chunks(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(entry) as source:
            while chunk := source.read(_CHUNK):
                yield chunk
    except BROKEN as error:
        raise broken(path, error) from None
