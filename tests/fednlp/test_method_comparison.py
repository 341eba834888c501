"""Methods of a benchmark compared: from runs to tables and the `gap` command."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from harness import DATASETS, command, run, run_both
from rich.console import Console
from scipy import stats
from test_gap import finished

from fednlp.errors import UserError
from fednlp.results import comparison_tables, tables
from fednlp.results.example_comparison import Primary, example_difference
from fednlp.results.gap import gaps
from fednlp.results.method_comparison import contests, score

AVG = [0.80, 0.81, 0.79, 0.82, 0.78, 0.80]
PROX = [0.85, 0.84, 0.85, 0.86, 0.83, 0.84]


def benchmark(central=0.9, seeds=6, **methods):
    """One reference per seed and, per method, a federated run for each of its scores."""
    runs = [finished("centralized", seed, central) for seed in range(seeds)]
    for name, scores in methods.items():
        runs += [finished("federated", s, v, algorithm=name) for s, v in enumerate(scores)]
    return runs


def contest(runs):
    (found,) = contests(gaps(runs))
    return found


# from runs ---------------------------------------------------------------------------------------


def test_two_methods_on_six_seeds_against_scipy():
    found = contest(benchmark(FedAvg=AVG, FedProx=PROX))
    (pair,) = found.pairs
    assert (pair.first, pair.second) == ("FedProx [sgd 0.1]", "FedAvg [sgd 0.1]")
    assert pair.t_p == pytest.approx(stats.ttest_rel(PROX, AVG).pvalue)
    assert pair.better == "FedProx [sgd 0.1]"
    best, other = found.standings
    assert best.line.method == pair.first and str(best.rank) == "1" and str(other.rank) == "2"
    assert best.gap.mean == pytest.approx(0.9 - np.mean(PROX))
    assert best.gap.std == pytest.approx(np.std(PROX, ddof=1)) == best.federated.std
    assert best.test_stderr == pytest.approx(0.01)


def test_below_six_seeds_ranks_are_tied_and_words_say_why():
    found = contest(benchmark(seeds=3, FedAvg=AVG[:3], FedProx=PROX[:3]))
    assert [str(s.rank) for s in found.standings] == ["1-2", "1-2"]
    (words,) = comparison_tables.sentences(found)
    assert "fewer than 6 seeds: no claim; seeds needed at 80 % power: " in words


def test_seeds_that_only_one_method_has_are_left_out_of_the_pair():
    found = contest(benchmark(FedAvg=AVG, FedProx=PROX[:2]))
    assert found.pairs[0].seeds == (0, 1)
    assert sorted(s.gap.seeds for s in found.standings) == [2, 6]


def test_two_references_of_one_run_are_one_method():
    """Its gaps differ; the federated scores are one and the same and cannot differ."""
    budgets = [("matched", ""), ("converged", "")]
    runs = [finished("centralized", s, 0.9 + s / 100) for s in range(2)]
    runs += [finished("centralized", s, 0.95, budget="converged") for s in range(2)]
    runs += [finished("federated", s, AVG[s], budget=budgets) for s in range(2)]
    runs += [finished("federated", s, PROX[s], algorithm="FedProx") for s in range(2)]
    found = contest(runs)
    assert len(found.standings) == 3 and len(found.pairs) == 1
    names = {found.pairs[0].first, found.pairs[0].second}
    assert names <= {s.line.method for s in found.standings}
    assert len(found.runs) == 2


def test_benchmarks_are_families_of_their_own():
    runs = benchmark(FedAvg=AVG, FedProx=PROX)
    other = {"partition": {"skew": "source"}, "identity": {"partition": "b" * 64}}
    for name, scores in (("FedAvg", AVG), ("FedProx", PROX)):
        runs += [finished("federated", s, v, algorithm=name, **other) for s, v in enumerate(scores)]
    found = contests(gaps(runs))
    assert len(found) == 2 and all(c.pairs[0].family == 1 for c in found)


def test_a_lone_method_is_first_of_one():
    found = contest(benchmark(FedAvg=AVG))
    assert str(found.standings[0].rank) == "1" and found.pairs == ()
    assert comparison_tables.worth_comparing([found]) == []


def test_a_negative_gap_ranks_before_a_positive_one():
    found = contest(benchmark(central=0.82, FedAvg=AVG, FedProx=PROX))
    assert found.standings[0].gap.mean < 0 < found.standings[1].gap.mean
    assert comparison_tables.cells(found.standings[0])[2].startswith("-0.0")


# its forms ---------------------------------------------------------------------------------------


def text_of(renderable):
    console = Console(record=True, width=160, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def test_terminal_and_markdown_say_the_same():
    found = [contest(benchmark(FedAvg=AVG, FedProx=PROX))]
    shown, marked = text_of(comparison_tables.terminal(found)), comparison_tables.as_markdown(found)
    for words in ("FedProx [sgd 0.1] is better", "[+0.04", "0.010"):
        assert words in shown and words in marked.replace("\\", "")
    rows = [line for line in marked.splitlines() if line.startswith("|")]
    assert len(rows) == 4 and len({row.count("|") for row in rows}) == 1


def test_a_narrow_terminal_has_paragraphs():
    found = [contest(benchmark(FedAvg=AVG, FedProx=PROX))]
    shown = text_of(comparison_tables.terminal(found, width=60))
    assert "\nFedAvg [sgd 0.1]\n seeds: 6\n" in shown and " rank: 2\n" in shown
    assert "\n\n- FedProx" in shown  # the pairs stand apart from the last paragraph


def test_many_pairs_are_told_in_short():
    scores = {f"M{n}": AVG for n in range(5)} | {"Best": PROX}
    found = contest(benchmark(**scores))
    told = comparison_tables.sentences(found)
    assert len(found.pairs) == 15 and len(told) == 6
    assert told[-1] == "no difference shown in 10 of 15 pairs (--pairs)"
    assert [str(s.rank) for s in found.standings] == ["1", *["2-6"] * 5]


def test_rows_gain_columns_without_losing_any():
    table = gaps(benchmark(FedAvg=AVG, FedProx=PROX))
    rows = json.loads(tables.text(table, "json"))
    assert set(table[0].as_row()) <= set(rows[0])
    by_name = {row["algorithm"]: row for row in rows}
    assert (by_name["FedProx"]["rank_best"], by_name["FedProx"]["rank_worst"]) == (1, 1)
    assert by_name["FedAvg"]["gap_std"] == pytest.approx(np.std(AVG, ddof=1))
    low, high = by_name["FedAvg"]["gap_t_low"], by_name["FedAvg"]["gap_t_high"]
    half = by_name["FedAvg"]["gap_half_width"]
    assert (low + half, high - half) == pytest.approx([by_name["FedAvg"]["gap"]] * 2)
    assert by_name["FedAvg"]["gap_bootstrap_low"] is None
    header = next(csv.reader(io.StringIO(tables.text(table, "csv"))))
    assert header == list(rows[0])


def test_pairs_as_rows():
    found = contest(benchmark(FedAvg=AVG, FedProx=PROX))
    each = [(found, found.pairs[0], None)]
    (row,) = json.loads(comparison_tables.pairs_text(each, "json"))
    assert row["better"] == "FedProx [sgd 0.1]" and row["seeds"] == "0 1 2 3 4 5"
    assert row["needed_seeds"] == 6 and row["examples_p"] is None and row["t_low"] > 0
    assert next(csv.reader(io.StringIO(comparison_tables.pairs_text(each, "csv")))) == list(row)


# test examples ------------------------------------------------------------------------------------


def with_predictions(found, folder, right, hashes=None):
    """The run with stored predictions, of which those in `right` [n] are right."""
    path = folder / f"{found.result.algorithm['name']}-{found.result.seed}"
    path.mkdir()
    gold = np.zeros(len(right), np.int64)
    columns = {
        "content_sha256": hashes or [f"{n}" for n in range(len(right))],
        "selected_prediction": ["0"] * len(right),
        "selected_accuracy": np.asarray(right, float),
        "selected_gold": gold,
        "selected_predicted": 1 - np.asarray(right, np.int64),
        "last_accuracy": np.zeros(len(right)),
    }
    pd.DataFrame(columns).to_parquet(path / "predictions.parquet", index=False)
    return replace(found, path=path)


def two_runs(tmp_path, first, second, **options):
    runs = [
        finished("federated", 0, float(np.mean(right)), algorithm=name)
        for name, right in (("A", first), ("B", second))
    ]
    a = with_predictions(runs[0], tmp_path, first)
    return {0: a}, {0: with_predictions(runs[1], tmp_path, second, **options)}


def test_the_stored_predictions_of_two_runs(tmp_path):
    rng = np.random.default_rng(0)
    first, second = rng.random(200) < 0.9, rng.random(200) < 0.6
    found = example_difference(*two_runs(tmp_path, first, second))
    assert found.examples == 200
    assert found.difference == pytest.approx(first.mean() - second.mean())
    expected = np.std(first.astype(float) - second, ddof=1) / 200**0.5
    assert found.stderr == pytest.approx(expected, rel=0.1) and found.p < 0.01


def test_other_examples_other_scores_and_no_file_are_refused(tmp_path):
    right = [1, 0] * 20
    (tmp_path / "a").mkdir()
    others = [f"other {n}" for n in range(40)]
    with pytest.raises(UserError, match="other test examples"):
        example_difference(*two_runs(tmp_path / "a", right, right, hashes=others))
    (tmp_path / "b").mkdir()
    first, second = two_runs(tmp_path / "b", right, right)
    edited = pd.read_parquet(second[0].path / "predictions.parquet")
    edited["selected_accuracy"] = 1.0
    edited.to_parquet(second[0].path / "predictions.parquet")
    with pytest.raises(UserError, match=r"scores 1\.000000.*result\.json"):
        example_difference(first, second)
    (second[0].path / "predictions.parquet").write_bytes(b"PAR1 of something")
    with pytest.raises(UserError, match="not readable as predictions"):
        example_difference(first, second)
    (second[0].path / "predictions.parquet").unlink()
    with pytest.raises(UserError, match="no such file"):
        example_difference(first, second)
    with pytest.raises(UserError, match="no seed in common"):
        example_difference(first, {1: second[0]})


@pytest.mark.parametrize("task", DATASETS)
def test_stored_predictions_score_as_the_result_says(task, small_config, tmp_path):
    """On every task, entity F1 and all: what is resampled is the metric itself."""
    changes = {"dataset.name": DATASETS[task], "rounds": 1, "centralized.budget": "none"}
    found = run(small_config(changes), tmp_path)
    table = pd.read_parquet(found.path / "predictions.parquet")
    columns = {
        name[len("selected_") :]: table[name].to_numpy()
        for name in table
        if name.startswith("selected_") and name != "selected_prediction"
    }
    assert Primary(task)(columns) == pytest.approx(score(found), abs=1e-12)
    same = example_difference({0: found}, {0: found})
    assert (same.difference, same.interval, same.examples) == (0.0, None, len(table))


# the command --------------------------------------------------------------------------------------


def test_the_command_compares_real_runs(small_config, tmp_path):
    out = tmp_path / "runs"
    for seed in (0, 1):
        run_both(small_config({"seed": seed}), out)
        prox = {"seed": seed, "algorithm": {"name": "FedProx", "mu": 5.0}}
        run_both(small_config(prox), out)
    shown = command("gap", out)
    assert shown.code == 0 and "Methods compared on the same seeds" in shown.out
    assert "fewer than 6 seeds: no claim" in " ".join(shown.out.split())
    pairs = command("gap", out, "--pairs")
    assert pairs.code == 0 and re.search(r"over 80 test examples", pairs.out)
    (row,) = json.loads(command("gap", out, "--pairs", "--format", "json").out)
    assert row["examples"] == 80 and row["seeds"] == "0 1" and row["better"] is None
    for path in out.glob("*FedProx*/predictions.parquet"):
        path.unlink()
    damaged = command("gap", out, "--pairs")
    assert damaged.code == 0 and "no such file" in damaged.err and "no claim" in damaged.out


def test_one_method_has_no_pairs(small_config, tmp_path):
    run_both(small_config({"rounds": 1}), tmp_path)
    assert "Methods compared" not in command("gap", tmp_path).out
    assert "no two methods" in command("gap", tmp_path, "--pairs").one_line()
