"""Each tracker for real: what a run left in its local store, read back by its own library.

Runs are made in forked processes, so that no library has begun anything in this one.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec

import pytest
import yaml
from harness import QUIET, ROOT, command, forked, kill_myself
from rich.console import Console
from tracker_readers import shown

from fednlp.results.reading import load_run
from fednlp.results.run_folder import RunFolder
from fednlp.runs import run_pair
from fednlp.trackers.choice import NAMES
from fednlp.trackers.feed import Feed
from fednlp.trackers.names import RoundMetrics, result_metrics

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries' own
ALONE = {"centralized.budget": "none", "rounds": 3}


@pytest.fixture(params=NAMES)
def tracker(request, monkeypatch):
    """The name of a tracker whose library is here; nothing that it does asks a network."""
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed (the extra '{request.param}')")
    for name in ("WANDB_MODE", "WANDB_DIR", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return request.param


def make(config, out):
    out.mkdir(exist_ok=True)
    assert forked(lambda: run_pair(config, out, QUIET)) == 0


def read(tracker, out):
    """Everything in a local store, read in a forked process as well."""
    file = out / "read.json"

    def work():
        runs = [vars(run) for run in shown(tracker, out)]
        file.write_text(json.dumps(runs))

    assert forked(work) == 0
    runs = json.loads(file.read_text())
    for run in runs:
        run["points"] = {k: [tuple(p) for p in v] for k, v in run["points"].items()}
    return runs


def expected(run):
    """name -> (step, value) of a finished run's records."""
    metrics, points = RoundMetrics(), {}
    for record in run.rounds:
        for name, value in metrics.of(record).items():
            points.setdefault(name, []).append((record["round"], value))
    return points


def assert_shows(found, run):
    """Each committed round once, under its step, and nothing else."""
    points = expected(run)
    assert found["points"].keys() == points.keys()
    for name, values in points.items():
        assert [step for step, _ in found["points"][name]] == [step for step, _ in values], name
        told = [value for _, value in found["points"][name]]
        assert told == pytest.approx([value for _, value in values], rel=1e-6), name


def run_of(out, kind="federated"):
    (run,) = (r for p in out.glob("*/result.json") if (r := load_run(p.parent)).result.kind == kind)
    return run


def test_rounds_parameters_and_result(tracker, small_config, tmp_path):
    config = small_config({"rounds": 3, "trackers": [tracker], "client.lr": 0.05})
    make(config, tmp_path)
    runs = read(tracker, tmp_path)
    assert len(runs) == 2
    central, own = (next(r for r in runs if ("central" in r["name"]) == c) for c in (True, False))
    for found, run in ((own, run_of(tmp_path)), (central, run_of(tmp_path, "centralized"))):
        assert_shows(found, run)
        assert found["finished"] in (True, None)
        assert float(found["parameters"]["client.lr"]) == 0.05
        assert found["parameters"]["dataset.name"] == "synthetic_topics"
        references = {} if found is central else {"matched": run_of(tmp_path, "centralized").result}
        summary = result_metrics(run.result, references)
        assert found["summary"] == pytest.approx(summary, rel=1e-6)
    assert "algorithm.name" in own["parameters"] and "algorithm.name" not in central["parameters"]
    assert "result/gap/matched" in own["summary"] and len(own["points"]["validation/accuracy"]) == 3


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("before the tracker", marks=pytest.mark.long),
        "after the tracker",
        pytest.param("before a commit", marks=pytest.mark.long),
    ],
)
def test_killed_and_continued(moment, tracker, small_config, tmp_path):
    config = small_config({**ALONE, "rounds": 4, "trackers": [tracker], "evaluation.every": 4})
    tmp_path.mkdir(exist_ok=True)

    def dying():
        real = {"commit": RunFolder.commit, "rounds": Feed.rounds}

        def commit(self, completed, *arguments, **options):
            if moment == "before a commit" and completed == 3:
                kill_myself()
            real["commit"](self, completed, *arguments, **options)

        def rounds(self, records):
            last = [record["round"] for record in records] == [2]
            if last and moment == "before the tracker":
                kill_myself()
            real["rounds"](self, records)
            if last and moment == "after the tracker":
                kill_myself()

        RunFolder.commit, Feed.rounds = commit, rounds
        run_pair(config, tmp_path, QUIET)

    assert forked(dying) == -signal.SIGKILL
    make(config, tmp_path)
    (found,) = read(tracker, tmp_path)
    assert_shows(found, run_of(tmp_path))
    assert found["finished"] in (True, None) and found["summary"]


