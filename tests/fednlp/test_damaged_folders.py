"""Damaged run folders: one line that names the file, or a run that is right all the same.

Every file of a finished and of an interrupted folder is damaged in seeded ways, and the commands
run on it in this process.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import warnings

import pytest
import yaml
from folder_damage import copied, damage, files_of
from fuzzing import seeds
from harness import QUIET, command, contents, forked, kill_myself

from fednlp.results.reading import load_run
from fednlp.results.run_folder import RunFolder
from fednlp.results.schema import Result
from fednlp.runs import run_pair

CHANGES = {"algorithm": "scaffold", "evaluation.min_client_examples": 5}


@pytest.fixture(scope="module")
def made(small_config, tmp_path_factory):
    """Configuration, a directory with both finished runs, one whose federated run was killed."""
    root = tmp_path_factory.mktemp("made")
    config = small_config({**CHANGES})
    path = root / "run.yaml"
    path.write_text(yaml.safe_dump(config.resolved(), sort_keys=False))
    for name in ("finished", "interrupted"):
        (root / name).mkdir()
    run_pair(config, root / "finished", QUIET)

    def attempt():
        real = RunFolder.commit

        def commit(self, completed, *arguments, **options):
            real(self, completed, *arguments, **options)
            if completed == 1 and "centralized" not in self.path.name:
                kill_myself()

        RunFolder.commit = commit
        run_pair(config, root / "interrupted", QUIET)

    assert forked(attempt) < 0
    return path, root / "finished", root / "interrupted"


def federated(out):
    return next(p for p in out.iterdir() if "centralized" not in p.name)


def right(answer, what):
    """A command that worked, or one line; never a traceback, which `command` would raise.

    Folders that were passed over are named before it, a line each.
    """
    lines = answer.err.splitlines()
    last = lines.pop() if answer.code else ""
    assert all(line.startswith("skipped: ") for line in lines), f"{what}: {answer.err}"
    assert answer.code in (0, 2) and len(last) < 2000, f"{what}: {answer}"
    assert last.startswith("error: ") == bool(answer.code), f"{what}: {answer.err}"


def case(number, made, tmp_path):
    """One seeded case: all commands on a folder with one damaged file."""
    rng = random.Random(number)
    config, finished, interrupted = made
    out = copied(rng.choice([finished, interrupted]), tmp_path / "runs")
    folder = rng.choice(sorted(out.iterdir()))
    name = rng.choice(files_of(folder))
    kind = damage(folder / name, rng)
    what = f"case {number}: {folder.name}/{name}: {kind}"
    expected = {p.name: contents(p) for p in finished.iterdir()}
    table = command("gap", finished, "--format", "json").out
    try:
        gap = command("gap", out, "--format", "json")
        right(gap, what)
        if gap.code == 0 and gap.out.strip() != "[]":
            assert gap.out == table, f"{what}: another gap"
        if rng.random() < 0.2:
            right(command("plot", out), what)
            shutil.rmtree(out / "plots", ignore_errors=True)
        if rng.random() < 0.3:
            shutil.rmtree(tmp_path / "model", ignore_errors=True)
            right(command("export-model", federated(out), tmp_path / "model"), what)
        answer = command("run", config, "--out", out)
        right(answer, what)
        if answer.code == 0:
            for path in out.iterdir():
                if path.name == "plots" or path == folder:
                    continue
                assert contents(path) == expected[path.name], what
            again = load_run(federated(out)).result
            wanted = load_run(federated(finished)).result
            assert again.selected == wanted.selected and again.last == wanted.last, what
            assert again.clients == wanted.clients, what
    except BaseException as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error


@pytest.mark.parametrize("start", [0])
def test_damaged_files_are_told_or_harmless(start, made, tmp_path):
    for number in range(start, start + 40):
        case(number, made, tmp_path)


@pytest.mark.long
def test_many_damaged_files_are_told_or_harmless(made, tmp_path):
    warnings.simplefilter("ignore")
    first = int(os.environ.get("FEDNLP_FUZZ_SEED", "1000"))
    for number in seeds(750, first):
        case(number, made, tmp_path)


def test_a_newer_schema_is_refused_by_name(made, tmp_path):
    config, finished, _ = made
    out = copied(finished, tmp_path / "runs")
    path = federated(out) / "result.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "schema_version": 99, "colour": "red"}))
    for line in (
        command("run", config, "--out", out).one_line(),
        command("export-model", federated(out), tmp_path / "model").one_line(),
        command("gap", out).err.splitlines()[0],
        command("plot", out).err.splitlines()[0],
    ):
        assert str(path) in line and "schema version 99" in line and "update this program" in line


def test_a_changed_number_in_a_result_is_found(made, tmp_path):
    _, finished, _ = made
    out = copied(finished, tmp_path / "runs")
    path = federated(out) / "result.json"
    text = path.read_text()
    data = json.loads(text)
    for key, part in (("test", "selected"), ("test", "last")):
        changed = json.loads(text)
        metric = changed["primary_metric"]
        changed[part][key][metric] += 0.001
        path.write_text(json.dumps(changed))
        line = command("gap", out).err.splitlines()[0]
        assert str(path) in line and "checksum" in line
    for edited in ({**data, "checksum": None}, {k: v for k, v in data.items() if k != "checksum"}):
        path.write_text(json.dumps(edited))
        assert f"{path}: has no checksum" in command("gap", out).err
    # under a checksum that is right: what the rounds say is still compared
    data["costs"]["bytes_up"] += 1
    path.write_bytes(Result.model_validate(data).as_json())
    assert "costs.bytes_up is not that of rounds.jsonl" in command("gap", out).err


def test_the_files_of_another_run_are_foreign(made, tmp_path):
    config, finished, _ = made
    for name in ("identity.json", "result.json", "rounds.jsonl", "checkpoints/manifest.json"):
        out = copied(finished, tmp_path / "runs")
        one = federated(out)
        (other,) = (p for p in out.iterdir() if p != one)
        shutil.copy(other / name, one / name)
        line = command("run", config, "--out", out).one_line()
        assert str(one) in line, (name, line)


def test_a_manifest_does_not_reach_out_of_its_folder(made, tmp_path):
    config, _, interrupted = made
    out = copied(interrupted, tmp_path / "runs")
    path = federated(out) / "checkpoints" / "manifest.json"
    data = json.loads(path.read_text())
    data["state"] = "../../finished/x.safetensors"
    path.write_text(json.dumps(data))
    line = command("run", config, "--out", out).one_line()
    assert str(path) in line and "not a manifest of this version" in line
