"""What is asked of `partition make`, `sweep` and `import`: said once, used or refused."""

from __future__ import annotations

import csv

import pytest
from harness import command

from partitioners import Partition

SIZES = "dataset.sizes={train: 120, validation: 20, test: 60}"
MAKE = ("partition", "make", "--dataset", "synthetic_topics", "--clients", "6", SIZES)
DIRICHLET = (*MAKE, "--partitioner", "dirichlet")
SWEEP = (
    "partition", "sweep", "--dataset", "synthetic_topics", "--partitioners", "dirichlet",
    "--alphas", "1,2", "--seeds", "0", SIZES,
)  # fmt: skip


@pytest.mark.parametrize(("arguments", "key", "option"), [
    ((*DIRICHLET, "--alpha", "1", "partition.alpha=2"), "partition.alpha", "--alpha"),
    ((*DIRICHLET, "--alpha", "1", "partition.alpha=1.0"), "partition.alpha", "--alpha"),
    ((*DIRICHLET, "--alpha", "1", "partition={alpha: 2}"), "partition.alpha", "--alpha"),
    ((*DIRICHLET, "--alpha", "1", "partition=null"), "partition.name", "--partitioner"),
    ((*DIRICHLET, "--alpha", "1", "partition.clients=4"), "partition.clients", "--clients"),
    ((*DIRICHLET, "--alpha", "1", "partition.name=uniform"), "partition.name", "--partitioner"),
    ((*DIRICHLET, "--alpha", "1", "--seed", "0", "partition.seed=4"), "partition.seed", "--seed"),
    ((*DIRICHLET, "--alpha", "1", "--min-size", "1", "partition.min_size=2"),
     "partition.min_size", "--min-size"),
    ((*DIRICHLET, "--alpha", "1", "dataset=synthetic_events"), "dataset.name", "--dataset"),
    ((*DIRICHLET, "--alpha", "1", "dataset.name=synthetic_events"), "dataset.name", "--dataset"),
    ((*DIRICHLET, "--target-skew", "JSD=0.6", "partition.alpha=3"),
     "partition.alpha", "--target-skew"),
    ((*SWEEP, "--clients", "6", "partition.alpha=3"), "partition.alpha", "--alphas"),
    ((*SWEEP, "--clients", "6", "partition.seed=4"), "partition.seed", "--seeds"),
    ((*SWEEP, "--clients", "6", "partition.name=quantity"), "partition.name", "--partitioners"),
    ((*SWEEP, "--clients", "6", "partition.clients=5"), "partition.clients", "--clients"),
])  # fmt: skip
def test_what_an_option_says_no_override_says(tmp_path, arguments, key, option):
    line = command(*arguments, "--out", tmp_path / "x").one_line()
    assert line == f"error: {key}: stands beside {option}, which says it too; drop one"
    assert list(tmp_path.iterdir()) == []


def test_an_option_that_was_not_given_may_be_an_override(tmp_path):
    asked = ("--partitioner", "dirichlet", "partition.alpha=1", "partition.seed=4")
    one = command(*MAKE, *asked, "partition.min_size=2", "--out", tmp_path / "x")
    assert one.code == 0 and "dirichlet, alpha=1" in one.out, one.err
    same = ("--alpha", "1", "--seed", "4", "--min-size", "2", "--out", tmp_path / "y")
    assert command(*DIRICHLET, *same).code == 0
    x, y = (Partition.load(tmp_path / name / "partition.npz") for name in "xy")
    assert x.checksum == y.checksum and x.provenance == y.provenance


def test_clients_are_asked_for_by_their_option(tmp_path):
    line = command(
        "partition", "make", "--dataset", "synthetic_topics", "--partitioner", "uniform",
        "--out", tmp_path / "x",
    ).one_line()  # fmt: skip
    assert (
        line
        == "error: partition.clients: is missing; expected the number of clients; add --clients"
    )
    assert "--clients" in command(*SWEEP, "--out", tmp_path / "x").one_line()


