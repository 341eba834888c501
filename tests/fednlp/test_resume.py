"""A killed run ends as one that was never killed, bit for bit; a longer run continues a shorter."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import yaml
from harness import (
    QUIET,
    ROOT,
    command,
    contents,
    digests,
    forked,
    kill_myself,
    run,
    run_both,
    timeless,
)

from fednlp.results.manifest import read_manifest
from fednlp.results.reading import load_run
from fednlp.results.run_folder import RunFolder
from fednlp.runs import run_pair

SLOWER = {"rounds": 3, "sampling.clients_per_round": 3, "model.dropout": 0.1}
METHODS = {
    "fedavg": {"algorithm": "fedavg", "client.momentum": 0.5},
    "scaffold": {"algorithm": "scaffold"},
    "fedadam": {
        "algorithm": "fedadam",
        "client": {"optimizer": "adamw", "lr": 1e-3, "batch_size": 8, "schedule": "linear"},
        "checkpoint": {"every": 2, "keep_every": 3},
    },
}


def folders(out):
    """What every run folder of a directory holds."""
    return {path.name: contents(path) for path in sorted(out.iterdir())}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, files in expected.items():
        assert found[name].keys() == files.keys(), "files left over or missing"
        for file, content in files.items():
            assert found[name][file] == content, f"{name}/{file}"


@pytest.fixture(scope="module")
def uninterrupted(small_config, tmp_path_factory):
    """A function: method -> configuration, what its directory holds, seconds it took."""
    made = {}

    def get(method):
        if method not in made:
            config = small_config({**SLOWER, **METHODS[method]})
            run_both(config, tmp_path_factory.mktemp(f"{method}-warm-up"))
            out = tmp_path_factory.mktemp(method)
            began = time.perf_counter()
            assert forked(lambda: run_pair(config, out, QUIET)) == 0
            made[method] = config, folders(out), time.perf_counter() - began
        return made[method]

    return get


@pytest.mark.parametrize("times", [3, pytest.param(10, marks=pytest.mark.long)])
@pytest.mark.parametrize("method", ["fedavg", "scaffold"])
def test_killed_at_random_moments(method, times, uninterrupted, tmp_path):
    """Runs that are killed twice on their way: in training, evaluation or writing."""
    config, expected, seconds = uninterrupted(method)
    moments = random.Random(list(METHODS).index(method))
    kills = runs = 0
    while kills < times:
        assert runs < 3 * times, "the runs end before they are killed"
        out = tmp_path / str(runs)
        out.mkdir()
        for _ in range(2):
            moment = moments.uniform(0.02, 0.9) * seconds
            code = forked(lambda out=out: run_pair(config, out, QUIET), moment)
            assert code in (0, -signal.SIGKILL)
            kills += code != 0
            if code == 0:  # faster than it was measured
                seconds *= 0.8
        assert forked(lambda out=out: run_pair(config, out, QUIET)) == 0
        assert_same(folders(out), expected)
        runs += 1


def dying_at_call(number, before):
    """Dies at the n-th flush or rename of this process, just before or just after it."""
    calls = 0

    def guarded(real):
        def call(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls == number and before:
                kill_myself()
            result = real(*arguments, **options)
            if calls == number:
                kill_myself()
            return result

        return call

    for name in ("fsync", "replace", "link", "unlink"):
        setattr(os, name, guarded(getattr(os, name)))


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_killed_at_points_of_writing(method, before, uninterrupted, tmp_path):
    """Between flush and rename, between files of one commit, between result and the rest."""
    config, expected, _ = uninterrupted(method)
    step = 24  # each of the six begins at another call, so together they take every fourth
    number = 1 + 4 * list(METHODS).index(method) + (12 if before else 0)
    while True:
        out = tmp_path / str(number)
        out.mkdir()

        def attempt(out=out, number=number):
            dying_at_call(number, before)
            run_pair(config, out, QUIET)

        code = forked(attempt)
        if code == 0:  # fewer calls than that in a whole run
            break
        assert code == -signal.SIGKILL
        assert forked(lambda out=out: run_pair(config, out, QUIET)) == 0
        assert_same(folders(out), expected)
        number += step
    assert number > 2 * step


def test_half_a_line_in_the_log_is_forgotten(uninterrupted, tmp_path):
    config, expected, _ = uninterrupted("fedavg")
    with pytest.raises(RuntimeError):
        run_until_round(config, tmp_path, 2)
    (log,) = (p for p in tmp_path.glob("*/rounds.jsonl") if "centralized" not in p.parent.name)
    with open(log, "a") as stream:
        stream.write('{"round": 2, "examp')
    run_pair(config, tmp_path, QUIET)
    assert_same(folders(tmp_path), expected)


def run_until_round(config, out, rounds):
    """A run whose federated part fails once it has committed some rounds."""
    from fednlp import journal

    real = RunFolder.commit

    def commit(self, completed, *arguments, **options):
        real(self, completed, *arguments, **options)
        if completed == rounds and "centralized" not in self.path.name:
            raise RuntimeError("power cut")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal.RunFolder, "commit", commit)
        run_pair(config, out, QUIET)


def test_a_killed_command_continues(small_data, small_config, tmp_path):
    """The same with the program itself, killed while it trains, from another directory."""
    changes = {"rounds": 4, "partition.clients": 8, "sampling.clients_per_round": 8}
    config, out = tmp_path / "config.yaml", tmp_path / "runs"
    config.write_text(yaml.safe_dump(small_data(changes)))
    line = [sys.executable, str(ROOT / "run_bench.py"), "run", str(config), "--out", str(out)]
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if any(out.glob("*fedavg*/rounds.jsonl")) or any(out.glob("*FedAvg*/rounds.jsonl")):
            break
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "the run was over before it could be killed"
    again = command("run", config, "--out", out)
    assert again.code == 0, again.err
    expected = run(small_config(changes), tmp_path / "whole")
    found = load_run(out / expected.path.name)
    assert digests(found) == digests(expected)
    assert found.result.selected == expected.result.selected
    assert found.result.last == expected.result.last


# more rounds -------------------------------------------------------------------------------------

EXTENDED = ["fedavg", "scaffold"]


@pytest.mark.parametrize("method", EXTENDED)
def test_more_rounds_continue_and_compute_only_what_is_missing(method, small_config, tmp_path):
    changes = {"model.dropout": 0.1, **METHODS[method]}
    short = run_both(small_config({**changes, "rounds": 2}), tmp_path / "runs")
    committed = []
    real = RunFolder.log

    def log(self, record):
        committed.append((self.path.name, record["round"]))
        real(self, record)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "log", log)
        extended = run_both(small_config({**changes, "rounds": 5}), tmp_path / "runs")
    assert sorted({number for _, number in committed}) == [3, 4, 5] and len(committed) == 6
    whole = run_both(small_config({**changes, "rounds": 5}), tmp_path / "whole")
    for a, b, first in zip(extended, whole, short, strict=True):
        assert a.path.name == b.path.name != first.path.name
        found, expected = contents(a.path), contents(b.path)
        assert found.keys() == expected.keys()
        for name in expected:
            assert found[name] == expected[name], name
        assert load_run(first.path).result == first.result  # the shorter run is still there
        assert digests(load_run(first.path)) == digests(first)


def test_an_extension_does_not_inherit_a_validation_of_the_shorter_runs_end(small_config, tmp_path):
    """The last round is always validated; the longer run is due at other rounds."""
    changes = {"evaluation.every": 2, "centralized.budget": "none", "client.lr": 0.3}
    run(small_config({**changes, "rounds": 3}), tmp_path / "runs")
    extended = run(small_config({**changes, "rounds": 6}), tmp_path / "runs")
    whole = run(small_config({**changes, "rounds": 6}), tmp_path / "whole")
    assert digests(extended) == digests(whole)
    assert extended.validation_curve() == whole.validation_curve()
    assert extended.result.selected == whole.result.selected


def test_a_schedule_over_the_run_cannot_be_extended(small_config, tmp_path):
    def lengths(**schedule):
        changes = {"client": {"optimizer": "sgd", "lr": 0.1, "schedule": "linear", **schedule}}
        changes |= {"centralized.budget": "none"}
        short = run(small_config({**changes, "rounds": 1}), tmp_path)
        return digests(short)[0], digests(run(small_config({**changes, "rounds": 2}), tmp_path))[0]

    short, long = lengths()
    assert short != long  # the first round of two is trained at other rates
    short, long = lengths(schedule_span="participation")
    assert short == long


def test_a_finished_run_is_only_read(small_config, tmp_path):
    config = small_config()
    run_both(config, tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    run_both(config, tmp_path)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == before


# what is kept -----------------------------------------------------------------------------------


def test_checkpoints_every_third_round_and_kept_ones(small_config, tmp_path):
    changes = {"rounds": 7, "checkpoint": {"every": 3, "keep_every": 2}}
    kept = run(small_config(changes, algorithm="scaffold", **{"centralized.budget": "none"}),
               tmp_path)  # fmt: skip
    manifest = read_manifest(kept.path / "checkpoints" / "manifest.json")
    assert manifest.completed == 7 and set(manifest.kept) == {"2", "4", "6"}
    files = {
        str(p.relative_to(kept.path))
        for folder in ("checkpoints", "clients")
        for p in (kept.path / folder).glob("*.safetensors")
    }
    assert files == manifest.referenced() == set(manifest.sha256)
    with RunFolder(kept.path) as folder:
        for number, record in enumerate(folder.rounds(), start=1):
            if str(number) in manifest.kept:
                from fednlp.flat_model import digest

                weights = folder.tensors(manifest.kept[str(number)])["weights"]
                assert digest(weights) == record["weights_sha256"]


def test_rounds_between_checkpoints_are_lost_and_made_again(small_config, tmp_path):
    """Killed after round 5 of checkpoints at 3 and 6, with nothing better in between."""
    changes = {
        "rounds": 6,
        "algorithm": "scaffold",
        "checkpoint.every": 3,
        "centralized.budget": "none",
        "client.lr": 1e-7,  # the metric stays what it is: round 1 is the best
    }
    config = small_config(changes)
    expected = run(config, tmp_path / "whole")
    out = tmp_path / "killed"
    out.mkdir()

    def attempt():
        real = RunFolder.log

        def log(self, record):
            real(self, record)
            if record["round"] == 5:
                kill_myself()

        RunFolder.log = log
        run_pair(config, out, QUIET)

    assert forked(attempt) == -signal.SIGKILL
    (folder,) = out.iterdir()
    assert read_manifest(folder / "checkpoints" / "manifest.json").completed == 3
    assert len((folder / "rounds.jsonl").read_text().splitlines()) == 5
    found = run(config, out)
    assert contents(found.path) == contents(expected.path)


# one process at a time, in one environment ------------------------------------------------------


def test_a_second_process_is_told_who_holds_the_folder(small_data, small_config, tmp_path):
    first = run(small_config(), tmp_path / "other")
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(small_data()))
    with RunFolder(tmp_path / "runs" / first.result.references[0].folder):
        answer = command("run", config, "--out", tmp_path / "runs")
    assert f"is held by process {os.getpid()}" in answer.one_line()
    assert command("run", config, "--out", tmp_path / "runs").code == 0


def test_another_environment_needs_a_word(small_data, tmp_path):
    config, out = tmp_path / "config.yaml", tmp_path / "runs"
    config.write_text(yaml.safe_dump(small_data({"centralized.budget": "none"})))
    assert command("run", config, "--out", out).code == 0
    (folder,) = (p.parent for p in out.glob("*/result.json"))
    (folder / "result.json").unlink()
    (known,) = json.loads((folder / "environment.json").read_text())
    assert known["tokens_per_batch"] == 8192  # told, and no reason to refuse
    other = {**known, "threads": 7, "together": 4, "tokens_per_batch": 64}
    (folder / "environment.json").write_text(json.dumps([other]))
    message = command("run", config, "--out", out).one_line()
    assert "threads 7 -> 1, together 4 -> 1" in message
    assert "restore it (engine.threads, engine.together), or continue with" in message
    (folder / "environment.json").write_text(json.dumps([{**known, "torch": "1.0"}]))
    message = command("run", config, "--out", out).one_line()
    assert "torch 1.0 -> " in message and "restore it, or continue with --allow-inexact" in message
    assert command("run", config, "--out", out, "--allow-inexact").code == 0


def test_an_inexact_run_says_so_and_never_counts_as_exact_again(small_data, tmp_path):
    """Round 1 under one number of threads, the others under another."""
    config, out = tmp_path / "config.yaml", tmp_path / "runs"
    config.write_text(yaml.safe_dump(small_data({"centralized.budget": "none"})))

    def go(rounds, threads, *more):
        line = [f"rounds={rounds}", f"engine.threads={threads}", "--out", out, *more]
        return command("run", config, *line)

    def folder(rounds):
        known = {json.loads(p.read_text())["rounds"]: p.parent for p in out.glob("*/identity.json")}
        return known[rounds]

    try:
        assert go(1, 1).code == 0
        assert "threads 1 -> 2" in go(2, 2).one_line()
        assert go(2, 2, "--allow-inexact").code == 0
        assert "threads 1 -> 2" in go(3, 2).one_line()
        assert "threads 2 -> 1" in go(3, 1).one_line()
        assert go(3, 1, "--allow-inexact").code == 0
    finally:
        command("run", config, "rounds=1", "engine.threads=1", "--out", tmp_path / "reset")
    made = json.loads((folder(3) / "environment.json").read_text())
    assert [(e["from_round"], e["threads"]) for e in made] == [(1, 1), (2, 2), (3, 1)]
    assert not any("inexact" in note for note in load_run(folder(1)).result.notes)
    (note,) = (n for n in load_run(folder(2)).result.notes if "inexact" in n)
    assert "from round 2: threads 1 -> 2" in note


def test_what_follows_the_rounds_is_added_without_training(small_config, tmp_path):
    """Three rounds that are validated every second one: not a multiple, and yet the same rounds."""
    changes = {"rounds": 3, "evaluation.every": 2, "centralized.budget": "none"}
    first = run(small_config(changes), tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "log", lambda self, record: pytest.fail("trained again"))
        more = run(small_config({**changes, "evaluation.local_only": 2}), tmp_path)
    assert more.path != first.path and digests(more) == digests(first)
    assert more.result.selected == first.result.selected


def test_a_damaged_checkpoint_is_one_line(small_data, tmp_path):
    config, out = tmp_path / "config.yaml", tmp_path / "runs"
    config.write_text(yaml.safe_dump(small_data({"centralized.budget": "none"})))
    assert command("run", config, "--out", out).code == 0
    (folder,) = (p.parent for p in out.glob("*/result.json"))
    before = timeless(json.loads((folder / "result.json").read_text()))
    (folder / "result.json").unlink()
    assert command("run", config, "--out", out).code == 0  # only the conclusion is missing
    assert timeless(json.loads((folder / "result.json").read_text())) == before
    (folder / "result.json").unlink()
    state = read_manifest(folder / "checkpoints" / "manifest.json").state
    data = bytearray((folder / state).read_bytes())
    data[-1] ^= 1
    (folder / state).write_bytes(data)
    message = command("run", config, "--out", out).one_line()
    assert state in message and "checksum" in message


def test_compiled_steps_are_another_environment(small_data, tmp_path):
    config, out = tmp_path / "run.yaml", tmp_path / "runs"
    changes = {"rounds": 1, "centralized.budget": "none"}
    config.write_text(yaml.safe_dump(small_data(changes)))
    assert command("run", config, "--out", out).code == 0
    config.write_text(yaml.safe_dump(small_data({**changes, "rounds": 2})))
    message = command("run", config, "engine.compile=true", "--out", out).one_line()
    assert "compile False -> True" in message and "--allow-inexact" in message
    assert command("run", config, "engine.graphs=false", "--out", out).code == 0  # of no CPU
