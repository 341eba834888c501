"""A suite: the product of its axes, refused as a whole before anything runs."""

from __future__ import annotations

import pytest
import yaml
from harness import command, written

from fednlp.errors import UserError
from fednlp.jobs.job import Wanted, plan_jobs
from fednlp.results.run_folder import RunFolder
from fednlp.suite import load_suite, read_suite


@pytest.fixture
def suite_file(small_data, tmp_path):
    def write(**changes):
        data = {"name": "s", "base": small_data(), "seeds": [0, 1],
                "matrix": {"algorithm": ["fedavg", {"name": "fedprox", "mu": 0.1}],
                           "skew": {"even": {"partition.name": "uniform"},
                                    "odd": {"partition": {"name": "dirichlet", "alpha": 0.1,
                                                          "clients": 4}}}}}  # fmt: skip
        data |= changes
        path = tmp_path / "suite.yaml"
        path.write_text(yaml.safe_dump({k: v for k, v in data.items() if v is not None}))
        return path

    return write


def test_a_suite_is_the_product_of_its_axes_and_seeds(suite_file):
    runs = load_suite(suite_file(), ["rounds=3"])
    assert len(runs) == len({run.label for run in runs}) == 8
    assert all(run.config.rounds == 3 for run in runs)
    found = {
        (r.config.algorithm.name, r.config.partition.name, r.config.seed): r.config for r in runs
    }
    assert len(found) == 8
    assert found["fedprox", "dirichlet", 1].algorithm.parameters == {"mu": 0.1}
    assert found["fedavg", "dirichlet", 0].partition.parameters == {"alpha": 0.1}
    assert found["fedavg", "uniform", 0].partition.parameters == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"matirx": {}}, ["suite.yaml:", "matirx: unknown key", "did you mean 'matrix'?"]),
        ({"seeds": 3}, ["suite.yaml: seeds", "found 3", "list"]),
        ({"seeds": [0, -1, 1.5, "x"]}, ["suite.yaml: seeds: found -1, 1.5, 'x'; expected"]),
        ({"seeds": [3, 0, 3]}, ["suite.yaml: seeds: found 3 twice"]),
        ({"matrix": [1]}, ["suite.yaml: matrix", "mapping"]),
        ({"matrix": {"algorithm": []}}, ["suite.yaml: matrix.algorithm", "a non-empty list"]),
        ({"matrix": {"algorithm": [None]}}, ["found None; expected a name or a mapping with"]),
        ({"matrix": {"client": [3]}}, ["found 3; expected a mapping of keys to values"]),
        ({"matrix": {"algorithm": "fedavg"}}, ["suite.yaml: matrix.algorithm", "'fedavg'"]),
        ({"matrix": {"x": {"one": 3}}}, ["suite.yaml: matrix.x.one", "found 3"]),
        ({"matrix": {1: [2]}}, ["suite.yaml: matrix", "key 1"]),
        ({"matrix": {"x": {"one": {3: 3}}}}, ["suite.yaml: matrix.x.one", "key 3"]),
        ({"matrix": {"client.lrr": [1, 2]}}, ["suite.yaml", "client.lrr 1", "did you mean 'lr'"]),
        ({"matrix": {"x": {"one": {"client.optimizer": "adamw", "client.momentum": 0.5}}}},
         ["suite.yaml", "one", "client.momentum"]),
        ({"matrix": {"algorithm": ["fedavg", "fedprix"]}}, ["suite.yaml", "fedprix"]),
        ({"base": 3}, ["suite.yaml: base", "found 3"]),
        ({"base": "nowhere.yaml"}, ["nowhere.yaml", "no such file"]),
        ({"base": None}, ["suite.yaml", "is missing"]),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_bad_suite_is_one_line_before_anything_runs(changes, words, suite_file, tmp_path):
    out = tmp_path / "runs"
    line = command("suite", suite_file(**changes), "--out", out).one_line()
    assert all(word in line for word in words), line
    assert not list(out.glob("*/*"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"partition.skew": "mood"}, ["partition.skew", "'mood'"]),
        (
            {"partition": {"name": "cluster", "alpha": 1.0, "clients": 4, "encoder": "tiny"}},
            ["partition.encoder", "from scratch"],
        ),
        ({"partition.encoder": "bert-base-uncased"}, ["partition.encoder", "clusters nothing"]),
        ({"model.layers": 1}, ["model.layers", "from scratch"]),
        ({"tokens.max_length": 4096}, ["max_length", "4096", "256"]),
        ({"dataset": "synthetic_facts", "tokens.doc_stride": 48}, ["tokens.doc_stride", "48"]),
        ({"dataset.sizes.tarin": 5}, ["sizes.tarin", "train"]),
        ({"dataset": {"name": "squad", "sizes": {"train": 5}}}, ["sizes", "use limit"]),
        ({"dataset": "e2e_nlg", "partition": "natural"}, ["partition.name", "natural clients"]),
    ],
    ids=lambda value: next(reversed(value)) if isinstance(value, dict) else "",
)
def test_what_cards_tell_is_found_before_a_suite_starts(changes, words, suite_file, tmp_path):
    """Not after hours, when the turn of the last run comes."""
    out, matrix = tmp_path / "runs", {"x": {"good": {}, "bad": changes}}
    line = command("suite", suite_file(matrix=matrix), "--out", out).one_line()
    assert all(word in line for word in ["(bad / seed 0)", *words]), line
    assert not list(out.glob("*/*"))


