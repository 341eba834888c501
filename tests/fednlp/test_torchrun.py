"""Processes of `torch.distributed`: the run of one process, for any number; and what goes wrong."""

from __future__ import annotations

import socket

import pytest
import torch
from harness import DATASETS, command, contents, digests, final_state, kill_myself, run
from rank_processes import KILLED, command_ranks, run_ranks

from fednlp import processes, runs
from fednlp.engines.torchrun import agreement
from fednlp.engines.torchrun import part as parts_of_rounds
from fednlp.results.reading import load_run

UNEQUAL = {"name": "quantity", "alpha": 0.5, "clients": 6, "min_size": 3}
HOST = socket.gethostname()
BASE = {
    "sampling.clients_per_round": 5, "partition": UNEQUAL, "centralized.budget": "none",
    "engine.threads": 1, "model.dropout": 0.1, "rounds": 2,
}  # fmt: skip
EXACT = {"engine.aggregation": "exact"}
SIZES = {"train": 96, "validation": 70, "test": 80}  # enough to be scored by all

TORCHRUN = {"engine.name": "torchrun"}

CASES = {
    "fedavg": {**EXACT, "algorithm": "fedavg"},
    "scaffold": {**EXACT, "algorithm": "scaffold"},
    "ditto": {**EXACT, "algorithm": "ditto"},
    "idle": {**EXACT, "algorithm": "fedyogi", "sampling.clients_per_round": 2},
    "together": {**EXACT, "algorithm": "ditto", "engine.together": 2},
    "fast": {"algorithm": "scaffold"},
}


def configs(small_config, cases, **more):
    return [
        small_config({**BASE, "seed": seed, **changes, "dataset.sizes": SIZES, **more})
        for seed, changes in enumerate(cases)
    ]


def folders(out):
    """The finished runs of a folder by their seeds."""
    found = [load_run(path) for path in out.iterdir() if (path / "result.json").exists()]
    return {each.result.seed: each for each in found}


@pytest.fixture(scope="module")
def alone(small_config, tmp_path_factory):
    """The runs of one process with the local engine."""
    out = tmp_path_factory.mktemp("alone")
    return [run(config, out) for config in configs(small_config, CASES.values())]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_any_number_of_processes_makes_the_run_of_one(count, alone, small_config, tmp_path):
    """Bit for bit with exact sums, down to every file; else to 1e-5 in a round, and fast too."""
    made = configs(small_config, CASES.values(), **TORCHRUN)
    run_ranks(count, made, tmp_path)
    for seed, (name, found) in enumerate(zip(CASES, sorted_runs(tmp_path), strict=True)):
        one = alone[seed]
        if name == "fast" and count > 1:
            assert_close(one, found)
            continue
        assert digests(found) == digests(one), name
        ours, theirs = contents(one.path), contents(found.path)
        assert ours.pop("config.yaml") != theirs.pop("config.yaml")
        environment = theirs.pop("environment.json").decode()
        assert f'"processes": {count}' in environment and '"backend": "gloo"' in environment
        assert ours.pop("environment.json") != environment
        assert ours == theirs, name


def sorted_runs(out):
    return [found for _, found in sorted(folders(out).items())]


def assert_close(one, other):
    assert one.result.id == other.result.id
    ours, theirs = final_state(one), final_state(other)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert float((theirs[name] - tensor).norm()) <= 3e-5 * float(tensor.norm())  # two rounds
    assert [r["examples"] for r in one.rounds] == [r["examples"] for r in other.rounds]


@pytest.mark.parametrize("task", [t for t in DATASETS if t != "text_classification"])
def test_other_tasks_are_scored_alike(task, small_config, tmp_path):
    changes = {**EXACT, "dataset": {"name": DATASETS[task]}, "rounds": 1}
    one = run(configs(small_config, [changes])[0], tmp_path / "one")
    run_ranks(2, configs(small_config, [changes], **TORCHRUN), tmp_path / "two")
    two = folders(tmp_path / "two")[0]
    name = "predictions.parquet"
    assert digests(one) == digests(two) and contents(one.path)[name] == contents(two.path)[name]


