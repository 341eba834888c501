"""A submission holds what a stranger needs to check a run, the same bytes whoever packs it."""

from __future__ import annotations

import ast
import json
import shutil
import zipfile
from pathlib import Path

import pytest
import yaml
from fuzzing import times
from harness import command, run_both
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from run_tampering import (
    centralized_folder,
    copied_runs,
    edit,
    federated_folder,
    not_possible,
    renew,
)

import fednlp
from fednlp.errors import UserError
from fednlp.results.gap import gaps
from fednlp.results.reading import load_runs
from fednlp.submissions.pack import pack
from fednlp.submissions.read import open_submission
from fednlp.verification.conflicts import conflicts
from fednlp.verification.verify import verify

KEPT = {"rounds": 3, "checkpoint.keep_every": 1, "evaluation.min_client_examples": 5}


@pytest.fixture(scope="module")
def made(small_config, tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    run_both(small_config(KEPT), out)
    return out


@pytest.fixture(scope="module")
def packed(made, tmp_path_factory):
    out = tmp_path_factory.mktemp("packed") / "entry.zip"
    pack([federated_folder(made)], out)
    return out


def test_what_is_packed_is_read_back(made, tmp_path):
    out, folder = tmp_path / "entry.zip", federated_folder(made)
    packed = pack([folder], out, name="A. Stranger", note="CC BY 4.0, made in May")
    assert packed == sorted(path.name for path in made.iterdir())  # the reference too
    with open_submission(out) as submission:
        assert submission.about.name == "A. Stranger" and "May" in submission.about.note
        problems: list[str] = []
        runs = submission.runs(problems)
        assert not problems
        for path in submission.folders:
            for file in (p for p in path.rglob("*") if p.is_file()):
                original = made / path.name / file.relative_to(path)
                assert file.read_bytes() == original.read_bytes()
            assert not list(path.rglob("*.safetensors"))
        (ours,), (theirs,) = gaps(load_runs(made)), gaps(runs)
        assert theirs.gap == ours.gap and not problems
        place = submission.folders[0]
    assert not place.exists()
    with zipfile.ZipFile(out) as archive:
        about = json.loads(archive.read("submission.json"))
        names = archive.namelist()
        assert names == sorted(names) and set(about["files"]) == set(names) - {"submission.json"}


def test_the_bytes_are_the_same(made, tmp_path):
    both = sorted(made.iterdir())
    pack(both, tmp_path / "a.zip", weights=True)
    shutil.copytree(made, tmp_path / "elsewhere")
    pack(sorted((tmp_path / "elsewhere").iterdir(), reverse=True), tmp_path / "b.zip", weights=True)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize("weights", [False, True])
def test_a_submission_is_verified(weights, made, tmp_path):
    out = tmp_path / "entry.zip"
    pack([federated_folder(made)], out, weights=weights)
    reports = list(verify(out))
    assert [report.verdict for report in reports] == ["verified", "verified"]
    missing = {"stored weights"}
    assert all(set(not_possible(r)) == (set() if weights else missing) for r in reports)
    answer = command("verify", out, "--rounds", 1, "--seed", 0)
    # without weights a replay of the last round begins at the initial weights and proves all
    assert (answer.code == 1) == (": scores not verified" in answer.out)
    assert not weights or answer.code == 1


def test_the_method_travels_with_its_runs(small_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    method, config, out = tmp_path / "mine.py", tmp_path / "c.yaml", tmp_path / "runs"
    method.write_text("from algorithms import FedProx\n\n\nclass Mine(FedProx):\n    pass\n")
    config.write_text(yaml.safe_dump(small_data(KEPT, algorithm={"name": f"{method}:Mine"})))
    assert command("run", config, "--out", out).code == 0
    folder = federated_folder(out)
    assert command("submit", folder, "--out", "entry.zip").code == 0
    source = method.read_text()
    method.write_text(source.replace("pass", "weight = 5"))
    line = command("submit", folder, "--out", "b.zip").one_line()
    assert "mine.py: is not the method that" in line
    method.write_text("raise SystemExit('executed')\n")
    reports = {r.folder: r for r in verify(Path("entry.zip"), 3, 0, trust_code=True)}
    assert reports[folder.name].verdict == "verified"
    reports = {r.folder: r for r in verify(Path("entry.zip"), 1, 0)}
    assert reports[folder.name].verdict == "not verified"
    with open_submission(Path("entry.zip")) as submission:
        (packed,) = [f / "method.py" for f in submission.folders if (f / "method.py").exists()]
        assert packed.read_text() == source


def test_what_is_not_whole_is_refused(made, tmp_path):
    folder = copied_runs(made, tmp_path / "runs")

    def line(*more):
        return command("submit", folder, "--out", tmp_path / "entry.zip", *more).one_line()

    result = (folder / "result.json").read_bytes()
    (folder / "result.json").unlink()
    assert "holds no finished run" in line()
    (folder / "result.json").write_bytes(result[:-9])
    assert "not readable as JSON" in line()
    (folder / "result.json").write_bytes(result)
    edit(folder / "result.json", lambda r: r["selected"]["test"].update(accuracy=1.0))
    renew(folder)
    assert "test scores: selected.test.accuracy is 1" in line()
    (folder / "result.json").write_bytes(result)
    (folder / "clients.csv").write_text("a\n")
    assert "clients.csv" in line()
    shutil.copy(federated_folder(made) / "clients.csv", folder / "clients.csv")
    central = centralized_folder(folder.parent)
    central.rename(tmp_path / "away")
    assert "its centralized reference" in line() and "is not beside it" in line()
    (tmp_path / "away").rename(central)
    assert "--name: " in line("--name", "a\nb")
    assert "is no run folder" in command("submit", made, "--out", tmp_path / "a.zip").one_line()
    answer = command("submit", tmp_path / "nothing", "--out", tmp_path / "a.zip")
    assert "no such directory" in answer.one_line()
    assert "is the same run as" in line(federated_folder(made))
    assert not (tmp_path / "entry.zip").exists()
    assert command("submit", folder, "--out", tmp_path / "entry.zip").code == 0
    assert "exists already" in line()


@settings(
    max_examples=times(200),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_flipped_byte_passes(data, made, packed, tmp_path_factory):
    place = tmp_path_factory.mktemp("flipped")
    before = packed.read_bytes()
    after = bytearray(before)
    position = data.draw(st.integers(0, len(before) - 1))
    after[position] ^= data.draw(st.integers(1, 255))
    (place / "flipped.zip").write_bytes(after)
    try:
        with open_submission(place / "flipped.zip") as submission:  # times and flags of the archive
            for folder in submission.folders:
                for file in (p for p in folder.rglob("*") if p.is_file()):
                    original = made / folder.name / file.relative_to(folder)
                    assert file.read_bytes() == original.read_bytes()
    except UserError as error:
        assert "\n" not in str(error) and str(error).isprintable()


# two runs of one id -------------------------------------------------------------------------


def test_copies_of_a_run_are_no_conflict(made, tmp_path):
    copied_runs(made, tmp_path / "runs")
    assert conflicts([*load_runs(made), *load_runs(tmp_path / "runs")]) == []


def test_runs_of_one_id_with_other_numbers_are_a_conflict(made, tmp_path):
    folder = copied_runs(made, tmp_path / "runs")
    edit(folder / "result.json", lambda r: r["last"]["test"].update(
        accuracy=r["last"]["test"]["accuracy"] + 0.001))  # fmt: skip
    renew(folder)

    def found():
        return conflicts([*load_runs(made), *load_runs(folder.parent)])

    (conflict,) = found()
    assert [run.path for run in conflict.runs] == [federated_folder(made), folder]
    assert len(conflict.differences) == 1 and "last.test.accuracy" in conflict.differences[0]
    assert conflict.environments[0][0]["from_round"] == 1
    edit(folder / "environment.json", lambda e: e[0].update(processor="another"))
    assert found() == []  # within the tolerance between environments
    edit(folder / "result.json", lambda r: r["last"]["test"].update(
        accuracy=r["last"]["test"]["accuracy"] + 0.1))  # fmt: skip
    renew(folder)
    (conflict,) = found()
    assert conflict.environments[1][0]["processor"] == "another"


def test_every_error_about_entries_says_what_to_do():
    package = Path(fednlp.__file__).parent
    files = [p for name in ("submissions", "leaderboard") for p in (package / name).glob("*.py")]
    others = ("commands/results.py", "results/reading.py", "verification/evidence.py")
    silent, calls = [], 0
    for path in [*files, *(package / name for name in others)]:
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "UserError":
                calls += 1
                fix = [*call.args[3:], *(word.value for word in call.keywords if word.arg == "fix")]
                if not fix or ast.unparse(fix[0]) == "''":
                    silent.append(f"{path.name}:{call.lineno}: {ast.unparse(call)}")
    assert not silent and calls > 30