def test_a_suite_plots_its_own_runs_if_there_is_a_gap(small_data, tmp_path):
    out = tmp_path / "runs"
    written(tmp_path, one=small_data(), suite={"base": "one.yaml"})
    alone = command("suite", tmp_path / "suite.yaml", "centralized.budget=none", "--out", out)
    assert alone.code == 0 and not (out / "plots").exists(), alone.err
    assert command("run", tmp_path / "one.yaml", "rounds=1", "--out", out).code == 0
    assert command("suite", tmp_path / "suite.yaml", "--out", out).code == 0
    (path,) = (out / "plots").glob("*.png")
    assert "2-rounds" in path.name


def test_entries_of_one_name_are_told_apart(suite_file):
    matrix = {"algorithm": [{"name": "fedprox", "mu": mu} for mu in (0.1, 1.0)] + ["fedavg"]}
    labels = [run.label for run in load_suite(suite_file(matrix=matrix, seeds=[0]), [])]
    assert labels == [
        "algorithm fedprox mu=0.1 / seed 0",
        "algorithm fedprox mu=1.0 / seed 0",
        "algorithm fedavg / seed 0",
    ]


def test_an_entry_that_stands_twice_is_refused(suite_file):
    line = command("suite", suite_file(matrix={"algorithm": ["fedavg", "fedavg"]})).one_line()
    assert "matrix: has 'algorithm fedavg' twice" in line


def test_a_key_of_a_merged_mapping_may_be_set_anew(small_data, tmp_path):
    """`<<: *other` is how variants share what they have in common."""
    written(tmp_path, base=small_data())
    (tmp_path / "suite.yaml").write_text(
        "base: base.yaml\n"
        "matrix:\n"
        "  x:\n"
        "    one: &one {rounds: 3, client.lr: 0.5}\n"
        "    two: {<<: *one, rounds: 4}\n"
    )
    one, two = [run.config for run in load_suite(tmp_path / "suite.yaml", [])]
    assert (one.rounds, one.client.lr, two.rounds, two.client.lr) == (3, 0.5, 4, 0.5)


