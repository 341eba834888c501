"""`suite --jobs`: the same bits as one after another, whatever fails, dies or is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from harness import ROOT, command, contents

from fednlp.results.manifest import read_manifest
from fednlp.results.reading import load_runs
from fednlp.results.run_folder import RunFolder

MATRIX = {
    "algorithm": ["fedavg", {"name": "fedprox", "mu": 0.1}],
    "rounds": [1, 2],  # the longer runs and references extend the shorter ones
    "split": {"even": {}, "odd": {"partition": {"name": "quantity", "alpha": 1.0, "clients": 4}}},
}  # fmt: skip


def suite_file(folder, base, **changes):
    data = {"base": base, "seeds": [0], "matrix": MATRIX, **changes}
    (folder / "suite.yaml").write_text(yaml.safe_dump(data))
    return folder / "suite.yaml"


def folders(out):
    """All that must be equal in the run folders of two directories; not who adopted whose files."""
    return {path.name: contents(path) for path in sorted(out.iterdir()) if path.name != "plots"}


@pytest.fixture(scope="module")
def one_by_one(small_data, tmp_path_factory):
    """The suite's file and what one job after another makes of it."""
    folder = tmp_path_factory.mktemp("one")
    path = suite_file(folder, small_data({"engine.threads": 1}))
    answer = command("suite", path, "--out", folder / "runs")
    assert answer.code == 0, answer.err
    return path, folders(folder / "runs")


def test_side_by_side_is_one_after_another_bit_for_bit(one_by_one, tmp_path):
    path, expected = one_by_one
    answer = command("suite", path, "--jobs", 3, "--out", tmp_path / "runs")
    assert answer.code == 0, answer.err
    assert "3 jobs at once, 1 thread each" in answer.out
    found = folders(tmp_path / "runs")
    assert found == expected and len(found) == 10  # 8 federated, 2 shared references
    assert "8 federated runs" in answer.out and "[10/10]" in answer.out


@pytest.fixture(scope="module")
def slow(small_data, tmp_path_factory):
    """A suite that lasts long enough to be cut off, and what it comes to if it is not."""
    folder = tmp_path_factory.mktemp("slow")
    base = small_data({"engine.threads": 1, "rounds": 12, "dataset.sizes.train": 200})
    matrix = {"algorithm": ["fedavg", {"name": "fedprox", "mu": 0.1}]}
    path = suite_file(folder, base, matrix=matrix)
    assert command("suite", path, "--out", folder / "runs").code == 0
    return path, folders(folder / "runs")


def start(path, out, jobs=2):
    """The command in a session of its own, so that a signal reaches all of its processes."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run_bench.py"), "suite", str(path), "--out", str(out),
         "--jobs", str(jobs)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        cwd=ROOT,
    )  # fmt: skip


def wait_for_rounds(out, number):
    """Until so many runs have a committed round."""
    end = time.monotonic() + 120
    while sum(completed(folder) > 0 for folder in out.glob("*-*")) < number:
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.05)


def completed(folder):
    """Its committed rounds."""
    path = folder / "checkpoints" / "manifest.json"
    return read_manifest(path).completed if path.exists() else 0


def wait_for_the_end_of(group):
    """Until no process of a session is left."""
    end = time.monotonic() + 30
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        assert time.monotonic() < end, "processes are left over"
        time.sleep(0.05)


def test_an_interrupt_ends_all_processes_and_the_same_command_continues(slow, tmp_path):
    (path, expected), out = slow, tmp_path / "runs"
    process = start(path, out)
    wait_for_rounds(out, 1)
    os.killpg(process.pid, signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    assert complaint == "interrupted; the same command continues\n"
    wait_for_the_end_of(process.pid)
    for path_ in out.iterdir():
        with RunFolder(path_):
            pass  # nobody holds it
    assert not load_runs(out)
    check_that_it_continues(path, out, expected)


def test_where_the_leading_process_is_killed_the_others_end_too(slow, tmp_path):
    (path, expected), out = slow, tmp_path / "runs"
    process = start(path, out)
    wait_for_rounds(out, 1)
    process.kill()
    process.communicate(timeout=60)
    wait_for_the_end_of(process.pid)
    check_that_it_continues(path, out, expected)


def check_that_it_continues(path, out, expected):
    """To the same bits; only the environment tells that there was a second process."""
    before = [completed(folder) for folder in out.glob("*-*")]
    assert command("suite", path, "--jobs", 2, "--out", out).code == 0
    found = folders(out)
    assert any(before) and found.keys() == expected.keys() and len(found) == 3
    for name, files in expected.items():
        for file, content in files.items():
            assert file == "environment.json" or found[name][file] == content, (name, file)


DEADLY = """
import os, signal
from algorithms import FedAvg

class Killed(FedAvg):
    def local_update(self, client):
        os.kill(os.getpid(), signal.SIGKILL)

class Hungry(FedAvg):
    def local_update(self, client):
        raise MemoryError

