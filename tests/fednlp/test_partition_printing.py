"""What `make` and `show` print: who a client is, who is scored on nothing, numbers alike."""

from __future__ import annotations

import pytest
from harness import command

from fednlp.partitions.printing import client_table
from fednlp.results.files import not_written

SIZES = "dataset.sizes={train: 1500, validation: 20, test: 60}"
MAKE = ("partition", "make", "--dataset", "synthetic_topics", SIZES, "--clients", "1")


def test_natural_clients_have_names(tmp_path):
    data = ("partition", "make", "--dataset", "synthetic_facts", "--partitioner", "natural")
    out = tmp_path / "x"
    answer = command(*data, "dataset.sizes={train: 200, validation: 20, test: 60}", "--out", out)
    assert answer.code == 0, answer.err
    shown = command("partition", "show", out)
    for printed in (answer.out, shown.out):
        (head,) = (line for line in printed.splitlines() if "largest labels" in line)
        assert head.split()[4] == "who"
    assert "skew_label" not in answer.out and "natural_key" not in answer.out


def test_the_names_are_those_of_the_data(tmp_path):
    from fednlp.experiment import Experiment
    from fednlp.partitions.folder import made_with
    from fednlp.partitions.natural_clients import natural_clients
    from partitioners import Partition

    sizes = "dataset.sizes={train: 200, validation: 20, test: 60}"
    for out, few in (("x", ()), ("y", ("--clients", "2"))):
        data = ("partition", "make", "--dataset", "synthetic_facts", "--partitioner", "natural")
        assert command(*data, *few, sizes, "--out", tmp_path / out).code == 0
        stored = Partition.load(tmp_path / out / "partition.npz")
        train = Experiment(made_with(stored, "x")).corpus.splits["train"]
        author = dict(zip(train["row"], train["client"], strict=True))
        told = natural_clients(stored, range(stored.clients), "x")
        for k, name in enumerate(told):
            keys = sorted({author[row] for row in stored.splits["train"].client(k)})
            more = f" and {len(keys) - 3} more" if keys[3:] else ""
            assert name == ", ".join(keys[:3]) + more


def test_test_examples_that_nobody_holds_are_told(tmp_path):
    answer = command(*MAKE, "--partitioner", "uniform", "--out", tmp_path / "x")
    assert answer.code == 0 and "in no client's share" not in answer.out
    # a class without a train example: the limit keeps one example
    few = ("dataset.limit.train=1", "--partitioner", "uniform", "--out", tmp_path / "y")
    answer = command(*MAKE, *few)
    assert answer.code == 0, answer.err
    assert " of 60 test examples are in no client's share: no client has their" in answer.out


def test_numbers_are_written_alike(tmp_path):
    asked = ("--partitioner", "uniform", "--seed", "1500", "--out", tmp_path / "x")
    printed = command(*MAKE, *asked).out
    words = " ".join(printed.split())
    assert "train examples given out 1,500" in words and "seed 1500" in words
    assert " 0 1,500 60 10 " in words  # the table of clients
    assert "e-0" not in printed


def test_long_labels_of_a_client_are_short_and_told_apart():
    names = [f"https://example.org/of/news/number-{i}/articles-of-the-year" for i in range(2)]
    row = {"client": 0, "held_out": False, "sizes": {"train": 3}, "labels": 2}
    table = client_table([{**row, "top": [[names[0], 2], [names[1], 1]]}])
    first, second = next(iter(table.columns[-1].cells)).split(", ")
    assert first != second and len(first) < 32 and first.endswith(" 2")


def test_a_place_where_no_folder_can_be(tmp_path):
    (tmp_path / "file").write_text("dear")
    out = tmp_path / "file" / "x"
    line = command(*MAKE, "--partitioner", "uniform", "--out", out).one_line()
    assert f"{out}: cannot be written (" in line
    assert line.endswith("name a place where it can be made")


def test_a_file_in_the_place_of_plots(tmp_path):
    assert command(*MAKE, "--partitioner", "uniform", "--out", tmp_path / "x").code == 0
    (tmp_path / "file").write_text("dear")
    line = command("partition", "show", tmp_path / "x", "--plots", tmp_path / "file").one_line()
    assert "file: is a file; expected a folder; name another one" in line
    assert (tmp_path / "file").read_text() == "dear"


@pytest.mark.parametrize(("error", "fix"), [
    (FileNotFoundError(2, "No such file or directory"), "name a place where it can be made"),
    (NotADirectoryError(20, "Not a directory"), "name a place where it can be made"),
    (PermissionError(13, "Permission denied"), "make it writable"),
    (OSError(28, "No space left on device"), "free space and run the same command again"),
])  # fmt: skip
def test_the_advice_fits_what_went_wrong(tmp_path, error, fix):
    assert str(not_written(tmp_path, error)).endswith(fix)
