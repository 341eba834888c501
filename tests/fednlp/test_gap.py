"""The gap from hand-made runs, against numbers worked out on paper and SciPy."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from fednlp.results import tables
from fednlp.results.gap import Estimate, gaps
from fednlp.results.plots import plot_gaps
from fednlp.results.reading import FinishedRun
from fednlp.results.schema import Costs, Data, Model, Reference, Result, Score

FLOOR = 0.2


def finished(
    kind,
    seed,
    test,
    curve=(0.5,),
    *,
    last=None,
    budget="matched",
    algorithm="FedAvg",
    identity=None,
    partition=None,
    sizes=None,
    variant="",
    floor=FLOOR,
):
    """A run whose selected model scores `test`, with a validation value per round."""
    best = max(curve)
    central = kind == "centralized"

    def score(value, number):
        return Score(
            round=number,
            weights_sha256="",
            validation={"accuracy": curve[number - 1]},
            test={"accuracy": value},
            test_stderr=0.01,
        )

    def reference(budget, variant):
        return f"centralized {budget} {variant} {seed}"

    rounds = [
        {"round": n, "bytes_up": 0 if central else 60, "bytes_down": 0 if central else 40,
         "validation": {"accuracy": value}}
        for n, value in enumerate(curve, start=1)
    ]  # fmt: skip
    result = Result(
        kind=kind,
        id=reference(budget, variant)
        if central
        else f"{algorithm} {identity} {partition} {sizes} {seed}",
        folder="",
        task="text_classification",
        data=Data(name="topics", fingerprint="f", synthetic=True, examples=sizes or {"test": 100}),
        model=Model(name="tiny", trainable=10, frozen=0),
        partition=None if central else {
            "partitioner": "dirichlet", "parameters": {"alpha": 0.1}, "clients": 10,
            "achieved": {"js_distance": 0.4}, **(partition or {}),
        },
        algorithm=None if central else {"name": algorithm, "server": {"name": "SGD", "lr": 1.0}},
        client={"optimizer": "sgd", "lr": 0.1},
        seed=seed,
        primary_metric="accuracy",
        floor={"validation": {"accuracy": floor}, "test": {"accuracy": floor}},
        selected=score(test, curve.index(best) + 1),
        last=score(test if last is None else last, len(curve)),
        budget=budget if central else None,
        references=[] if central else [
            Reference(id=reference(b, v), folder="", budget=b)
            for b, v in ([(budget, variant)] if isinstance(budget, str) else budget)
        ],
        costs=Costs(
            rounds=len(curve), examples=1000, steps=120 if central else 130, real_tokens=1,
            padded_tokens=2, bytes_up=0 if central else 60 * len(curve),
            bytes_down=0 if central else 40 * len(curve), bytes_base=0, device_seconds=2.0,
            evaluation_seconds=1.0, wall_seconds=4.0, peak_memory_bytes=1,
        ),
    )  # fmt: skip
    content = {
        "kind": kind, "algorithm": algorithm, "seed": seed, "initial_weights": f"w{seed}",
        "sampling": {"clients_per_round": 5}, "frozen_weights": f"z{seed}",
        "budget": budget if central else None, **(identity or {}),
    }  # fmt: skip
    return FinishedRun(Path(f"runs/{kind}-{seed}"), result, content, rounds)


def pair(seed, central, federated, **options):
    return [
        finished("centralized", seed, central),
        finished("federated", seed, federated, **options),
    ]


def one(runs):
    (gap,) = gaps(runs)
    return gap


# one line of the table --------------------------------------------------------------------------


def test_three_seeds_paired_by_hand():
    """Gaps 0.10, 0.14, 0.12: mean 0.12, deviation 0.02, t(2, 97.5 %) = 4.302653."""
    runs = pair(0, 0.90, 0.80) + pair(1, 0.80, 0.66) + pair(2, 0.70, 0.58)
    gap = one(runs)
    assert gap.seeds == (0, 1, 2)
    assert gap.gap.mean == pytest.approx(0.12)
    assert gap.gap.half_width == pytest.approx(4.302653 * 0.02 / 3**0.5, rel=1e-5)
    low, high = stats.ttest_1samp([0.10, 0.14, 0.12], 0).confidence_interval(0.95)
    assert gap.gap.mean - gap.gap.half_width == pytest.approx(low)
    assert gap.gap.mean + gap.gap.half_width == pytest.approx(high)
    assert (gap.centralized, gap.federated) == (pytest.approx(0.8), pytest.approx(0.68))


def test_pairing_is_by_reference_not_by_order():
    """Unpaired, the interval would be that of two independent samples, far wider."""
    runs = pair(0, 0.90, 0.80) + pair(1, 0.50, 0.40) + pair(2, 0.70, 0.601)
    shuffled = [runs[i] for i in (3, 0, 4, 1, 5, 2)]
    gap = one(shuffled)
    assert gap == one(runs)
    assert gap.gap.mean == pytest.approx(0.1, abs=1e-3) and 0 < gap.gap.half_width < 0.002


def test_one_seed_has_no_interval():
    gap = one(pair(4, 0.9, 0.8))
    assert gap.seeds == (4,) and gap.gap.half_width is None
    assert gap.gap.mean == pytest.approx(0.1)
    assert str(gap.gap) == "+0.100"
    assert "One seed: there is no interval." in tables.footnotes([gap])


def test_equal_gaps_have_no_interval_either():
    """A width of 0 would claim that the mean is known exactly."""
    gap = one(pair(0, 0.9, 0.8) + pair(1, 0.7, 0.6) + pair(2, 0.8, 0.7))
    assert gap.gap.half_width is None and str(gap.gap) == "+0.100"
    assert "Equal in all seeds: there is no interval." in tables.footnotes([gap])


def test_a_negative_gap_is_shown_and_not_clipped():
    gap = one(pair(0, 0.70, 0.75))
    assert gap.gap.mean == pytest.approx(-0.05) and str(gap.gap).startswith("-0.050")
    assert gap.relative.mean == pytest.approx(-0.1)
    assert tables.cells(gap)[4] == "-10%"


def test_the_relative_gap_is_a_share_of_what_there_is_to_lose():
    """(0.9 - 0.8) / (0.9 - 0.2) and (0.7 - 0.5) / (0.7 - 0.2): mean of the ratios, per seed."""
    gap = one(pair(0, 0.9, 0.8) + pair(1, 0.7, 0.5))
    assert gap.relative.mean == pytest.approx((1 / 7 + 2 / 5) / 2)
    assert gap.floor == pytest.approx(0.2)


def test_no_relative_gap_where_centralized_learned_nothing():
    gap = one(pair(0, 0.9, 0.8) + pair(1, 0.2, 0.3))
    assert gap.relative is None and gap.gap.mean == pytest.approx(0.0)
    assert tables.cells(gap)[4] == "-"


def test_the_last_round_has_a_gap_of_its_own():
    runs = [
        finished("centralized", 0, 0.9, last=0.85),
        finished("federated", 0, 0.8, last=0.6),
    ]
    gap = one(runs)
    assert gap.gap.mean == pytest.approx(0.1) and gap.last.mean == pytest.approx(0.25)


@pytest.mark.parametrize("count", [2, 3, 6, 20])
def test_intervals_are_scipys(count):
    values = np.random.default_rng(count).normal(0.1, 0.03, count).tolist()
    estimate = Estimate.of(values)
    expected = stats.t.interval(0.95, count - 1, np.mean(values), stats.sem(values))
    low, high = estimate.mean - estimate.half_width, estimate.mean + estimate.half_width
    assert (low, high) == pytest.approx(expected) and estimate.seeds == count


# what it cost to get there ----------------------------------------------------------------------


def test_rounds_and_bytes_to_shares_of_centralized():
    """Centralized 0.7, floor 0.2: 90, 95 and 99 % are 0.65, 0.675 and 0.695; 100 bytes a round."""
    curve = (0.30, 0.60, 0.66, 0.64, 0.68, 0.69)
    runs = [
        finished("centralized", 0, 0.9, curve=(0.4, 0.7, 0.6)),
        finished("federated", 0, 0.8, curve=curve),
    ]
    assert one(runs).to_share == {"90": (3, 300), "95": (5, 500), "99": None}
    assert tables.cells(one(runs))[-1] == "3/5/-"


def test_bytes_count_rounds_without_validation_too():
    central = finished("centralized", 0, 0.9, curve=(0.7,))
    federated = finished("federated", 0, 0.8, curve=(0.3, 0.4, 0.7, 0.7))
    for skipped in (0, 1):
        del federated.rounds[skipped]["validation"]
    assert one([central, federated]).to_share["90"] == (3, 300)


def test_the_share_over_seeds_is_a_median_in_which_never_is_last():
    def run_to(seed, round):
        curve = [0.3] * 5
        if round:
            curve[round - 1 :] = [0.7] * (6 - round)
        return [
            finished("centralized", seed, 0.9, curve=(0.7,)),
            finished("federated", seed, 0.8, curve=tuple(curve)),
        ]

    def reached(*rounds):
        runs = [run for seed, number in enumerate(rounds) for run in run_to(seed, number)]
        return one(runs).to_share["90"]

    assert reached(5, 2, 3) == (3, 300)
    assert reached(None, 2, 3) == (3, 300)
    assert reached(None, None, 3) is None  # most never reach it
    assert reached(2, 4) == (4, 400)  # two seeds: the later one
    assert reached(None, 4) is None  # half of them is not most
    assert reached(None, 5, 2, 3) == (5, 500)


# which runs belong together -----------------------------------------------------------------------


def test_methods_and_settings_have_lines_of_their_own():
    runs = [*pair(0, 0.9, 0.8), finished("federated", 0, 0.7, algorithm="FedProx")]
    runs += [finished("federated", 0, 0.75, identity={"client": "other"})]
    table = gaps(runs)
    assert sorted(round(g.gap.mean, 3) for g in table) == [0.1, 0.15, 0.2]
    assert {g.algorithm for g in table} == {"FedAvg", "FedProx"}


def test_splits_that_differ_are_benchmarks_of_their_own():
    """All that was asked of a split, and the sizes of the data, are in the head of a block."""
    variants = [
        {"partition": {"skew": "label"}},
        {"partition": {"skew": "source"}},
        {"partition": {"skew": "label", "min_size": 5}},
        {"partition": {"skew": "label", "held_out": 0.2}},
        {"partition": {"skew": "label", "seed": 1}},
        {"partition": {"skew": "label"}, "sizes": {"test": 50}},
    ]
    runs = [finished("centralized", 0, 0.9, identity={"data": "f" * 64})]
    for number, options in enumerate(variants):
        identity = {"partition": f"{number}" * 64, "data": "f" * 64}
        runs.append(finished("federated", 0, 0.8, identity=identity, **options))
    table = gaps(runs)
    assert len({gap.benchmark for gap in table}) == len(table) == len(variants)
    assert {gap.method for gap in table} == {"FedAvg [sgd 0.1]"}
    heads = " ".join(gap.benchmark for gap in table)
    for words in ("dirichlet(alpha=0.1) by source", "min_size=5", "held_out=0.2", "50 examples"):
        assert words in heads, words


def test_data_that_differ_are_benchmarks_of_their_own():
    """Of one name and one size: two states of a user's file, say."""
    runs = []
    for letter, seeds in (("a", (0, 1)), ("b", (0,))):
        for seed in seeds:
            identity = {"data": letter * 64}
            runs += [
                finished("centralized", seed, 0.9, variant=letter, identity=identity),
                finished("federated", seed, 0.8, budget=[("matched", letter)], identity=identity),
            ]
            for run in runs[-2:]:
                object.__setattr__(run.result.data, "fingerprint", letter * 64)
    table = gaps(runs)
    assert [gap.benchmark.split(",")[0] for gap in table] == [
        "topics data=aaaaaaaa (synthetic)", "topics data=bbbbbbbb (synthetic)",
    ]  # fmt: skip
    assert [gap.seeds for gap in table] == [(0, 1), (0,)]
    assert {gap.data for gap in gaps(runs[:4])} == {"topics"}  # alone, its name will do