def test_a_sweep_draws_each_alpha_and_seed_once(tmp_path):
    repeated = ("--alphas", "1,1.0,2", "--seeds", "0,0", "--clients", "6")
    answer = command(*SWEEP, *repeated, "--out", tmp_path / "x")
    assert answer.code == 0 and "[2/2]" in answer.out, answer.err
    with open(tmp_path / "x" / "sweep.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["alpha"] for row in rows] == ["1.0", "2.0"]
    assert rows[0]["js_distance"] != rows[1]["js_distance"]


@pytest.mark.parametrize("name", ["uniform", "label_shards", "natural"])
def test_without_an_alpha_there_is_none_to_find_or_to_sweep(tmp_path, name):
    words = f"{name} has none; expected a partitioner with an alpha: dirichlet, "
    line = command(
        *MAKE, "--partitioner", name, "--target-skew", "JSD=0.4", "--out", tmp_path / "x"
    ).one_line()
    assert f"error: --target-skew: {words}" in line
    line = command(
        *SWEEP, "--clients", "6", "--partitioners", f"quantity,{name}", "--out", tmp_path / "x"
    ).one_line()
    assert f"error: --partitioners: {words}" in line


@pytest.mark.parametrize("target", ["gini=0.4", "JSD=2"])
def test_a_target_that_is_none_is_refused_before_anything_is_drawn(tmp_path, target):
    answer = command(*DIRICHLET, "--target-skew", target, "--out", tmp_path / "x")
    assert "target_skew" in answer.one_line() and not answer.out


def test_the_progress_tells_the_measure_that_is_asked_for(tmp_path):
    answer = command(*DIRICHLET, "--target-skew", "TV=0.31", "--out", tmp_path / "x")
    assert answer.code == 0, answer.err
    assert "alpha 1000: total variation 0." in answer.out and "js distance" not in answer.out


# import ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A partition of the embedded corpus as jsonl, which says what data it is of."""
    folder = tmp_path_factory.mktemp("exported")
    assert command(*DIRICHLET, "--alpha", "1", "--out", folder / "made").code == 0
    out = folder / "s.jsonl"
    sent = command("partition", "export", folder / "made", "--format", "jsonl", "--out", out)
    assert sent.code == 0, sent.err
    return out


def test_an_import_draws_again_what_was_drawn_here(exported, tmp_path):
    for asked, words in (
        ((), "draw: identical"),
        (("--dataset", "synthetic_topics", SIZES), "draw: identical"),
        (("dataset.limit.validation=10",), "there is nothing to draw again"),  # another reading
    ):
        back = tmp_path / f"back{len(asked)}"
        assert command("partition", "import", exported, *asked, "--out", back).code == 0
        answer = command("partition", "verify", back)
        assert answer.code == 0 and words in answer.out, answer.out


def test_an_import_reads_the_data_as_it_is_told(exported, tmp_path):
    answer = command(
        "partition", "import", exported, "dataset.limit.train=50", "--out", tmp_path / "x"
    )
    assert answer.code == 0 and "examples that no client has here: " in answer.out, answer.err
    kept = Partition.load(tmp_path / "x" / "partition.npz")
    assert len(kept.splits["train"].indices) == 50
    assert kept.provenance["made_with"]["dataset"]["limit"] == {"train": 50}
    assert kept.provenance["made_with"]["partition"] is None


@pytest.mark.parametrize("override", ["partition.alpha=1", "partition={alpha: 1}", "rounds=3"])
@pytest.mark.parametrize("dataset", [(), ("--dataset", "synthetic_topics", SIZES)])
def test_an_import_takes_overrides_of_its_data_alone(exported, tmp_path, override, dataset):
    line = command(
        "partition", "import", exported, *dataset, override, "--out", tmp_path / "x"
    ).one_line()
    assert "has no effect on an import; expected dataset.*" in line
    assert list(tmp_path.iterdir()) == []