def test_a_run_goes_on_with_another_engine(small_config, tmp_path):
    changes = {**CASES["ditto"], "rounds": 4}
    whole = run(configs(small_config, [changes])[0], tmp_path / "whole")
    out = tmp_path / "parts"
    run(configs(small_config, [changes], rounds=1)[0], out)
    run_ranks(2, configs(small_config, [changes], rounds=2, **TORCHRUN), out)
    run_ranks(3, configs(small_config, [changes], rounds=3, **TORCHRUN), out)
    assert digests(run(configs(small_config, [changes])[0], out)) == digests(whole)


def test_it_verifies(small_config, tmp_path):
    """One process makes the rounds again, whoever made them."""
    made = configs(small_config, [CASES["fedavg"], CASES["fast"]], **TORCHRUN)
    run_ranks(2, made, tmp_path)
    for found in sorted_runs(tmp_path):
        answer = command("verify", found.path)
        assert answer.code == 0, answer.out


def test_fast_sums_of_several_processes_are_not_continued_silently(small_config, tmp_path):
    changes = {**BASE, "engine.name": "torchrun", "rounds": 1}
    run_ranks(2, [small_config(changes)], tmp_path / "o")
    path = tmp_path / "c.yaml"
    path.write_text(small_config({**BASE, "rounds": 2}).model_dump_json())
    line = command("run", path, "--out", tmp_path / "o").one_line()
    assert "aggregation fast of 2 processes -> fast" in line and "--allow-inexact" in line
    assert command("run", path, "--out", tmp_path / "o", "--allow-inexact").code == 0


# what a process finds wrong -----------------------------------------------------------------------


@pytest.fixture
def config_file(small_config, tmp_path):
    def make(**changes):
        path = tmp_path / "c.yaml"
        changes = {**BASE, "engine.name": "torchrun", "engine.timeout": 5, **changes}
        path.write_text(small_config(changes).model_dump_json())
        return path

    return make


def one_line(answers):
    """The message of rank 0; the others end with the same code and say nothing."""
    for other in answers[1:]:
        assert (other.code, other.out, other.err) == (2, "", ""), other
    return answers[0].one_line()


def test_ranks_that_disagree_are_named(config_file, tmp_path):
    path = config_file()
    rate = lambda rank: ["client.lr=0.2"] if rank == 2 else []  # noqa: E731

    def arguments(rank):
        return ["run", path, *rate(rank), "--out", tmp_path / "o"]

    line = one_line(command_ranks(3, arguments))
    assert f"rank 2 on {HOST}: another configuration than rank 0 on {HOST}" in line
    assert not list((tmp_path / "o").iterdir())


@pytest.mark.parametrize("fact", ["version of this program", "torch", "data", "initial weights"])
def test_what_they_disagree_on_is_named(fact, config_file, tmp_path, monkeypatch):
    known = agreement.facts

    def before(rank):
        if rank:
            from fednlp.engines.torchrun import follower

            follower.facts = lambda experiment: {**known(experiment), fact: "another"}

    path = config_file()
    answers = command_ranks(3, lambda rank: ["run", path, "--out", tmp_path / "o"], before)
    line = one_line(answers)
    assert f"ranks 1 on {HOST}, 2 on {HOST}: another {fact} than rank 0" in line


def pretend(threads=None):
    """That torch has so many threads, or as many as it is told: a fork of a process that has used
    several hangs where it uses several itself."""
    known = [threads or 1]

    def told(count):
        known[0] = threads or count

    torch.get_num_threads = lambda: known[0]
    torch.set_num_threads = runs.set_num_threads = told


def test_other_threads_are_named_with_their_number(config_file, tmp_path):
    path = config_file()

    def arguments(rank):
        return ["run", path, f"engine.threads={1 + rank}", "--out", tmp_path / "o"]

    line = one_line(command_ranks(3, arguments, lambda rank: pretend()))
    assert (
        f"ranks 1 on {HOST}, 2 on {HOST}: another number of threads per client than rank 0 on "
        f"{HOST} (2 and 3, not 1)"
    ) in line


def test_threads_in_effect_are_compared_whatever_is_set(config_file, tmp_path):
    def before(rank):
        pretend(2 if rank else None)  # as where something holds them fast

    path = config_file()
    line = one_line(command_ranks(2, lambda rank: ["run", path, "--out", tmp_path / "o"], before))
    assert f"rank 1 on {HOST}: another number of threads per client than rank 0" in line
    assert "(2, not 1)" in line


