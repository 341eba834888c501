"""Archives made to do harm: each is one line that names the entry, and nothing is left behind."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest
from harness import command

from fednlp.errors import UserError
from fednlp.submissions import layout
from fednlp.submissions.read import open_submission

RUN = "topics-tiny-FedAvg-s0-0123456789ab"


def written(path: Path, files, *, about=None, infos=()):
    """A submission of these entries, with a description that fits unless it is given."""
    if about is None:
        facts = {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        }
        runs = sorted({name.partition("/")[0] for name in files})
        about = {"format": 1, "name": "", "note": "", "runs": runs, "files": facts}
    data = about if isinstance(about, bytes) else json.dumps(about).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("submission.json", data)
        for name, content in files.items():
            archive.writestr(name, content)
        for info, content in infos:
            archive.writestr(info, content)
    return path


def refusal(path: Path) -> str:
    """The one line; nothing is unpacked and left."""
    before = set(Path(tempfile.gettempdir()).glob("fednlp-*"))
    with pytest.raises(UserError) as error, open_submission(path):
        pass
    assert set(Path(tempfile.gettempdir()).glob("fednlp-*")) <= before
    line = str(error.value)
    assert line.isprintable() and str(path) in line and len(line) < 600
    assert command("verify", path).one_line() == f"error: {line}"
    return line


FILE = f"{RUN}/config.yaml"


def test_a_plain_one_is_read(tmp_path):
    path = written(tmp_path / "e.zip", {FILE: b"a: 1\n"})
    with open_submission(path) as submission:
        assert [folder.name for folder in submission.folders] == [RUN]
        assert (submission.folders[0] / "config.yaml").read_bytes() == b"a: 1\n"
        problems: list[str] = []
        assert submission.runs(problems) == []
        (line,) = problems
        assert f"{path}: {RUN}" in line and "fednlp-" not in line


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("/etc/passwd", "is an absolute path"),
        ("//host/share", "is an absolute path"),
        ("C:/windows/system.ini", "has a character in its name"),
        ("..\\..\\system.ini", "has a character in its name"),
        (f"../{FILE}", "leads out of the folder"),
        (f"{RUN}/../../config.yaml", "leads out of the folder"),
        (f"{RUN}/lock", "is no file of a run"),
        (f"{RUN}/__init__.py", "is no file of a run"),
        (f"{RUN}/checkpoints/x.pt", "is no file of a run"),
        (f"{RUN}/checkpoints/round-000001.safetensors.py", "is no file of a run"),
        (f"{RUN}/clients/config.yaml", "is no file of a run"),
        (f"{RUN}//config.yaml", "is no file of a run"),
        (f"./{FILE}", "is no file of a run"),
        ("config.yaml", "is no file of a run"),
        ("run/config.yaml", "is no file of a run"),
        (f".{FILE}", "is no file of a run"),
        (f"{'x' * 300}-0123456789ab/config.yaml", "is no file of a run"),
        (f"{RUN}/CONFIG.YAML", "is no file of a run"),
        ("\x1b[2J\n<b>-0123456789ab/config.yaml", "is no file of a run"),
        (f"{RUN}/checkpoints/round-٠٠٠٠٠١.safetensors", "is no file of a run"),
        ("", "is no file of a run"),
    ],
)  # fmt: skip
def test_names_that_no_run_has(name, found, tmp_path):
    path = written(tmp_path / "e.zip", {FILE: b"a"}, infos=[(zipfile.ZipInfo(name), b"x")])
    assert found in refusal(path)
    assert not (tmp_path / "config.yaml").exists()


def test_a_name_that_ends_early(tmp_path):
    """Python reads up to the NUL, other programs do not."""
    name = f"{RUN}/result.jsonXevil"
    path = written(tmp_path / "e.zip", {FILE: b"a"}, infos=[(zipfile.ZipInfo(name), b"x")])
    path.write_bytes(path.read_bytes().replace(b"result.jsonXevil", b"result.json\0evil"))
    assert "has a character in its name" in refusal(path)


@pytest.mark.parametrize(
    ("mode", "found"),
    [
        (stat.S_IFLNK, "is a link"), (stat.S_IFIFO, "is no plain file"),
        (stat.S_IFCHR, "is no plain file"), (stat.S_IFDIR, "is no plain file"),
    ],
)  # fmt: skip
def test_kinds_that_are_no_files(mode, found, tmp_path):
    info = zipfile.ZipInfo(f"{RUN}/result.json")
    info.external_attr = (mode | 0o777) << 16
    path = written(tmp_path / "e.zip", {FILE: b"a"}, infos=[(info, b"/etc/passwd")])
    assert found in refusal(path)


def test_a_directory(tmp_path):
    path = written(tmp_path / "e.zip", {FILE: b"a"}, infos=[(zipfile.ZipInfo(f"{RUN}/"), b"")])
    assert "is no file of a run" in refusal(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_stand_twice(tmp_path):
    path = written(tmp_path / "e.zip", {FILE: b"a"}, infos=[(zipfile.ZipInfo(FILE), b"b")])
    assert "stands in it twice" in refusal(path)
    other = f"{RUN.upper().replace('0123456789AB', '0123456789ab')}/config.yaml"
    path = written(tmp_path / "f.zip", {FILE: b"a", other: b"a"})
    assert "in its case only" in refusal(path)


def test_a_file_that_unpacks_to_much_more(tmp_path):
    path = written(tmp_path / "e.zip", {f"{RUN}/rounds.jsonl": b"0" * 2**26})
    assert path.stat().st_size < 2**18
    line = refusal(path)
    assert "rounds.jsonl" in line and "unpacks to more than 100 times its size" in line


def test_a_file_that_is_too_large(tmp_path):
    path = written(tmp_path / "e.zip", {FILE: os.urandom(2**20 + 1)})
    assert "expected at most 1,048,576" in refusal(path)


def test_too_much_in_all(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "TOTAL", 10**6)
    files = {f"{RUN[:-1]}{n}/clients.csv": os.urandom(3 * 10**5) for n in range(4)}
    assert "unpacks to 1,2" in refusal(written(tmp_path / "e.zip", files))


def test_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "MOST_FILES", 50)
    files = {f"{RUN}/clients/{n:06d}-000001.safetensors": b"" for n in range(60)}
    assert "holds 61 files" in refusal(written(tmp_path / "e.zip", files))
    monkeypatch.setattr(layout, "DIRECTORY_BYTES", 2000)
    assert "its table of contents takes" in refusal(tmp_path / "e.zip")


def test_weights_are_not_compressed(tmp_path):
    path = written(tmp_path / "e.zip", {f"{RUN}/checkpoints/round-000001.safetensors": b"0" * 99})
    assert "expected weights as they are" in refusal(path)


def test_a_size_that_is_a_lie(tmp_path):
    """The table of contents says less than there is, or more."""
    data = os.urandom(5000) + b"0" * 5000
    path = written(tmp_path / "e.zip", {FILE: data})
    whole = path.read_bytes()
    for size in (10, 20_000):
        sized = bytearray(whole)
        entry = whole.rindex(b"PK\1\2")
        sized[entry + 24 : entry + 28] = struct.pack("<I", size)
        path.write_bytes(sized)
        assert "has not the size that submission.json says" in refusal(path)
        about = {"bytes": size, "sha256": hashlib.sha256(data).hexdigest()}
        told = {"format": 1, "runs": [RUN], "files": {FILE: about}}
        path = written(tmp_path / "e.zip", {FILE: data}, about=told)
        sized = bytearray(path.read_bytes())
        entry = bytes(sized).rindex(b"PK\1\2")
        sized[entry + 24 : entry + 28] = struct.pack("<I", size)
        path.write_bytes(sized)
        line = refusal(path)
        assert "not readable as a zip file" in line or "is not the file whose checksum" in line


def test_files_that_share_bytes(tmp_path):
    """Two entries of the table lead to the same compressed bytes."""
    names = [f"{RUN}/result.json", f"{RUN}/rounds.json"]  # of one length
    data = os.urandom(1000)
    path = written(tmp_path / "e.zip", {FILE: b"a", names[0]: data})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        first = archive.getinfo(names[0])
        info = zipfile.ZipInfo(f"{RUN}/clients.csv")
        archive.writestr(info, b"x")
        archive.getinfo(info.filename).header_offset = first.header_offset
    assert "another file of the archive" in refusal(path) or "not readable" in refusal(path)


def test_encrypted_and_unknown_methods(tmp_path):
    path = written(tmp_path / "e.zip", {FILE: b"a" * 100})
    whole = path.read_bytes()
    entry = whole.rindex(b"PK\1\2")
    for place, value, found in ((8, 1, "is encrypted"), (10, 12, "is compressed by method 12")):
        changed = bytearray(whole)
        changed[entry + place] = value
        path.write_bytes(changed)
        assert found in refusal(path)


@pytest.mark.parametrize(
    ("about", "found"),
    [
        (b"", "not readable"), (b"[" * 10**5, "not readable"), (b"[]", "submission.json"),
        (b'{"format": 2}', "is of format 2; expected at most 1; update this program"),
        ({"format": 1, "runs": [], "files": {}}, "runs"),
        ({"format": 1, "runs": [RUN], "files": {}}, "is not named in submission.json"),
        ({"format": 1, "runs": [RUN], "files": {FILE: {"bytes": 1, "sha256": "x"}}}, "sha256"),
        ({"format": 1, "runs": [RUN], "files": {FILE: {"bytes": 1, "sha256": "0" * 64}}},
         "is not the file whose checksum"),
        ({"format": 1, "runs": [RUN], "files": {FILE: {"bytes": 2, "sha256": "0" * 64}}},
         "has not the size"),
        ({"format": 1, "runs": ["other"], "files": {FILE: {"bytes": 1, "sha256": "0" * 64}}},
         "does not name the folders"),
        ({"format": 1, "runs": [RUN], "note": "\u001b[2J", "files": {}}, "cannot be printed"),
        ({"format": 1, "runs": [RUN], "name": "x" * 201, "files": {}}, "name"),
        ({"format": 1, "runs": [RUN], "colour": "red", "files": {}}, "colour"),
        ({"format": 1, "runs": [RUN], "files": {
            FILE: {"bytes": 1, "sha256": "0" * 64},
            f"{RUN}/result.json": {"bytes": 1, "sha256": "0" * 64}}}, "is missing"),
    ],
)  # fmt: skip
def test_descriptions_that_do_not_fit(about, found, tmp_path):
    assert found in refusal(written(tmp_path / "e.zip", {FILE: b"a"}, about=about))


def test_no_description(tmp_path):
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr(FILE, b"a")
    assert "holds no submission.json" in refusal(tmp_path / "e.zip")


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"\0" * 500, b"PK\5\6" + b"\0" * 18, b"PK\5\6" + b"\xff" * 16 + b"\0\0"]
)
def test_no_archive(data, tmp_path):
    (tmp_path / "e.zip").write_bytes(data)
    refusal(tmp_path / "e.zip")


def test_every_cut_is_one_line(tmp_path):
    whole = written(tmp_path / "e.zip", {FILE: b"a" * 50}).read_bytes()
    for size in range(0, len(whole), 7):
        (tmp_path / "cut.zip").write_bytes(whole[:size])
        refusal(tmp_path / "cut.zip")
        (tmp_path / "cut.zip").write_bytes(b"#!/bin/sh\n" + whole)
        assert "is not where it says" in refusal(tmp_path / "cut.zip")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "e.zip")
    with pytest.raises(UserError, match="cannot be read"), open_submission(tmp_path / "e.zip"):
        pass
    assert "no such directory" in command("verify", tmp_path / "e.zip").one_line()


def test_what_a_reader_raises_stays_what_it_is(tmp_path):
    path = written(tmp_path / "e.zip", {FILE: b"a"})
    with pytest.raises(KeyError), open_submission(path):
        raise KeyError("of the caller")
