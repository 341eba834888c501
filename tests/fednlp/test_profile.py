"""Laps add up to all the time that passed, and a profiled run is the same run."""

from __future__ import annotations

import io
import re

import pytest
import yaml
from harness import command, contents
from rich.console import Console

from fednlp import profile
from fednlp.profile import MEANINGS, LapClock, clock, profile_table


@pytest.fixture
def seconds(monkeypatch):
    """A clock that stands still until it is told."""
    now = [100.0]
    monkeypatch.setattr(profile.time, "perf_counter", lambda: now[0])

    def advance(by):
        now[0] += by

    return advance


@pytest.fixture(autouse=True)
def off():
    yield
    clock.running = False
    clock.take()


def test_laps(seconds):
    laps = LapClock()
    seconds(5)
    laps.lap("data")
    assert laps.take() == ({}, {})  # it was off
    laps.start()
    seconds(1)
    laps.lap("data")
    seconds(2)
    laps.lap("optimizer")
    seconds(4)
    laps.lap("data")
    seconds(8)
    laps.skip()
    seconds(16)
    laps.lap("evaluation")
    laps.add({"data": 3.0})
    laps.add({"data": 3.0, "optimizer": 1.0})
    own, of_workers = laps.take()
    assert own == {"data": 5.0, "optimizer": 2.0, "evaluation": 16.0}
    assert of_workers == {"data": 6.0, "optimizer": 1.0}
    assert laps.take() == ({}, {})


def test_table():
    seconds = {"data": 1.0, "forward and backward": 6.0, "optimizer": 3.0, "evaluation": 10.0}
    text = shown(profile_table("a run", seconds, {}))
    assert re.search(r"forward and backward +6.00 +30.0", text)
    assert re.search(r"all +20.00 +100", text) and "90.0 % of training" in text
    assert "checkpoint" not in text
    text = shown(profile_table("a run", {"evaluation": 1.0}, seconds))
    assert re.search(r"optimizer +0.00 +0.0 +3.00 +15.0", text)
    assert re.search(r"all +1.00 +100 +20.00 +100", text)


def shown(table):
    out = io.StringIO()
    Console(file=out, width=120).print(table)
    return re.sub(r"[│┃]", "", out.getvalue())


@pytest.mark.parametrize("workers,together", [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_a_profiled_run(workers, together, small_data, tmp_path):
    path = tmp_path / "run.yaml"
    engine = {"workers": workers, "together": together, "threads": 1}
    path.write_text(yaml.safe_dump(small_data({"engine": engine})))
    answer = command("run", path, "--profile", "--out", tmp_path / "profiled")
    assert answer.code == 0 and answer.out.count("Where the time went") == 2
    for phase in ("data", "forward and backward", "optimizer", "evaluation", "log and checkpoint"):
        assert len(re.findall(rf"^│ {phase} +│ +\d", answer.out, re.MULTILINE)) == 2, phase
    assert ("waiting for workers" in answer.out) == (workers == 2)
    clock.running = False
    assert command("run", path, "--out", tmp_path / "plain").code == 0
    runs = [{p.name: contents(p) for p in (tmp_path / n).iterdir()} for n in ("profiled", "plain")]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_phases_of_a_run_are_all_its_time(workers, small_config, tmp_path, monkeypatch):
    """Every reading of the clock is a second later than the last, so laps can be counted."""
    from harness import run

    readings = [0.0]

    def reading():
        readings[0] += 1.0
        return readings[0]

    changes = {"engine.workers": workers, "engine.threads": 1, "centralized.budget": "none"}
    clock.start()
    monkeypatch.setattr(profile.time, "perf_counter", reading)
    began = clock._last = reading()
    monkeypatch.setattr(profile, "profile_table", lambda *_: "")
    taken = []
    monkeypatch.setattr(clock, "take", lambda: taken.append(dict(clock.seconds)) or ({}, {}))
    run(small_config(changes), tmp_path)
    (own,) = taken
    assert set(own) <= set(MEANINGS)
    assert sum(own.values()) == clock._last - began


def test_reading_data_and_tokens_is_preparation_of_either_run(
    seconds, small_config, tmp_path, monkeypatch
):
    from harness import run

    from fednlp.experiment import Experiment

    plain, taken, take = Experiment.trainer, [], clock.take

    def slow(experiment):
        seconds(1000)
        return plain(experiment)

    def taking():
        own, workers = take()
        taken.append(own)
        return own, workers

    monkeypatch.setattr(Experiment, "trainer", slow)
    monkeypatch.setattr(clock, "take", taking)
    clock.start()
    run(small_config({"engine.workers": 1}), tmp_path)
    assert len(taken) == 3
    _, *runs = taken  # what was before is thrown away
    for own in runs:
        assert own["preparation"] >= 1000
        assert not any(value for phase, value in own.items() if phase != "preparation")
