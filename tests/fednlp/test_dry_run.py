"""`suite --dry-run`: what is there, what would be done, and what that would cost; nothing is."""

from __future__ import annotations

import io
import re

import pytest
import yaml
from harness import command
from rich.console import Console

from fednlp.jobs.dry_run import dry_run
from fednlp.jobs.job import Wanted, plan_jobs
from fednlp.jobs.rates import Rates
from fednlp.jobs.whole import WholeSuite
from fednlp.results.reading import load_runs
from fednlp.results.run_folder import RunFolder
from fednlp.runs import run_pair
from fednlp.suite import load_suite, read_suite


@pytest.fixture
def suite_file(small_data, tmp_path):
    def write(**changes):
        data = {"base": small_data({"engine.threads": 1}), "seeds": [0], **changes}
        (tmp_path / "suite.yaml").write_text(yaml.safe_dump(data))
        return tmp_path / "suite.yaml"

    return write


def planned(path, out):
    """(kind, state, rounds that are there, rounds) of every job."""
    wanted = [Wanted(run.label, run.config) for run in load_suite(path, [])]
    jobs = plan_jobs(wanted, out).jobs
    return [(job.kind, job.state, job.done, job.cost.rounds) for job in jobs]


def test_states(suite_file, tmp_path, monkeypatch):
    out, path = tmp_path / "runs", suite_file(matrix={"rounds": [2, 3]})
    assert planned(path, out) == [
        ("centralized", "new", 0, 2), ("federated", "new", 0, 2),
        ("centralized", "extended", 2, 3), ("federated", "extended", 2, 3),
    ]  # fmt: skip
    assert command("suite", suite_file(matrix={"rounds": [2]}), "--out", out).code == 0
    path = suite_file(matrix={"rounds": [2, 3]})
    assert planned(path, out) == [
        ("centralized", "finished", 2, 2), ("federated", "finished", 2, 2),
        ("centralized", "extended", 2, 3), ("federated", "extended", 2, 3),
    ]  # fmt: skip
    answer = command("suite", path, "--dry-run", "--out", out)
    for words in (
        "rounds 2 / seed 0, centralized",
        "extended from round 2",
        "2 finished, 2 extended",
    ):
        assert words in answer.out, answer.out


def test_a_run_that_was_cut_off(suite_file, tmp_path, monkeypatch):
    path, out = suite_file(), tmp_path / "runs"
    (run,) = load_suite(path, [])
    real = RunFolder.commit

    def commit(self, completed, *rest, **more):
        real(self, completed, *rest, **more)
        if "centralized" not in self.path.name:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "commit", commit)
        with pytest.raises(KeyboardInterrupt):
            from harness import QUIET

            out.mkdir()
            run_pair(run.config, out, QUIET)
    assert planned(path, out) == [
        ("centralized", "finished", 2, 2),
        ("federated", "continued", 1, 2),
    ]
    assert "continued from round 1" in command("suite", path, "--dry-run", "--out", out).out


def test_nothing_is_written_and_the_code_is_0(suite_file, tmp_path):
    answer = command("suite", suite_file(), "--dry-run", "--out", tmp_path / "runs")
    assert answer.code == 0 and not (tmp_path / "runs").exists(), answer.err
    assert "20 GFLOP/s" in answer.out and not answer.err
    slower = command("suite", suite_file(), "--dry-run", "--rate", "0.001", "--out", tmp_path / "x")
    assert "0.001 GFLOP/s" in slower.out and " min " in slower.out


def test_costs_are_those_that_the_runs_then_have(suite_file, tmp_path):
    path, out = suite_file(matrix={"algorithm": ["fedavg", "scaffold"]}), tmp_path / "runs"
    wanted = [Wanted(run.label, run.config) for run in load_suite(path, [])]
    jobs = plan_jobs(wanted, out, ask_methods=True).jobs
    assert command("suite", path, "--out", out).code == 0
    found = {run.path.name: run.result.costs for run in load_runs(out)}
    assert len(jobs) == len(found) == 3
    for job in jobs:
        costs = found[job.path.name]
        assert job.cost.examples == costs.examples and job.cost.rounds == costs.rounds
        assert job.cost.sent == costs.bytes_up + costs.bytes_down + costs.bytes_base
        assert job.cost.tokens == pytest.approx(costs.real_tokens, rel=0.1)


