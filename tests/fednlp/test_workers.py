"""Several worker processes: the bits of one, for every method and task; and what goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from harness import DATASETS, ROOT, command, contents, digests, experiment, run, run_both

from algorithms import ALGORITHMS
from fednlp.engines import crew as crews
from fednlp.engines import workers as scheduling
from fednlp.evaluation import Evaluator, predict
from fednlp.processes import all_threads, client_threads, worker_count
from tasks import token_store

UNEQUAL = {"name": "quantity", "alpha": 0.5, "clients": 6, "min_size": 3}


def both(small_config, tmp_path, changes):
    """The federated runs of one and of two workers."""
    changes = {
        "sampling.clients_per_round": 5, "partition": UNEQUAL, "centralized.budget": "none",
        "model.dropout": 0.1, **changes,
    }  # fmt: skip
    return [
        run(small_config({**changes, "engine.workers": n, "engine.threads": 1}), tmp_path / str(n))
        for n in (1, 2)
    ]


def assert_same_bits(one, two):
    assert one.result.id == two.result.id and digests(one) == digests(two)
    ours, theirs = contents(one.path), contents(two.path)
    assert ours.pop("config.yaml") != theirs.pop("config.yaml")  # it says how many
    assert ours == theirs


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_two_workers_make_the_bits_of_one(algorithm, small_config, tmp_path):
    sgd = {} if algorithm != "scaffold" else {"client.momentum": 0.0}
    one, two = both(small_config, tmp_path, {"algorithm": algorithm, "rounds": 3, **sgd})
    assert_same_bits(one, two)
    assert len(set(digests(one))) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"model.lora": {"r": 2, "dropout": 0.1}},
        {"model.freeze_embeddings": True, "client.optimizer": "adamw", "client.lr": 0.01},
        {"precision": "bf16"},
        {"client.epochs": 2, "client.schedule": "linear", "client.warmup": 0.2},
        {"engine.together": 2, "algorithm": "scaffold_gradient"},
        {"engine.together": 2, "algorithm": "ditto", "sampling.clients_per_round": 6},
        {"client.batch_tokens": 200},
    ],
    ids=["lora", "frozen", "bf16", "schedule", "together", "together with states", "tokens"],
)
def test_models_and_settings(changes, small_config, tmp_path):
    assert_same_bits(*both(small_config, tmp_path, changes))


@pytest.mark.parametrize("task", [t for t in DATASETS if t != "text_classification"])
def test_tasks(task, small_config, tmp_path):
    sizes = {"train": 96, "validation": 70, "test": 80}
    changes = {"dataset": {"name": DATASETS[task], "sizes": sizes}}
    assert_same_bits(*both(small_config, tmp_path, changes))


def test_the_same_predictions_of_the_same_batches(small_config):
    """Also of a part of the split, in an order of its own, and for many small batches."""
    changes = {"engine.workers": 2, "engine.threads": 1, "evaluation.tokens_per_batch": 300}
    parts = experiment(small_config(changes))
    indices = np.random.default_rng(0).permutation(80)[:70]
    assert parts.workers is not None
    shared = parts.workers.predict("test", parts.initial_weights, indices)
    assert shared == predict(parts, "test", parts.initial_weights, indices)
    assert len(set(shared)) > 1
    one, _ = Evaluator(parts).score("test", parts.initial_weights, indices[:3])
    assert one == shared[:3]


def test_the_centralized_reference_is_the_same(small_config, tmp_path):
    """It trains in the leading process; its scores come from the workers."""
    pairs = []
    for count in (1, 2):
        config = small_config({"engine.workers": count, "engine.threads": 1})
        pairs.append(run_both(config, tmp_path / str(count))[1])
    assert_same_bits(*pairs)


def test_a_run_goes_on_with_another_number_of_workers(small_config, small_data, tmp_path):
    changes = {"centralized.budget": "none", "engine.threads": 1, "engine.workers": 1}
    whole = run(small_config({**changes, "rounds": 4}), tmp_path / "whole")
    run(small_config({**changes, "rounds": 2}), tmp_path / "parts")
    longer = run(small_config({**changes, "rounds": 4, "engine.workers": 2}), tmp_path / "parts")
    assert digests(longer) == digests(whole)
    assert [r["train_loss"] for r in longer.rounds] == [r["train_loss"] for r in whole.rounds]


def test_a_store_that_is_in_no_cache_is_shared_all_the_same(small_config, tmp_path, monkeypatch):
    one, two = small_config({"engine.workers": 1}), small_config({"engine.workers": 2})
    expected = digests(run(one, tmp_path / "one"))

    def refused(self, folder):
        if "token_stores" in str(folder):
            raise OSError(28, "No space left on device")
        saved(self, folder)

    saved = token_store.TokenStore.save
    monkeypatch.setattr(token_store.TokenStore, "save", refused)
    monkeypatch.setenv("FEDNLP_CACHE", str(tmp_path / "cache"))
    assert digests(run(two, tmp_path / "two")) == expected


# order ------------------------------------------------------------------------------------------


class FakeProcess:
    """Finishes in an order that is given from outside."""

    def __init__(self, number):
        self.number, self.connection, self.peak_memory = number, self, 0

    def receive(self):
        return scheduling.Answer(None, {}, 1, {})


def test_the_longest_first_and_never_too_far_ahead(monkeypatch):
    processes = [FakeProcess(1), FakeProcess(2)]
    begun: list[int] = []
    handed: list[int] = []
    costs = [1, 1, 9, 1, 5, 7, 1, 20, 3, 30]

    def send(process, position):
        begun.append(position)
        process.position = position

    def last_of(busy):
        return [max(busy, key=lambda process: process.position)]

    monkeypatch.setattr(scheduling, "wait", last_of)
    crew = type("Crew", (), {"processes": processes, "close": lambda self: None})()
    run = scheduling.Workers(None, 2, 1)
    ahead = 4
    for position, value in enumerate(
        run._in_order(crew, costs, ahead, send, lambda process, _: process.position)
    ):
        assert value == position
        handed.append(position)
        assert max(begun) < position + 1 + ahead
    assert begun[:2] == [2, 0] or begun[0] == 2  # the dearest of the first four
    assert sorted(begun) == list(range(10)) and handed == list(range(10))


def test_cuts_cover_all_and_balance():
    costs = np.array([50, 40, 30, 5, 5, 5, 5, 5, 5])
    cuts = scheduling.cuts(costs, 3)
    assert cuts[0] == 0 and cuts[-1] == len(costs) and (np.diff(cuts) > 0).all()
    sums = [costs[a:b].sum() for a, b in pairwise(cuts)]
    assert max(sums) <= costs.sum() / 3 + costs.max()
    assert scheduling.cuts(np.array([7]), 8).tolist() == [0, 1]


# how many ---------------------------------------------------------------------------------------


def test_how_many_processes_and_threads(small_config, monkeypatch):
    from fednlp import processes

    monkeypatch.setattr(processes, "_CORES", 4)
    small = experiment(small_config())
    assert worker_count(small) == 1 and client_threads(small.config.engine) == 1
    assert all_threads(small.config.engine) == 4
    monkeypatch.setattr(processes, "WORTH", 1.0)
    assert worker_count(small) == 2  # no more than the clients of a round
    many = experiment(small_config({"sampling.clients_per_round": 4}))
    assert worker_count(many) == 4
    monkeypatch.setattr(processes, "_free_memory", lambda: 3 * processes.PROCESS_BYTES)
    assert worker_count(many) == 2
    wide = small_config({"engine.workers": 2}).engine
    assert client_threads(wide) == 2
    assert client_threads(small_config({"engine.workers": 1}).engine) == 4
    assert client_threads(small_config({"engine.threads": 3}).engine) == 3


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "5000"])
def test_wrong_numbers_of_workers(value, small_data, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(small_data()))
    line = command("run", path, f"engine.workers={value}", "--out", tmp_path / "o").one_line()
    assert "engine.workers" in line


# what goes wrong --------------------------------------------------------------------------------

FAULTY = """
from dataclasses import dataclass
import os, signal
from algorithms import FedAvg