class Faulty(FedAvg):
    def local_update(self, client):
        raise KeyError("gone")
"""


def test_a_job_that_dies_is_the_error_of_its_run_alone(small_data, tmp_path):
    (tmp_path / "deadly.py").write_text(DEADLY)
    names = [f"deadly.py:{name}" for name in ("Killed", "Hungry", "Faulty")]
    variants = {name[10:]: {"algorithm": name} for name in names} | {"fedavg": {}}
    path = suite_file(tmp_path, small_data(), matrix={"method": variants}, seeds=[0, 1])
    answer = command("suite", path, "--jobs", 2, "--out", tmp_path / "runs")
    assert answer.code == 2 and "6 of 8 runs failed:" in answer.err
    end = answer.err[answer.err.index("6 of 8") :].splitlines()[1:]
    assert all(line.startswith(f"error: {path} (") for line in end)
    told = "\n".join(end)
    assert "was ended by signal 9" in told and "gone" in told
    assert "KeyError" in told and "MemoryError" in told  # a third party's, so in one line
    assert "Traceback" not in answer.err
    found = load_runs(tmp_path / "runs")
    assert sorted(run.result.kind for run in found) == ["centralized"] * 2 + ["federated"] * 2
    assert "Gap to centralized" in answer.out


def test_a_reference_that_fails_takes_its_runs_along(small_data, tmp_path):
    base = small_data({"client.clip_norm": None})
    matrix = {
        "rate": {"good": {}, "bad": {"centralized.client.lr": 1e30}},
        "algorithm": ["fedavg", {"name": "fedprox", "mu": 0.1}],
    }
    path = suite_file(tmp_path, base, matrix=matrix)
    answer = command("suite", path, "--jobs", 2, "--out", tmp_path / "runs")
    assert answer.code == 2 and "2 of 4 runs failed:" in answer.err
    (line,) = answer.err[answer.err.index("2 of 4") :].splitlines()[1:]
    assert "(algorithm fedavg / bad / seed 0 and 1 more): centralized run, point" in line


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_data_show_is_told_before_the_first_run(jobs, small_data, tmp_path):
    matrix = {
        "x": {"good": {}, "many": {"partition.clients": 97}, "more": {"partition.clients": 98}}
    }
    path = suite_file(tmp_path, small_data(), matrix=matrix, seeds=[0, 1])
    answer = command("suite", path, "--jobs", jobs, "--out", tmp_path / "runs")
    assert answer.code == 2 and "4 of 6 runs failed:" in answer.err
    lines = answer.err.splitlines()
    assert "(many / seed 0 and 1 more)" in lines[0] and "97" in lines[0]
    assert "(more / seed 0 and 1 more)" in lines[1] and lines[3:] == lines[:2]
    assert len(load_runs(tmp_path / "runs")) == 4


def test_a_suite_of_which_nothing_can_run_says_so_once(small_data, tmp_path):
    path = suite_file(tmp_path, small_data({"partition.clients": 97}), matrix={"rounds": [1, 2]})
    line = command("suite", path, "--jobs", 2, "--out", tmp_path / "runs").one_line()
    assert "97" in line and "(rounds 1 / seed 0 and 1 more)" in line


def test_workers_do_not_multiply_with_jobs(small_config, monkeypatch):
    from fednlp import processes
    from fednlp.config_schema import EngineConfig
    from fednlp.experiment import Experiment

    monkeypatch.setattr(processes, "_CORES", 8)
    monkeypatch.setattr(processes, "WORTH", 0.0)
    config = small_config({"sampling.clients_per_round": 4})
    assert processes.worker_count(Experiment(config)) > 1
    monkeypatch.setattr(processes, "_jobs", 1)
    processes.share_machine(3)
    assert processes.all_threads(EngineConfig()) == 2
    assert processes.client_threads(EngineConfig()) == 1
    assert processes.worker_count(Experiment(config)) == 1
    asked = small_config({"sampling.clients_per_round": 4, "engine.workers": 2})
    assert processes.worker_count(Experiment(asked)) == 2  # what is written down is obeyed


def test_jobs_may_have_worker_processes(small_data, tmp_path):
    base = small_data({"engine": {"workers": 2, "threads": 1}})
    path = suite_file(tmp_path, base, matrix={"algorithm": ["fedavg", "scaffold"]})
    answer = command("suite", path, "--jobs", 2, "--out", tmp_path / "runs")
    assert answer.code == 0, answer.err
    alone = command("suite", path, "engine.workers=1", "--out", tmp_path / "alone")
    assert alone.code == 0
    found = [run.rounds[-1]["weights_sha256"] for run in load_runs(tmp_path / "runs")]
    assert found == [run.rounds[-1]["weights_sha256"] for run in load_runs(tmp_path / "alone")]


def test_jobs_is_a_number_of_jobs(tmp_path):
    assert "--jobs" in command("suite", "quick", "--jobs", 0).one_line()
    assert "--jobs" in command("suite", "quick", "--jobs", "many").one_line()
