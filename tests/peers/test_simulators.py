"""Every peer that simulates does the same work as the harness, in its own environment."""

from pathlib import Path

import pytest

from benchmarks.simulation_rows import same_batches, whole_job
from benchmarks.simulation_rows.arms import BARE, FEDML, FLWR, OURS, PFL, on_all_cores, run
from benchmarks.simulation_rows.jobs import write_text_job
from fednlp import config as configuration
from fednlp.experiment import Experiment

PEERS = [
    pytest.param(
        arm,
        id=arm.name,
        marks=pytest.mark.skipif(arm.missing, reason="no environment: run `make peers`"),
    )
    for arm in (PFL, FLWR, FEDML)
]


@pytest.fixture(scope="module")
def padded(tmp_path_factory):
    """A job of two rounds with SGD and without dropout, and what the harness makes of it."""
    work = tmp_path_factory.mktemp("padded")
    job, _ = same_batches.padded_job(work / "job", 2, True, optimizer="sgd", lr=0.1, dropout=0.0)
    return job, run(OURS, job, work / "ours", "1")


def same_work(name, outcome, job, ours):
    outcomes = {OURS.name: ours, name: outcome}
    same_batches.check_counts(outcomes)
    same_batches.check_weights(outcomes, job)
    assert outcome.loss == pytest.approx(ours.loss, rel=1e-4)
    assert len(outcome.round_seconds) == 2 and min(outcome.round_seconds) > 0


def test_the_bare_loop_ends_at_our_weights(padded, tmp_path):
    job, ours = padded
    same_work(BARE.name, run(BARE, job, tmp_path / "out", "1"), job, ours)


def test_other_weights_are_refused(padded, tmp_path):
    job, ours = padded
    other, _ = same_batches.padded_job(
        tmp_path / "job", 2, True, optimizer="sgd", lr=0.05, dropout=0.0
    )
    outcomes = {OURS.name: ours, BARE.name: run(BARE, other, tmp_path / "out", "1")}
    with pytest.raises(SystemExit, match="'bare loop' ends at other weights"):
        same_batches.check_weights(outcomes, job)


@pytest.mark.parametrize("arm", PEERS)
def test_a_peer_ends_at_our_weights(arm, padded, tmp_path):
    job, ours = padded
    same_work(arm.name, run(arm, job, tmp_path / "out", "1"), job, ours)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A job of raw texts of three rounds; validation after the second and the third."""
    folder = tmp_path_factory.mktemp("texts") / "job"
    overrides = [*whole_job.SMOKE, "rounds=3", "evaluation.every=2"]
    experiment = Experiment(configuration.load(whole_job.CONFIG, overrides))
    write_text_job(experiment, folder)
    return folder, experiment


@pytest.mark.parametrize("arm", PEERS)
def test_a_peer_does_the_whole_job(arm, texts, tmp_path):
    folder, experiment = texts
    found = run(on_all_cores(arm, 2), folder, tmp_path / "out", None)
    sizes = experiment.partition.splits["train"].sizes()
    assert set(sizes.tolist()) == {20}  # so that work does not depend on who is drawn
    assert found.work["examples"] == 3 * 2 * 20 and found.work["steps"] == 3 * 2 * 3
    lengths = experiment.stores["train"].row_lengths
    per_example = found.work["real_tokens"] / found.work["examples"]
    assert lengths.min() < per_example < lengths.max()
    assert 1.0 < found.padding < 3.0
    assert found.test is not None and 0.0 <= found.test <= 1.0
    assert len(found.validation) == (1 if arm is FEDML else 2)  # FedML counts rounds from 0
    assert found.weights is None and Path(folder / "texts.json").exists()
