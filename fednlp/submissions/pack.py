"""Finished run folders and the references they are compared with as one file, byte for byte the
same whoever packs them.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from fednlp.errors import UserError
from fednlp.results import files, own_names
from fednlp.results.manifest import Manifest
from fednlp.submissions import layout
from fednlp.submissions.layout import ABOUT, METHOD, About, Facts
from fednlp.submissions.method_source import is_source_of
from fednlp.verification.evidence import Evidence, find_run, finished_run
from fednlp.verification.records import record_checks
from tasks.plain_files import read_plain

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first day that the format knows
_STORED = (".safetensors", ".npz", ".parquet")  # compressed already, or not worth it


@dataclass
class _Contents:
    """What goes into the archive. data: entry -> bytes. states: entry -> file."""

    data: dict[str, bytes] = field(default_factory=dict)
    states: dict[str, Path] = field(default_factory=dict)
    facts: dict[str, Facts] = field(default_factory=dict)

    def add(self, entry: str, data: bytes) -> None:
        self.data[entry] = data
        self.facts[entry] = Facts(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def pack(
    run_dirs: list[Path], out: Path, *, name: str = "", note: str = "", weights: bool = False
) -> list[str]:
    """Writes a submission; returns the names of the runs in it.

    A federated run brings the references that lie beside it, at least one if it has any.

    Args:
        name: who submits.
        note: what a reader should know: when and how the runs were made, a licence.
        weights: pack the stored weights and client states too.

    Raises:
        UserError: a folder is unfinished, damaged, or no run; or `out` is there already.
    """
    if files.stands(out):
        raise UserError(str(out), "exists already", fix="name another file")
    runs: dict[str, Evidence] = {}
    for path in run_dirs:
        for found in _with_references(path):
            known = runs.setdefault(found.run.result.id, found)
            if known.path.resolve() != found.path.resolve():
                raise UserError(str(found.path), f"is the same run as {known.path}", fix="drop one")
    contents = _Contents()
    folders = [_add(contents, run, weights) for run in runs.values()]
    try:
        facts = dict(sorted(contents.facts.items()))
        about = About(name=name, note=note, runs=sorted(folders), files=facts)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0])
        problem = first["msg"].lower().removeprefix("value error, ")
        raise UserError(f"--{key}", problem, fix="shorten it, on one line") from None
    _write(out, contents, (about.model_dump_json(indent=1) + "\n").encode())
    return sorted(folders)


def _with_references(path: Path) -> Iterator[Evidence]:
    """The run of a folder and those it is compared with, all of them whole."""
    run = _whole(path)
    yield run
    wanted = run.run.result.references
    found = [place for r in wanted if (place := find_run(path.parent, r.id, r.folder)) is not None]
    if wanted and not found:
        missing = f"its centralized reference {wanted[0].folder} is not beside it"
        fix = "move it there, or run the configuration again"
        raise UserError(str(path), missing, "both in one directory", fix)
    yield from map(_whole, found)


def _whole(path: Path) -> Evidence:
    """A finished run, all of whose files agree."""
    run = finished_run(path)
    evidence = Evidence(run)
    for check in record_checks(evidence):
        if check.failed:
            raise UserError(str(path), f"{check.name}: {check.detail}", fix=files.START_AGAIN)
    return evidence


def _add(contents: _Contents, run: Evidence, weights: bool) -> str:
    """Adds the files of a run; returns the name of its folder in the archive."""
    folder = run.path.name
    if not (layout.NAME.fullmatch(folder) and folder.endswith(f"-{run.run.result.id[:12]}")):
        folder = f"run-{run.run.result.id[:12]}"
    for name in (*own_names.FILES, own_names.MANIFEST):
        if files.stands(run.path / name):
            contents.add(f"{folder}/{name}", _read(run.path / name))
    source = method_file(run)
    if source is not None:
        contents.add(f"{folder}/{METHOD}", source)
    if weights:
        _add_states(contents, run.path, folder, run.manifest)
    return folder


def method_file(run: Evidence) -> bytes | None:
    """The source of a third party's method; None for a published one or a centralized run.

    Raises:
        UserError: the file is no longer the one that the run was made with.
    """
    if not run.third_party:
        return None
    place = run.path / METHOD
    if not files.stands(place):
        place = Path(run.config.algorithm.name.rpartition(":")[0])
    data = _read(place)
    if not is_source_of(data, str(run.content.get("algorithm_source"))):
        found = f"is not the method that {run.path.name} was made with"
        raise UserError(str(place), found, fix="restore the file")
    return data


def _add_states(contents: _Contents, path: Path, folder: str, manifest: Manifest) -> None:
    for name in sorted(manifest.referenced()):
        place, entry = path / name, f"{folder}/{name}"
        try:
            size = os.stat(place).st_size
        except OSError as error:
            raise files.not_read(place, error) from None
        contents.states[entry] = place
        contents.facts[entry] = Facts(bytes=size, sha256=manifest.sha256[name])


def _read(path: Path) -> bytes:
    try:
        return read_plain(path)
    except OSError as error:
        raise files.not_read(path, error) from None


def _write(out: Path, contents: _Contents, about: bytes) -> None:
    """Writes to a temporary name and renames."""
    temporary = out.with_name(f".{out.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with zipfile.ZipFile(temporary, "x") as archive:
            for entry in sorted([ABOUT, *contents.facts]):
                if entry in contents.states:
                    _copy(archive, entry, contents.states[entry], contents.facts[entry])
                else:
                    archive.writestr(_info(entry), contents.data.get(entry, about))
        os.replace(temporary, out)
    except OSError as error:
        raise files.not_written(out, error) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _info(entry: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(entry, _EPOCH)
    info.create_system, info.external_attr = 3, 0o100644 << 16  # wherever it is packed
    stored = entry.endswith(_STORED)
    info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    return info


def _copy(archive: zipfile.ZipFile, entry: str, source: Path, facts: Facts) -> None:
    info, digest = _info(entry), hashlib.sha256()
    info.file_size = facts.bytes  # which tells the archive how much room its sizes need
    with open(source, "rb") as stream, archive.open(info, "w") as target:
        while chunk := stream.read(2**20):
            digest.update(chunk)
            target.write(chunk)
    if digest.hexdigest() != facts.sha256:
        found = "its checksum is not the recorded one"
        raise UserError(str(source), found, fix=files.START_AGAIN)
