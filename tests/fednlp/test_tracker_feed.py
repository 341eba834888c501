"""Feeding trackers leaves the run alone, whatever they do; with a fake one, so without extras."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
import yaml
from harness import QUIET, ROOT, command, contents, forked
from rich.console import Console

from fednlp.errors import UserError
from fednlp.results.manifest import read_manifest
from fednlp.results.reading import load_run
from fednlp.runs import run_pair
from fednlp.trackers import choice
from fednlp.trackers.folder import told
from fednlp.trackers.ledger import Ledger
from fednlp.trackers.send import send

ALONE = {"centralized.budget": "none", "rounds": 4}
TRACKED = {**ALONE, "trackers": ["wandb"]}


class Fake:
    """Remembers what it is told; fails where it shall."""

    def __init__(self, calls, fail="", probe=None):
        self.calls, self.fail, self.probe = calls, fail, probe or (lambda: None)

    def _call(self, name, *told):
        self.calls.append((name, *told, self.probe()))
        if name == self.fail:
            raise RuntimeError(f"{name}:\nno space left")

    def begin(self, run, history):
        self._call("begin", len(history))

    def round(self, number, metrics):
        self._call("round", number)

    def finish(self, summary):
        self._call("finish")

    def close(self):
        self._call("close")


@pytest.fixture
def fake(monkeypatch):
    """A function: replaces every tracker by a fake one and returns the list of its calls."""

    def install(**options):
        calls = []
        monkeypatch.setattr(choice, "find_spec", lambda name: object())
        monkeypatch.setattr(choice, "make", lambda name: Fake(calls, **options))
        return calls

    return install


def names(calls):
    return [call[:2] if call[0] in ("begin", "round") else call[0] for call in calls]


def test_each_round_once_and_in_order(fake, small_config, tmp_path):
    calls = fake()
    run_pair(small_config(TRACKED), tmp_path, QUIET)
    rounds = [("round", number) for number in (1, 2, 3, 4)]
    assert names(calls) == [("begin", 0), *rounds, "finish", "close"]
    calls.clear()
    run_pair(small_config(TRACKED), tmp_path, QUIET)
    assert calls == [], "a finished run that was sent is sent again"


def test_only_what_is_committed(fake, small_config, tmp_path):
    def committed():
        (manifest,) = tmp_path.glob("*/checkpoints/manifest.json")
        return read_manifest(manifest).completed

    calls = fake(probe=committed)
    changes = {**TRACKED, "checkpoint.every": 3, "evaluation.every": 4}
    run_pair(small_config(changes), tmp_path, QUIET)
    told = [(number, done) for name, number, done in (c for c in calls if c[0] == "round")]
    assert told == [(1, 3), (2, 3), (3, 3), (4, 4)]


@pytest.mark.parametrize("moment", ["begin", "round", "finish", "close"])
def test_a_failing_tracker_is_one_warning(moment, fake, small_config, tmp_path):
    for name in ("plain", "tracked"):
        (tmp_path / name).mkdir()
    run_pair(small_config(ALONE), tmp_path / "plain", QUIET)
    calls, out = fake(fail=moment), io.StringIO()
    run_pair(small_config(TRACKED), tmp_path / "tracked", Console(file=out, width=200))
    warnings = [line for line in out.getvalue().splitlines() if "wandb is off" in line]
    assert len(warnings) == 1 and f"RuntimeError: {moment}: no space left" in warnings[0]
    assert sum(call[0] == moment for call in calls) == (2 if moment == "close" else 1)
    (plain,), (tracked,) = (
        [p.parent for p in (tmp_path / name).glob("*/result.json")] for name in ("plain", "tracked")
    )
    assert plain.name == tracked.name, "trackers are in the run's id"
    one, other = contents(plain), contents(tracked)
    assert one.pop("config.yaml") != other.pop("config.yaml")  # it says what was asked for
    assert one == other


def test_a_run_that_fails_closes_its_trackers(fake, small_config, tmp_path):
    calls = fake()
    with pytest.raises(UserError, match="not finite"):
        run_pair(small_config({**TRACKED, "client.lr": 1e30}), tmp_path, QUIET)
    assert names(calls) == [("begin", 0), "close"]


def test_a_result_that_was_not_sent_is_sent_by_the_next_command(fake, small_config, tmp_path):
    fake(fail="finish")
    run_pair(small_config(TRACKED), tmp_path, QUIET)
    calls = fake()
    run_pair(small_config(TRACKED), tmp_path, QUIET)
    assert names(calls) == [("begin", 4), "finish", "close"]


def test_two_processes_do_not_write_one_run(fake, small_config, tmp_path):
    calls = fake()
    run_pair(small_config(ALONE), tmp_path, QUIET)
    (folder,) = (path.parent for path in tmp_path.glob("*/result.json"))
    ledger = Ledger(tmp_path / "trackers", "wandb", told(folder).key)
    ledger.hold()

    def refused():
        (problem,) = send(folder, ["wandb"])
        assert "another process" in problem and calls == []

    try:
        assert forked(refused) == 0
    finally:
        ledger.release()
    assert send(folder, ["wandb"]) == []


def test_one_run_in_two_directories_is_two_runs_of_a_tracker(small_config, tmp_path):
    """Both may be sent to one server, where neither may take the other's place."""
    keys = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        run, _ = run_pair(small_config(ALONE), tmp_path / name, QUIET)
        keys += [told(tmp_path / name / run.folder).key for _ in range(2)]
    assert keys[0] == keys[1] != keys[2] == keys[3] and keys[0][:12] == keys[2][:12]
    (tmp_path / "one").rename(tmp_path / "moved")
    assert told(tmp_path / "moved" / run.folder).key == keys[0]