def test_the_cores_of_a_node_do_not_count(config_file, small_config, tmp_path):
    """OMP_NUM_THREADS may differ from node to node: a client has one thread where none is said."""

    def before(rank):
        pretend()
        processes._CORES = 8 * (rank + 1)

    path = config_file(**{**EXACT, "engine.threads": None})
    answers = command_ranks(2, lambda rank: ["run", path, "--out", tmp_path / "o"], before)
    assert [answer.code for answer in answers] == [0, 0]
    (found,) = folders(tmp_path / "o").values()
    assert digests(found) == digests(run(small_config({**BASE, **EXACT}), tmp_path / "one"))


def test_a_process_that_cannot_read_says_so(config_file, tmp_path):
    path = config_file()
    places = [path, tmp_path / "missing.yaml"]
    line = one_line(command_ranks(2, lambda rank: ["run", places[rank], "--out", tmp_path / "o"]))
    assert f"rank 1 on {HOST}: {tmp_path}/missing.yaml: no such file" in line


def test_rank_0_alone_tells_what_all_find(config_file, tmp_path):
    path = config_file(**{"engine.name": "local"})
    answers = command_ranks(2, lambda rank: ["run", path, "--out", tmp_path / "o"])
    assert "engine.name: 'local', of which 2 processes were started" in one_line(answers)


@pytest.mark.parametrize(
    ("changes", "variables", "expected"),
    [
        ({"engine.on_worker_loss": "continue"}, {}, "but nothing would start the processes again"),
        (
            {},
            {"TORCHELASTIC_RESTART_COUNT": "1", "TORCHELASTIC_MAX_RESTARTS": "3"},
            "engine.on_worker_loss: 'stop', and torchrun has started all again (1 of 3)",
        ),
    ],
)
def test_restarts_that_are_not_wanted_or_not_had(
    changes, variables, expected, config_file, tmp_path
):
    path = config_file(**changes)
    answers = command_ranks(2, lambda rank: ["run", path, "--out", tmp_path / "o"], **variables)
    assert expected in one_line(answers)


def test_not_started_by_torchrun(config_file, tmp_path):
    line = command("run", config_file(), "--out", tmp_path / "o").one_line()
    assert "no torchrun started this process; torchrun --nproc-per-node 2 run_bench.py" in line


def test_a_broken_environment(config_file, tmp_path, monkeypatch):
    path = config_file()
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    run_it = ("run", path, "--out", tmp_path / "o")
    assert "the environment: MASTER_PORT: is not set" in command(*run_it).one_line()
    monkeypatch.setenv("MASTER_PORT", "http")
    assert "the environment: MASTER_PORT: found 'http'" in command(*run_it).one_line()
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("MASTER_PORT", "1234")
    assert "the environment: RANK: found 2; expected less than WORLD_SIZE" in (
        command(*run_it).one_line()
    )


def test_one_process_of_a_scheduler_runs_as_ever(config_file, tmp_path, monkeypatch):
    path = config_file(**{"engine.name": "local", "rounds": 1})
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "h"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_PORT", "1")
    assert command("run", path, "--out", tmp_path / "o").code == 0