@pytest.mark.parametrize(
    ("changes", "overrides", "words"),
    [
        ({}, ["seed=5"], "override 'seed=5': sets the seed; expected the list `seeds`"),
        ({"matrix": {"seed": [0, 1]}}, [], "matrix: sets the seed; expected the list `seeds`"),
        ({"matrix": {"a": {"x": {"seed": 3}}}}, [], "matrix.a.x: sets the seed"),
        (
            {"matrix": {"a": {"x": {"rounds": 1}, "y": {"rounds": 1}}}}, [],
            "'x' and 'y' are the same run",
        ),
        (
            {"matrix": {"a": {"x": {"rounds": 1}, "y": {"rounds": 2}}, "rounds": [3, 4]}}, [],
            "matrix.a: 'x' sets rounds, which axis 'rounds' overrides in every combination; set",
        ),
        (
            {"matrix": {"rounds": [1, 2], "z": {"x": {"rounds": 1}, "y": {"rounds": 2}}}}, [],
            "'rounds 1 / x' and 'rounds 2 / x' are the same run; drop one; a later axis sets again",
        ),
    ],
)  # fmt: skip
def test_what_would_be_run_under_two_names(changes, overrides, words, small_data, tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump({"base": small_data(), **changes}))
    with pytest.raises(UserError) as error:
        read_suite(path, overrides)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("later", "key"),
    [
        ({"two": {"client.lr": 0.2}}, "client.lr"),
        ({"two": {"client": {"lr": 0.2}}, "three": {"client.lr": 0.3}}, "client.lr"),
        ({"two": {"partition": {"name": "quantity", "clients": 4}}}, "partition.alpha"),
        ({"two": {"client.lr": 0.2}, "three": {"rounds": 3}}, None),  # has an effect in three
        ({"two": {"client.lr": 0.1}, "three": {"client.lr": 0.2}}, None),  # is that of two
        ({"two": {"partition.min_size": 2}}, None),
        ({"two": {"partition": {"name": "dirichlet", "min_size": 2}}}, None),
    ],
)
def test_what_a_later_axis_overrides_in_every_combination_is_refused(later, key, suite_file):
    split = {"name": "dirichlet", "alpha": 0.1, "clients": 4}
    matrix = {"x": {"one": {"client.lr": 0.1, "partition": split}}, "y": later}
    path = suite_file(matrix=matrix)
    if key is None:
        assert load_suite(path, [])
        return
    with pytest.raises(UserError) as error:
        read_suite(path, [])
    words = f"suite.yaml: matrix.x: 'one' sets {key}, which axis 'y' overrides in every combination"
    assert words in str(error.value)


def test_a_run_is_no_suite_and_a_suite_no_run(suite_file, small_data, tmp_path):
    written(tmp_path, run=small_data())
    suite, run = suite_file(), tmp_path / "run.yaml"
    line = command("run", suite, "--out", tmp_path / "runs").one_line()
    assert "suite.yaml: is a suite" in line and "use the command suite" in line
    line = command("suite", run, "--out", tmp_path / "runs").one_line()
    assert "run.yaml: is a configuration of one run" in line and "use the command run" in line
    outer = tmp_path / "outer.yaml"
    outer.write_text("base: suite.yaml\nmatrix: {rounds: [1, 2]}\n")
    line = command("suite", outer, "--out", tmp_path / "runs").one_line()
    assert "outer.yaml: base: " in line and "suite.yaml is a suite" in line
    assert not (tmp_path / "runs").exists()


def test_a_reference_that_another_suite_is_making_is_told_once(suite_file, tmp_path):
    path, out = (
        suite_file(seeds=[0], matrix={"algorithm": ["fedavg", "fedavgm", "fedadam"]}),
        tmp_path,
    )
    wanted = [Wanted(run.label, run.config) for run in load_suite(path, [])]
    (reference,) = [job for job in plan_jobs(wanted, out).jobs if job.kind == "centralized"]
    with RunFolder(out / reference.path.name):
        answer = command("suite", path, "--out", out)
    assert answer.code == 2
    told = [line for line in answer.err.splitlines() if "is held by process" in line]
    assert len(told) == 2, answer.err  # when it is found, and below the table
    assert told[0].startswith(
        "error: algorithm fedavg / seed 0, centralized (and 3 that need it): "
    )
    assert "(algorithm fedavg / seed 0 and 2 more)" in told[1]
