"""`benchmarks.simulation` where no peer is installed, and the checks that it rests on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.peers.job import Job
from benchmarks.simulation_rows import arms, same_batches, whole_job
from benchmarks.simulation_rows.arms import Arm, Outcome
from fednlp.random_streams import generator
from tasks.batches import epoch_plan

ROOT = Path(__file__).resolve().parents[2]


def printed(tmp_path, *only):
    """What the benchmark prints at toy size, where no peer is installed."""
    places = {"FEDNLP_PEERS": str(tmp_path / "none"), "FEDNLP_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.simulation", "--smoke", *only],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **places},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert not any(str(ROOT) in line for line in done.stdout.splitlines())
    return done.stdout


def test_one_row_alone(tmp_path):
    text = printed(tmp_path, "--only", "client-overhead")
    assert "| all beside arithmetic |" in text and "| bare loop |" not in text


@pytest.mark.long
def test_without_peers_it_shows_ours_and_says_who_is_missing(tmp_path):
    text = printed(tmp_path)
    for row in (
        "| ours |",
        "| bare loop |",
        "| the usual way |",
        "| ours, again |",
        "| 2 workers, 1 thread each |",
        "| tiny, length 32 |",
        "| all beside arithmetic |",
    ):
        assert row in text
    for peer in ("pfl", "flwr", "fedml"):
        assert text.count(f"{peer}: no environment, run `make peers`") == 2


@pytest.fixture(scope="module")
def padded(tmp_path_factory):
    """A job of two rounds and the experiment that it was made from."""
    folder = tmp_path_factory.mktemp("jobs") / "padded"
    return same_batches.padded_job(folder, 2, True, optimizer="sgd", lr=0.1, dropout=0.0)


def test_a_job_holds_the_batches_that_the_harness_makes(padded):
    folder, experiment = padded
    job, store = Job(folder), experiment.stores["train"]
    assert job.cohorts is not None and len(job.cohorts) == 2
    train = experiment.partition.splits["train"]
    for round, cohort in enumerate(job.cohorts):
        assert cohort == experiment.sampler.clients[experiment.sampler.cohort(round)].tolist()
        for client in cohort:
            rng = generator(experiment.config.seed, "data order", round, client, 0)
            planned = epoch_plan(store, train.client(client), 8, rng)
            expected = [experiment.task.collate(store, p) for p in planned]
            found = job.batches(round, client)
            assert len(found) == len(expected) > 1
            for ours, theirs in zip(expected, found, strict=True):
                for name in ("input_ids", "attention_mask"):
                    assert torch.equal(ours.inputs[name].long(), theirs[name])
                assert torch.equal(ours.targets["label"], theirs["labels"])


def test_a_job_holds_the_initial_weights(padded):
    folder, experiment = padded
    theirs = Job(folder).model().state_dict()
    for name, value in experiment.model.module.state_dict().items():
        assert torch.equal(value, theirs[name]), name


def outcome(**changes):
    work = {
        "examples": 100,
        "steps": 10,
        "real_tokens": 5000,
        "padded_tokens": 6000,
        "loss_sum": 250,
    }
    return Outcome([0.0, 1.0], {**work, **changes}, 0.5, [], {})


def test_other_work_is_refused():
    same = {"ours": outcome(), "peer": outcome(loss_sum=251)}
    same_batches.check_counts(same)
    with pytest.raises(SystemExit, match="'peer' did"):
        same_batches.check_counts({**same, "peer": outcome(padded_tokens=6001)})
    jobs = {whole_job.COLD: outcome(), "peer": outcome(examples=101, padded_tokens=9000)}
    whole_job.check(jobs, 0.05)
    for change in ({"steps": 11}, {"examples": 110}, {"real_tokens": 6000}, {"loss_sum": 300}):
        with pytest.raises(SystemExit, match="'peer'"):
            whole_job.check({**jobs, "peer": outcome(**change)}, 0.05)
    worse = outcome()
    worse.test = 0.4
    with pytest.raises(SystemExit, match=r"reached 0\.400 on test"):
        whole_job.check({**jobs, "peer": worse}, 0.05)


def test_an_arm_that_fails_says_why(tmp_path):
    with pytest.raises(SystemExit, match=r"'nothing' failed\n.*No module named"):
        arms.run(Arm("nothing", "benchmarks.peers.nothing"), tmp_path, tmp_path / "out", "1")


def test_peers_run_with_one_worker_per_core():
    three = [whole_job.on_all_cores(arm, 3) for arm in (arms.PFL, arms.FLWR, arms.FEDML)]
    pfl, flwr, fedml = (arm.command(Path("job"), Path("out")) for arm in three)
    assert "--nproc_per_node=3" in pfl and Path(pfl[0]).name == "torchrun"
    assert Path(flwr[0]).name == "python"
    assert fedml[1:3] == ["-n", "4"] and Path(fedml[3]).name == "python"