@dataclass(frozen=True)
class Mine(FedAvg):
    def local_update(self, client):
        payload = super().local_update(client)
        if client.index == 2 and client.round == 1:
            {fault}
        return payload
"""


def faulty(small_data, tmp_path, fault):
    """A run of two workers whose client 2 does something in the second round."""
    (tmp_path / "mine.py").write_text(FAULTY.format(fault=fault))
    path = tmp_path / "run.yaml"
    changes = {
        "algorithm": f"{tmp_path}/mine.py:Mine", "engine.workers": 2, "engine.threads": 1,
        "sampling.clients_per_round": 4, "centralized.budget": "none", "rounds": 3,
    }  # fmt: skip
    path.write_text(yaml.safe_dump(small_data(changes)))
    return path


def test_a_method_that_raises_is_named_with_its_line_and_client(small_data, tmp_path):
    path = faulty(small_data, tmp_path, "raise KeyError('oh')")
    line = command("run", path, "--out", tmp_path / "runs").one_line()
    assert "mine.py:11: Mine.local_update (client 2, round 2)" in line and "KeyError" in line


def test_a_client_that_is_not_finite(small_data, tmp_path):
    path = faulty(small_data, tmp_path, "payload['delta'][0] = float('nan')")
    line = command("run", path, "--out", tmp_path / "runs").one_line()
    assert "client 2, round 2: its upload 'delta' is not finite" in line
    answer = command("run", path, "client.on_nonfinite=skip", "--out", tmp_path / "skip")
    assert answer.code == 0, answer.err


def test_a_worker_that_is_killed(small_data, tmp_path):
    """One line; the next command goes on and ends with the bits of a run that was never killed."""
    once = tmp_path / "once"
    fault = f"os.path.exists('{once}') or (open('{once}', 'w'), os.kill(os.getpid(), 9))"
    path = faulty(small_data, tmp_path, fault)
    line = command("run", path, "--out", tmp_path / "runs").one_line()
    assert "engine.workers: worker " in line and "was ended by signal 9" in line
    assert "fewer workers" in line
    assert command("run", path, "--out", tmp_path / "runs").code == 0
    assert command("run", path, "--out", tmp_path / "whole").code == 0
    (killed,), (whole,) = (list((tmp_path / name).iterdir()) for name in ("runs", "whole"))
    assert contents(killed) == contents(whole)


def test_no_worker_outlives_the_leading_process(small_data, tmp_path):
    """Killed in the middle of a round: its workers see the end of their pipes."""
    children = tmp_path / "children"
    fault = f"open('{children}', 'a').write(f'{{os.getpid()}}\\n'), __import__('time').sleep(2)"
    path = faulty(small_data, tmp_path, fault)
    program = [sys.executable, str(ROOT / "run_bench.py"), "run", str(path)]
    leader = subprocess.Popen([*program, "--out", str(tmp_path / "runs")])
    try:
        while not (children.exists() and children.read_text().endswith("\n")):
            assert leader.poll() is None
            time.sleep(0.05)
    finally:
        leader.send_signal(signal.SIGKILL)
        leader.wait()
    worker = int(children.read_text().split()[0])
    deadline = time.monotonic() + 60
    while _lives(worker):
        assert time.monotonic() < deadline, "a worker goes on"
        time.sleep(0.1)


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_no_room_for_what_is_shared(small_data, disk, tmp_path, monkeypatch):
    monkeypatch.setattr(crews, "_place", lambda experiment: str(disk))
    path = tmp_path / "run.yaml"
    changes = {"engine.workers": 2, "centralized.budget": "none"}
    path.write_text(yaml.safe_dump(small_data(changes)))
    (disk / "filler").write_bytes(b"\0" * (8 * 2**20 - 8192))
    line = command("run", path, "--out", tmp_path / "runs").one_line()
    assert "engine.workers: no room for what the processes share (No space left" in line
    assert [p.name for p in disk.iterdir()] == ["filler"]
    (disk / "filler").unlink()
    assert command("run", path, "--out", tmp_path / "runs").code == 0
    assert list(disk.iterdir()) == []  # while the workers still hold their files


def test_workers_that_could_not_be_set_up_do_not_answer_the_next_run(
    small_config, tmp_path, monkeypatch
):
    changes = {"engine.workers": 2, "engine.threads": 1, "centralized.budget": "none"}
    with monkeypatch.context() as broken, pytest.raises(RuntimeError, match="a worker failed"):
        broken.setattr(crews, "_config", lambda experiment: "{}")
        run(small_config(changes), tmp_path / "broken")
    alone = run(small_config({**changes, "engine.workers": 1}), tmp_path / "alone")
    assert digests(run(small_config(changes), tmp_path / "again")) == digests(alone)


def test_the_memory_of_workers_counts(small_config, tmp_path):
    one, two = both(small_config, tmp_path, {"rounds": 1})
    peak = "peak_memory_bytes"
    assert getattr(two.result.costs, peak) > 1.5 * 150e6
    assert getattr(one.result.costs, peak) > 150e6
    assert torch.get_num_threads() == 1 and os.getpid()
