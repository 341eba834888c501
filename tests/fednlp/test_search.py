"""A search: equal budgets, ties, divergence, edges, and what its section of a suite may say."""

from __future__ import annotations

import pytest
import yaml
from harness import command

from fednlp.search import select, settings

GRID = {"client.lr": [0.1, 0.2, 0.3], "algorithm.mu": [1, 2]}


def test_all_combinations_in_the_order_of_the_values():
    assert settings(GRID, 6) == [
        {"client.lr": lr, "algorithm.mu": mu} for lr in (0.1, 0.2, 0.3) for mu in (1, 2)
    ]


def test_a_drawn_part_is_that_many_different_ones_and_the_same_each_time():
    part, every = settings(GRID, 4), settings(GRID, 6)
    assert part == settings(GRID, 4) and len(part) == 4
    assert part == [values for values in every if values in part]
    huge = {name: list(range(10)) for name in "abcde"}
    assert len({tuple(v.values()) for v in settings(huge, 50)}) == 50


def chosen(*scores, values=(0.1, 0.2, 0.3)):
    grid = {"client.lr": list(values)}
    tried = [{"client.lr": value} for value in values]
    return select(grid, tried, [list(s) for s in scores], (7, 8), 5)


def test_the_best_mean_over_the_seeds_wins():
    found = chosen((0.9, 0.1), (0.6, 0.6), (0.5, 0.5))
    assert found.trials[found.chosen].values == {"client.lr": 0.2}
    assert [trial.validation for trial in found.trials] == [0.5, 0.6, 0.5]
    assert (found.seeds, found.rounds, found.tied, found.edges) == ([7, 8], 5, 0, [])


def test_of_equals_the_first_and_it_is_said():
    found = chosen((0.2, 0.2), (0.5, 0.5), (0.5, 0.5))
    assert (found.chosen, found.tied) == (1, 1)


def test_a_diverged_trial_is_the_worst_there_is():
    found = chosen((0.0, 0.0), (None, 0.99), (None, None))
    assert (found.chosen, found.edges) == (0, ["client.lr"])
    assert [trial.validation for trial in found.trials] == [0.0, None, None]
    assert chosen((None, 0.5), (None, None), (0.5, None)) is None


def test_edges_are_those_of_numbers_whatever_their_order():
    assert chosen((0.0,), (0.9,), (0.1,), values=(0.2, 0.1, 0.3)).edges == ["client.lr"]
    assert chosen((0.9,), (0.0,), (0.1,), values=(0.2, 0.1, 0.3)).edges == []
    assert chosen((0.9,), (0.0,), values=("a", "b")).edges == []
    assert chosen((0.9,), values=(0.2,)).edges == []


def test_edges_of_a_drawn_part_are_those_of_the_part_too():
    grid, tried = {"client.lr": [0.1, 0.2, 0.3, 0.4]}, [{"client.lr": 0.2}, {"client.lr": 0.3}]
    assert select(grid, tried, [[0.1], [0.9]], (7,), 5).edges == ["client.lr"]


TUNE = {"trials": 2, "seeds": [9], "search": {"client.lr": [0.1, 0.2]}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trails": 3}, ["tune.trails: unknown key", "did you mean 'trials'?"]),
        ({"trials": None}, ["tune.trials: found None"]),
        ({"trials": 0}, ["tune.trials: found 0"]),
        ({"trials": True}, ["tune.trials: found True"]),
        ({"rounds": 1.5}, ["tune.rounds: found 1.5"]),
        ({"seeds": []}, ["tune.seeds: found []"]),
        ({"seeds": [1, 1]}, ["tune.seeds: found 1 twice", "different"]),
        ({"seeds": [0]}, ["tune.seeds: 0 is a seed of the final runs too", "reuse_seeds"]),
        ({"reuse_seeds": "yes"}, ["tune.reuse_seeds: found 'yes'"]),
        ({"search": [1]}, ["tune.search: found [1]"]),
        ({"search": {"client.lr": 0.1}}, ["tune.search.client.lr: found 0.1", "a list"]),
        ({"search": {"client.lr": [0.1, 0.1]}}, ["tune.search.client.lr", "different"]),
        ({"search": {"rounds": [1, 2]}}, ["tune.search.rounds: cannot be searched for"]),
        ({"search": {"client.epochs": [1, 2]}}, ["client.epochs", "changes what is compared"]),
        ({"search": {"partition.alpha": [1, 2]}}, ["partition.alpha: cannot be searched for"]),
        ({"search": {"client.lrr": [1, 2]}}, ["client.lrr: unknown key", "did you mean 'lr'?"]),
        ({"search": {"client.lr": [0.1, -1.0]}}, ["lr: found -1.0", "trial 2"]),
        ({"search": {"server.lr": [0.1, 0.2]}}, ["name keys of `client` in tune.centralized"]),
        ({"trials": 3}, ["tune, centralized", "2 combinations for 3 trials"]),
        ({"variants": {"fedprix": {}}}, ["variants.fedprix: is no entry", "'fedprox'"]),
        ({"variants": {"fedprox": {"algorithm.nu": [1, 2]}}}, ["algorithm.nu", "unknown key"]),
        ({"variants": {"fedprox": {"client.lr": [0.1]}}}, ["tune, federated (fedprox)", "1 comb"]),
        ({"centralized": {"epochs": [1, 2]}}, ["centralized.epochs", "changes what is compared"]),
        ({"centralized": {"rl": [1, 2]}}, ["centralized.client.rl", "unknown key"]),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_bad_search_is_one_line_before_anything_runs(changes, words, small_data, tmp_path):
    variants = {"fedavg": {}, "fedprox": {"algorithm": {"name": "fedprox", "mu": 0.1}}}
    data = {"base": small_data(), "matrix": {"method": variants}, "tune": {**TUNE, **changes}}
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(data))
    line = command("suite", tmp_path / "suite.yaml", "--out", tmp_path / "runs").one_line()
    assert all(word in line for word in ["suite.yaml", *words]), line
    assert not (tmp_path / "runs").exists()


def test_what_is_searched_for_cannot_be_given_too(small_data, tmp_path):
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump({"base": small_data(), "tune": TUNE}))
    line = command("suite", tmp_path / "suite.yaml", "client.lr=3", "--out", tmp_path).one_line()
    assert "override 'client.lr=3'" in line and "searched for" in line