def test_stored_splits_are_told_apart_by_their_checksum():
    runs = [finished("centralized", 0, 0.9)]
    for split in ("a1", "b2"):
        identity = {"partition": split * 32}
        runs.append(
            finished("federated", 0, 0.8, identity=identity, partition={"partitioner": "file"})
        )
    assert sorted(gap.method.split()[-1] for gap in gaps(runs)) == [
        "partition=a1a1a1a1", "partition=b2b2b2b2",
    ]  # fmt: skip


def test_no_two_lines_of_a_benchmark_have_one_name():
    """Whatever it is that they differ in: here, a setting too long to show."""
    runs = [finished("centralized", 0, 0.9)]
    runs += [finished("federated", 0, 0.8, identity={"note": c * 30}) for c in "xyz"]
    assert len({gap.method for gap in gaps(runs)}) == 3


def test_a_reference_at_its_own_rate_is_named():
    runs = [finished("centralized", 0, 0.9, identity={"client": {"lr": 0.1}})]
    runs += [finished("centralized", 0, 0.94, variant="t", identity={"client": {"lr": 0.3}})]
    both = [("matched", ""), ("matched", "t")]
    runs += [finished("federated", 0, 0.8, budget=both, identity={"client": {"lr": 0.1}})]
    names = {gap.method for gap in gaps(runs)}
    assert names == {"FedAvg [sgd 0.1]", "FedAvg [sgd 0.1] centralized.client.lr=0.3"}