def test_a_suite_is_run_by_one(small_data, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    for name, value in {"WORLD_SIZE": "2", "MASTER_ADDR": "h", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    line = command("suite", tmp_path / "s.yaml", "--out", tmp_path / "o").one_line()
    assert "suite: 2 processes were started of a suite; expected one" in line


def test_workers_beside_it_are_refused(small_config):
    with pytest.raises(ValueError, match=r"engine\.workers: found 2, and torchrun's processes"):
        small_config({"engine.name": "torchrun", "engine.workers": 2})


# in a round ---------------------------------------------------------------------------------------


def failing(rank_of, when, work):
    """Before rank `rank_of` trains in round `when` (from 0), it does `work`."""
    known = parts_of_rounds.Trainer.train

    def before(rank):
        def train(self, sent, *rest):
            if rank == rank_of and sent.round == when:
                work()
            return known(self, sent, *rest)

        parts_of_rounds.Trainer.train = train

    return before


@pytest.mark.parametrize("victim", [1, 0])
def test_a_killed_process_is_named_and_the_same_command_continues(
    victim, config_file, small_config, tmp_path
):
    """Nothing but signs of life tells it here: no torchrun looks after these processes."""
    path = config_file(**CASES["ditto"])
    arguments = lambda rank: ["run", path, "--out", tmp_path / "o"]  # noqa: E731
    answers = command_ranks(3, arguments, failing(victim, 1, kill_myself))
    assert answers.pop(victim) == KILLED
    assert f"rank {victim} on {HOST}: was lost in round 2; the same command continues" in (
        answers[0].one_line()
    )
    assert (answers[1].code, answers[1].err) == (2, "")
    (folder,) = (tmp_path / "o").iterdir()
    assert len((folder / "rounds.jsonl").read_text().splitlines()) == 1
    assert all(answer.code == 0 for answer in command_ranks(2, arguments))
    whole = run(small_config({**BASE, **CASES["ditto"]}), tmp_path / "whole")
    assert digests(load_run(folder)) == digests(whole)


def test_a_client_that_fails_elsewhere_ends_the_run_as_here(config_file, tmp_path):
    method = tmp_path / "mine.py"
    method.write_text(
        "from algorithms.fedavg import FedAvg\n"
        "class Mine(FedAvg):\n"
        "    def local_update(self, client):\n"
        "        if client.round == 1:\n"
        "            raise KeyError('nothing')\n"
        "        return super().local_update(client)\n"
    )
    path = config_file(algorithm=f"{method}:Mine")
    only_rank_1 = failing(0, 1, lambda: None)
    answers = command_ranks(2, lambda rank: ["run", path, "--out", tmp_path / "o"], only_rank_1)
    assert "mine.py:5: Mine.local_update (client " in one_line(answers)


def test_clients_that_are_not_finite(config_file, small_config, tmp_path):
    """Left out everywhere, or the same line as of one process."""
    rate = {"client.lr": 1e30, "client.clip_norm": None, "rounds": 1}
    path = config_file(**rate)
    answers = command_ranks(2, lambda rank: ["run", path, "--out", tmp_path / "o"])
    line = one_line(answers)
    local = command("run", path, "engine.name=local", "--out", tmp_path / "l").one_line()
    assert line == local and "is not finite" in line


def test_uploads_left_out_are_those_of_one_process(small_config, tmp_path, monkeypatch):
    from fednlp.engines import client as clients

    known = clients.ClientRunner.run

    def broken(self, sent, assignment, state):
        upload = known(self, sent, assignment, state)
        if assignment.client in (2, 4):
            upload.problem, upload.decoded, upload.state = "its upload is broken", {}, None
        return upload

    monkeypatch.setattr(clients.ClientRunner, "run", broken)
    changes = {**CASES["ditto"], "client.on_nonfinite": "skip"}
    one = run(configs(small_config, [changes])[0], tmp_path / "one")
    run_ranks(2, configs(small_config, [changes], **TORCHRUN), tmp_path / "two")
    (two,) = sorted_runs(tmp_path / "two")
    assert digests(one) == digests(two)
    assert [r["skipped"] for r in one.rounds] == [r["skipped"] for r in two.rounds]
    assert any(r["skipped"] for r in one.rounds)


def test_a_process_that_drifts_gets_the_weights_again(alone, small_config, tmp_path, monkeypatch):
    """As where another processor rounds otherwise: the server's update is rank 0's everywhere."""
    from fednlp.engines.torchrun import follower

    known = follower.reduced
    monkeypatch.setattr(
        follower,
        "reduced",
        lambda *arguments: {k: t + 1e-7 for k, t in known(*arguments).items()},
    )
    given = []
    give = "fednlp.engines.torchrun.group.Group.give"
    from fednlp.engines.torchrun.group import Group

    whole = Group.give

    def counted(self, state):
        given.append(sorted(state))
        (tmp_path / "given").write_text(str(len(given)))
        whole(self, state)

    monkeypatch.setattr(give, counted)
    run_ranks(2, configs(small_config, [CASES["fedavg"]], **TORCHRUN), tmp_path / "o")
    assert digests(sorted_runs(tmp_path / "o")[0]) == digests(alone[0])
    assert int((tmp_path / "given").read_text()) > 3