def test_measured_runs_tell_the_time(suite_file, tmp_path):
    path, out = suite_file(), tmp_path / "runs"
    assert command("suite", path, "--out", out).code == 0
    wanted = [Wanted(run.label, run.config) for run in load_suite(path, ["rounds=20"])]
    jobs = plan_jobs(wanted, tmp_path / "other").jobs
    rates = Rates.of([out, tmp_path / "nowhere"], 1.0)
    walls = {run.result.kind: run.result.costs.wall_seconds for run in load_runs(out)}
    for job in jobs:
        seconds, measured = rates.seconds(job, "synthetic_topics", "text_classification", "tiny")
        assert measured and seconds == pytest.approx(10 * walls[job.kind], rel=0.1)
        seconds, measured = rates.seconds(job, "other", "text_classification", "tiny")
        assert measured  # of the same task and model
        seconds, measured = rates.seconds(job, "other", "seq2seq", "tiny")
        assert not measured and seconds == job.cost.work
    answer = command("suite", path, "rounds=20", "--dry-run", "--out", out)
    assert "at the speed of the finished runs here" in answer.out
    done = command("suite", path, "--dry-run", "--out", out).out
    assert re.search(r"time one after another: about 0 s", done) and "2 finished" in done


def test_a_search_is_planned_too(suite_file, tmp_path):
    tune = {"trials": 2, "seeds": [9], "rounds": 1, "search": {"client.lr": [0.1, 0.2]}}
    path = suite_file(tune=tune)
    answer = command("suite", path, "--dry-run", "--jobs", 2, "--out", tmp_path / "runs")
    assert answer.code == 0 and "with the first settings of each search" in answer.out
    assert "tune.rounds" not in answer.out
    assert "trial 2: client.lr 0.2 / seed 9" in answer.out and "with --jobs 2" in answer.out
    assert command("suite", path, "--out", tmp_path / "runs").code == 0
    done = command("suite", path, "--dry-run", "--out", tmp_path / "runs")
    long = suite_file(tune={**tune, "rounds": 99})
    cut = " ".join(command("suite", long, "--dry-run", "--out", tmp_path / "runs").out.split())
    assert "tune.rounds is 99: trials are cut to the rounds of their runs, 2." in cut
    assert "first settings" not in done.out and "4 finished" in done.out
    assert "2 finished" in done.out and "new" not in done.out.split("search", 1)[1]


def test_what_cannot_be_planned_is_told(suite_file, tmp_path):
    path = suite_file(matrix={"partition.clients": [4, 97]})
    answer = command("suite", path, "--dry-run", "--out", tmp_path / "runs")
    assert answer.code == 2 and "(partition.clients 97" in answer.one_line()
    assert "partition.clients 4" in answer.out and "time one after another" in answer.out
    path = suite_file(matrix={"partition.clients": [97, 98]})
    answer = command("suite", path, "--dry-run", "--out", tmp_path / "runs")
    assert answer.code == 2 and len(answer.err.splitlines()) == 2 and "time" not in answer.out


def test_names_of_any_length_and_kind_leave_the_columns_whole(suite_file, tmp_path):
    names = ["word " * 60, "x" * 300, "two\nlines \x1b[31m"]
    axis = {name: {"rounds": rounds} for rounds, name in enumerate(names, start=1)}
    whole = WholeSuite(read_suite(suite_file(matrix={"axis": axis}), []))
    told, problems = dry_run(whole, tmp_path / "runs", 1, 2e10)
    console = Console(file=io.StringIO(), width=80)
    console.print(*told)
    text = console.file.getvalue()
    assert not problems and "\x1b" not in text and max(map(len, text.splitlines())) <= 80
    numbers = r" +[\d,]+ +[\d,]+ +[\d,]+ +[\d.]+ k?M?B +\d+ s *$"  # of every job and of all
    assert len(re.findall(numbers, text, re.M)) == 7, text
    column = re.search(r"^ run +(?=state)", text, re.M)[0]
    cells = "".join(line[: len(column)].strip() for line in text.splitlines())
    assert cells.count("seed0") + cells.count("seed 0") == 6 and r"two\nlines" in cells
    assert len(text.splitlines()) < 60