def test_every_line_is_drawn(tmp_path, monkeypatch):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    drawn = []
    monkeypatch.setattr(plt, "close", drawn.append)
    table = gaps([
        finished("centralized", 0, 0.9),
        *(finished("federated", 0, 0.8, identity={"partition": c * 64}) for c in "ab"),
    ])  # fmt: skip
    (path,) = plot_gaps(table, tmp_path / "plots")
    assert path.is_file() and path.with_suffix(".svg").is_file()
    names = [text.get_text() for text in drawn[0].axes[1].get_legend().get_texts()]
    assert {gap.method for gap in table} <= set(names)


def test_test_examples_that_are_nobodys_are_told(table):
    assert "no client's share" not in " ".join(tables.footnotes(table))
    partition = {"achieved": {"test_unassigned": 30}}
    found = gaps([
        finished("centralized", 0, 0.9), finished("federated", 0, 0.8, partition=partition),
    ])  # fmt: skip
    assert "30 test examples" in " ".join(tables.footnotes(found))


def test_two_budgets_are_two_lines():
    runs = [
        finished("centralized", 0, 0.9),
        finished("centralized", 0, 0.95, budget="converged"),
        finished("federated", 0, 0.8, budget=[("matched", ""), ("converged", "")]),
    ]
    assert {g.budget: round(g.gap.mean, 3) for g in gaps(runs)} == {
        "matched": 0.1, "converged": 0.15,
    }  # fmt: skip