def test_a_blocked_directory_leaves_a_finished_run_alone(fake, small_config, tmp_path):
    calls, out = fake(), io.StringIO()
    run_pair(small_config(ALONE), tmp_path, QUIET)
    (tmp_path / "trackers").write_text("in the way")
    run_pair(small_config(TRACKED), tmp_path, Console(file=out, width=300))
    assert calls == [] and out.getvalue().count("wandb is off") == 1


def test_a_damaged_ledger_is_no_reason_to_stop(fake, small_config, tmp_path):
    calls = fake()
    run_pair(small_config(TRACKED), tmp_path, QUIET)
    (note,) = tmp_path.glob("trackers/wandb/*.json")
    note.write_text("[")
    calls.clear()
    run_pair(small_config(TRACKED), tmp_path, QUIET)
    assert names(calls) == [("begin", 4), "finish", "close"]


# what is not there -------------------------------------------------------------------------------


def test_a_missing_extra_is_one_line_before_anything_begins(small_data, tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "find_spec", lambda name: None)
    config, out = tmp_path / "config.yaml", tmp_path / "runs"
    config.write_text(yaml.safe_dump(small_data(ALONE)))
    line = command("run", config, "trackers=[mlflow]", "--out", out).one_line()
    assert "mlflow is not installed" in line and "pip install -e '.[mlflow]'" in line
    assert list(out.iterdir()) == []


def test_unknown_names(small_data, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(small_data({**ALONE, "trackers": ["tensorbord"]})))
    assert "'tensorboard'" in command("run", config, "--out", tmp_path / "runs").one_line()
    line = command("track", tmp_path, "--to", "tensorbord").one_line()
    assert "did you mean 'tensorboard'?" in line


def test_only_finished_runs_are_sent(fake, tmp_path):
    fake()
    assert "no finished run" in command("track", tmp_path, "--to", "wandb").one_line()


def test_the_core_imports_no_tracker():
    code = (
        "import sys, fednlp.runs, fednlp.cli, fednlp.trackers.send;"
        "print({'tensorboard', 'wandb', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_folders_read_alike_with_trackers_beside_them(fake, small_config, tmp_path):
    fake()
    federated, _ = run_pair(small_config(TRACKED), tmp_path, QUIET)
    assert load_run(tmp_path / federated.folder).result.selected == federated.selected
    more, _ = run_pair(small_config({**TRACKED, "rounds": 5}), tmp_path, QUIET)
    assert more.costs.rounds == 5