@pytest.mark.long
def test_more_rounds_continue_the_same_run(tracker, small_config, tmp_path):
    changes = {**ALONE, "trackers": [tracker]}
    make(small_config({**changes, "rounds": 2}), tmp_path)
    (short,) = (path.parent for path in tmp_path.glob("*/result.json"))
    make(small_config({**changes, "rounds": 4}), tmp_path)
    (longer,) = (p.parent for p in tmp_path.glob("*/result.json") if p.parent != short)
    (found,) = read(tracker, tmp_path)
    assert_shows(found, load_run(longer))
    summary = result_metrics(load_run(longer).result, {})
    assert found["summary"] == pytest.approx(summary, rel=1e-6)

    def again():  # the shorter one takes nothing away
        answer = command("track", short, "--to", tracker)
        assert answer.code == 1 and "longer run" in answer.err, answer
        run_pair(small_config({**changes, "rounds": 2}), tmp_path, QUIET)

    assert forked(again) == 0
    assert read(tracker, tmp_path) == [found]


@pytest.mark.long
def test_processes_at_once_share_a_store(tracker, small_data, tmp_path):
    """As the runs of a suite do; the first ones make it together."""
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(small_data({**ALONE, "trackers": [tracker]})))
    line = [sys.executable, str(ROOT / "run_bench.py"), "run", str(config), "--out", str(tmp_path)]
    processes = [
        subprocess.Popen([*line, f"seed={seed}"], stdout=subprocess.PIPE, text=True)
        for seed in range(3)
    ]
    said = [process.communicate()[0] for process in processes]
    assert not any(" is off" in text for text in said), said
    found = read(tracker, tmp_path)
    runs = sorted((load_run(p.parent) for p in tmp_path.glob("*/result.json")), key=seed_of)
    assert len(found) == len(runs) == 3
    for shown_run, run in zip(found, runs, strict=True):
        assert_shows(shown_run, run)


def seed_of(run):
    return run.result.seed


def test_a_store_that_cannot_be_written_leaves_the_run_alone(tracker, small_config, tmp_path):
    config, said = small_config({**ALONE, "trackers": [tracker]}), tmp_path / "said.txt"
    (tmp_path / "trackers").write_text("in the way")

    def work():
        with said.open("w") as file:
            run_pair(config, tmp_path, Console(file=file, width=300))

    assert forked(work) == 0
    assert run_of(tmp_path).result.costs.rounds == 3
    warnings = [line for line in said.read_text().splitlines() if f"{tracker} is off" in line]
    assert len(warnings) == 1 and "trackers" in warnings[0], said.read_text()


def test_a_full_disk_leaves_the_run_alone(tracker, small_config, tmp_path, disk, capfd):
    config, said = small_config({**ALONE, "trackers": [tracker]}), tmp_path / "said.txt"
    (tmp_path / "trackers").symlink_to(disk)

    def filling(self, completed, *arguments, **options):
        if completed == 2:
            fill(disk)
        commit(self, completed, *arguments, **options)

    commit = RunFolder.commit

    def work():
        RunFolder.commit = filling
        with said.open("w") as file:
            run_pair(config, tmp_path, Console(file=file, width=300))

    assert forked(work) == 0
    assert run_of(tmp_path).result.costs.rounds == 3
    assert "Traceback" not in capfd.readouterr().err
    warnings = [line for line in said.read_text().splitlines() if " is off" in line]
    assert len(warnings) == 1, said.read_text()


def fill(folder):
    with suppress(OSError), open(folder / "filling", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.mark.long
def test_sent_afterwards_it_is_the_same(tracker, small_config, tmp_path):
    live, later = tmp_path / "live", tmp_path / "later"
    make(small_config({**ALONE, "trackers": [tracker]}), live)
    make(small_config(ALONE), later)
    assert not (later / "trackers").exists()
    folder = run_of(later).path

    def twice():
        for _ in range(2):
            answer = command("track", folder, "--to", tracker)
            assert answer.code == 0, answer.err

    assert forked(twice) == 0
    (found,), (same,) = read(tracker, later), read(tracker, live)
    assert_shows(found, run_of(later))
    assert found["points"].keys() == same["points"].keys()
    assert found["summary"].keys() == same["summary"].keys()
    differing = {k for k, v in found["parameters"].items() if same["parameters"].get(k) != v}
    assert not differing and found["parameters"].keys() == same["parameters"].keys()