def test_two_references_of_one_budget_are_not_two_seeds():
    """The reference trained again at its own tuned rate: another comparison, not more evidence."""
    runs = [
        finished("centralized", 0, 0.9),
        finished("centralized", 0, 0.94, variant="tuned", identity={"client": "tuned"}),
        finished("federated", 0, 0.8, budget=[("matched", ""), ("matched", "tuned")]),
    ]
    table = gaps(runs)
    assert all(g.seeds == (0,) and g.gap.half_width is None for g in table)
    assert sorted(round(g.gap.mean, 3) for g in table) == [0.1, 0.14]


def test_a_copy_of_a_run_is_not_another_seed():
    """A folder that was copied or renamed: the same id, counted once."""
    runs = pair(0, 0.9, 0.8)
    (gap,) = gaps([*runs, finished("federated", 0, 0.8), *pair(1, 0.8, 0.6)])
    assert gap.seeds == (0, 1) and gap.gap.mean == pytest.approx(0.15)


def test_a_missing_reference_is_named_not_guessed():
    problems = []
    runs = [finished("centralized", 1, 0.9), finished("federated", 0, 0.8)]
    assert gaps(runs, problems) == []
    assert len(problems) == 1 and "runs/federated-0" in problems[0]


# its forms ---------------------------------------------------------------------------------------


@pytest.fixture
def table():
    return gaps(
        pair(0, 0.9, 0.8)
        + pair(1, 0.8, 0.66)
        + [finished("federated", 0, 0.85, algorithm="FedProx")]
    )


def test_json_and_csv_carry_the_numbers(table):
    rows = json.loads(tables.text(table, "json"))
    assert [row["algorithm"] for row in rows] == [gap.algorithm for gap in table]
    by_name = {row["algorithm"]: row for row in rows}
    assert by_name["FedAvg"]["gap"] == pytest.approx(0.12)
    assert by_name["FedAvg"]["seeds"] == "0 1" and by_name["FedAvg"]["gap_half_width"] > 0
    assert by_name["FedProx"]["gap_half_width"] is None
    assert by_name["FedProx"]["steps_centralized"] == 120
    assert by_name["FedProx"]["steps_federated"] == 130
    found = list(csv.DictReader(io.StringIO(tables.text(table, "csv"))))
    assert [float(row["gap"]) for row in found] == pytest.approx([row["gap"] for row in rows])


def test_markdown_has_as_many_cells_in_every_line(table):
    first, _, compared = tables.text(table, "markdown").partition("\n\n")
    assert compared.startswith("| benchmark | method | seeds | gap | sd |")
    lines = first.splitlines()
    assert len(lines) == 2 + len(table) and len({line.count("|") for line in lines}) == 1
    assert r"\(synthetic\)" in lines[2]


def test_the_terminal_table_says_what_it_rests_on(table):
    from rich.console import Console

    console = Console(record=True, width=140, file=io.StringIO())
    console.print(tables.terminal(table))
    text = console.export_text()
    assert "centralized" in text and "matched" in text and "floor 0.200" in text
    assert "(synthetic)" in text and "FedProx" in text
    notes = " ".join(tables.footnotes(table))
    assert "Untuned" in notes and "no significance" in notes and "not real text" in notes
