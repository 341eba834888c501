"""Partitions out to every format and back by the commands, on all four tasks; and looked at."""

from __future__ import annotations

import json
import os
import re
import shutil

import numpy as np
import pytest
from harness import command, run

from fednlp.errors import UserError
from fednlp.partitions.exchange import examples
from partitioners import Partition
from partitioners.formats import FORMATS

SIZES = "dataset.sizes={train: 90, validation: 20, test: 60}"
DATASETS = {
    "text_classification": "synthetic_topics",
    "sequence_tagging": "synthetic_events",
    "question_answering": "synthetic_facts",
    "seq2seq": "synthetic_headlines",
}
REAL = {
    "text_classification": "ag_news_test_only", "sequence_tagging": "wnut17",
    "question_answering": "squad_by_article", "seq2seq": "e2e_nlg",
}  # fmt: skip
WITH_DATA = [name for name, form in FORMATS.items() if form.examples != "never"]


def made(folder, dataset, *more, clients=5, partitioner="label_shards"):
    out = folder / "made"
    answer = command(
        "partition", "make", "--dataset", dataset, "--partitioner", partitioner,
        "--clients", clients, *more, "--held-out", 0.3, "--out", out,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    return out


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Task -> a partition folder of its embedded corpus."""
    return {
        task: made(tmp_path_factory.mktemp(task), name, SIZES) for task, name in DATASETS.items()
    }


def round_trip(folder, form, target, *dataset):
    with_data = ["--with-data"] if FORMATS[form].examples == "must" else []
    sent = command("partition", "export", folder, "--format", form, *with_data, "--out", target)
    assert sent.code == 0, sent.err
    back = target.with_name(f"{target.name}-back")
    answer = command("partition", "import", target, "--format", form, *dataset, "--out", back)
    assert answer.code == 0, answer.err
    return Partition.load(folder / "partition.npz"), Partition.load(back / "partition.npz")


def assert_same(before, after, form):
    assert after.checksum == before.checksum
    for name in ("train", "test"):
        ours, theirs = before.splits[name], after.splits[name]
        assert (ours.hashes == theirs.hashes).all()
    assert (before.histogram.counts == after.histogram.counts).all()
    assert before.provenance["achieved"] == after.provenance["achieved"]
    if form != "csv":
        assert (before.held_out == after.held_out).all() and len(before.held_out)
        assert after.provenance == before.provenance


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("task", DATASETS)
def test_round_trip(folders, task, form, tmp_path):
    told = ["--dataset", DATASETS[task], SIZES] if form == "csv" else []
    before, after = round_trip(folders[task], form, tmp_path / "x", *told)
    if form == "csv":  # which has no place for the held-out clients
        before = Partition(before.splits, before.provenance, histogram=before.histogram)
    assert_same(before, after, form)


@pytest.mark.skipif("FEDNLP_DATA" not in os.environ, reason="needs FEDNLP_DATA")
@pytest.mark.parametrize("task", REAL)
def test_round_trip_of_real_data(task, tmp_path):
    limit = "dataset.limit={train: 300, test: 100, validation: 20}"
    folder = made(tmp_path, REAL[task], limit, partitioner="uniform")
    assert command("partition", "verify", folder).code == 0
    for form in FORMATS:
        told = ["--dataset", REAL[task], limit] if form == "csv" else []
        before, after = round_trip(folder, form, tmp_path / form, *told)
        assert after.checksum == before.checksum or form == "csv"
        for name in ("train", "test"):
            assert (before.splits[name].indices == after.splits[name].indices).all()
            assert (before.splits[name].hashes == after.splits[name].hashes).all()


def test_examples_are_those_of_the_rows(folders):
    """The very examples, labels by name, in the order of the indices."""
    from fednlp.experiment import Experiment
    from fednlp.partitions.folder import made_with

    stored = Partition.load(folders["sequence_tagging"] / "partition.npz")
    corpus = Experiment(made_with(stored, "p")).corpus
    table = examples(stored, corpus, "p")["train"]
    by_row = {row["row"]: row for row in corpus.splits["train"]}
    for row, found in zip(stored.splits["train"].indices, table.to_pylist(), strict=True):
        known = by_row[row]
        assert found["words"] == known["words"] and found["client"] == known["client"]
        assert found["tags"] == [corpus.labels[tag] for tag in known["tags"]]


@pytest.mark.parametrize("form", WITH_DATA)
def test_with_data_and_some_clients(folders, form, tmp_path, small_config):
    """They come back under their numbers, measured; a run wants examples for every client."""
    folder, target = folders["text_classification"], tmp_path / "x"
    answer = command(
        "partition", "export", folder, "--format", form, "--with-data", "--clients", "1,3-4",
        "--out", target,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    back = tmp_path / "back"
    answer = command("partition", "import", target, "--format", form, "--out", back)
    assert answer.code == 0 and "which a run refuses: 0, 2 (2 of 5;" in answer.out, answer.err
    before, after = (Partition.load(path / "partition.npz") for path in (folder, back))
    for k in range(5):
        held = before.splits["train"].client(k) if k in (1, 3, 4) else []
        assert after.splits["train"].client(k).tolist() == list(held)
    achieved = after.provenance["achieved"]
    assert achieved["train_examples"] == len(after.splits["train"].indices) < 90
    assert achieved["sizes"]["min"] == 0
    checked = command("partition", "verify", back)
    assert checked.code == 0, checked.out
    section = {"name": None, "clients": None, "file": str(back)}
    sizes = {"train": 90, "validation": 20, "test": 60}
    with pytest.raises(UserError, match=r"clients 0, 2 have no train example.*--clients"):
        run(small_config({"dataset.sizes": sizes}, partition=section), tmp_path / "runs")


def test_numbers_from_one_leave_client_0_empty(tmp_path, small_config):
    """It can be looked at; the import and the refusal of a run both say how numbers begin."""
    lines = [f"{row},{row % 3 + 1}" for row in range(90)]
    (tmp_path / "mine.csv").write_text("\n".join(["example_index,client_id", *lines, ""]))
    mine = tmp_path / "mine"
    answer = command(
        "partition", "import", tmp_path / "mine.csv", "--dataset", "synthetic_topics", SIZES,
        "--out", mine,
    )  # fmt: skip
    assert answer.code == 0 and "refuses: 0 (1 of 4; numbers begin with 0)" in answer.out
    assert command("partition", "verify", mine).code == 0
    assert command("partition", "show", mine).code == 0
    section = {"name": None, "clients": None, "file": str(mine)}
    sizes = {"train": 90, "validation": 20, "test": 60}
    with pytest.raises(UserError, match=r"client 0 has no train example; .* without gaps from 0"):
        run(small_config({"dataset.sizes": sizes}, partition=section), tmp_path / "runs")


def test_a_list_of_rows_and_clients_runs(tmp_path, small_config):
    """A user's CSV: no test shares, so they follow the labels; a run takes the folder."""
    lines = [f"{row},{row % 3}" for row in range(90)]
    (tmp_path / "mine.csv").write_text("\n".join(["example_index,client_id", *lines, ""]))
    answer = command(
        "partition", "import", tmp_path / "mine.csv", "--dataset", "synthetic_topics", SIZES,
        "--out", tmp_path / "mine",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    kept = Partition.load(tmp_path / "mine" / "partition.npz")
    assert list(kept.splits["train"].client(1)) == list(range(1, 90, 3))
    assert len(kept.splits["test"].indices) == 60
    assert command("partition", "verify", tmp_path / "mine").code == 0
    sizes = {"train": 90, "validation": 20, "test": 60}
    section = {"name": None, "clients": None, "file": str(tmp_path / "mine")}
    config = small_config({"dataset.sizes": sizes}, partition=section)
    assert run(config, tmp_path / "runs").result.partition["clients"] == 3


@pytest.mark.parametrize(("content", "words"), [
    ("example_index,client_id\n90,0\n", "train index 90; expected rows of train, which has 90"),
    ("example_index,client_id\n-1,0\n", "-1"),
    ("example_index,client_id\n1,0\n1,1\n", "1"),
    ("example_index,client_id\nx,0\n", "x"),
    ("index,client\n", "example_index"),
    ("", ""),
])  # fmt: skip
def test_a_bad_list_is_one_line_and_nothing_is_written(tmp_path, content, words):
    (tmp_path / "mine.csv").write_text(content)
    line = command(
        "partition", "import", tmp_path / "mine.csv", "--dataset", "synthetic_topics", SIZES,
        "--out", tmp_path / "mine",
    ).one_line()  # fmt: skip
    assert "mine.csv" in line and words in line
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]


def test_a_partition_of_other_data(folders, tmp_path):
    folder = folders["text_classification"]
    target = tmp_path / "x.parquet"
    assert command("partition", "export", folder, "--format", "parquet", "--out", target).code == 0
    line = command(
        "partition", "import", target, "--dataset", "synthetic_headlines", SIZES,
        "--out", tmp_path / "back",
    ).one_line()  # fmt: skip
    assert "was made for other data" in line
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(("arguments", "words"), [
    (("--format", "parqet"), "did you mean parquet?"),
    (("--format", "csv", "--with-data"), "csv holds no examples"),
    (("--format", "csv", "--clients", "0-9"), "within 0-4"),
    (("--format", "csv", "--clients", "a"), "numbers and ranges: 0-9,20"),
    (("--format", "csv", "--clients", "3-1"), "within 0-4"),
    (("--format", "dataset_dict"), "dataset_dict"),
])  # fmt: skip
def test_bad_exports_are_one_line(folders, tmp_path, arguments, words):
    folder = folders["text_classification"]
    line = command("partition", "export", folder, *arguments, "--out", tmp_path / "x").one_line()
    assert words in line and list(tmp_path.iterdir()) == []


# looking at them --------------------------------------------------------------------------------


def test_show_prints_and_draws_again(folders, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(folders["text_classification"], folder)
    for _ in range(2):
        answer = command("partition", "show", folder, "--clients", "0,2")
        assert answer.code == 0, answer.err
    stored = Partition.load(folder / "partition.npz")
    (line,) = (text for text in answer.out.splitlines() if text.split()[:1] == ["2"])
    assert line.split()[1] == str(stored.splits["train"].sizes()[2])
    assert stored.checksum[:12] in answer.out
    names = sorted(path.name for path in (folder / "plots").iterdir())
    assert names == [f"{n}.{s}" for n in ("distances", "labels", "sizes") for s in ("png", "svg")]
    assert command("partition", "verify", folder).code == 0


def test_make_prints_the_labels_of_the_first_clients(tmp_path):
    answer = command(
        "partition", "make", "--dataset", "synthetic_topics", SIZES, "--partitioner",
        "label_shards", "--clients", 45, "--out", tmp_path / "made",
    )  # fmt: skip
    assert answer.code == 0 and "largest labels" in answer.out
    assert "the first 40 of 45 clients; `show --clients` names others" in answer.out
    stored = Partition.load(tmp_path / "made" / "partition.npz")
    (line,) = (text for text in answer.out.splitlines() if text.split()[:1] == ["39"])
    for name, count in stored.histogram.client(39).items():
        assert f"{name} {count}" in line


def test_show_fails_before_it_prints(folders, tmp_path):
    (tmp_path / "file").write_text("dear")
    folder = folders["text_classification"]
    answer = command("partition", "show", folder, "--plots", tmp_path / "file" / "plots")
    assert "file" in answer.one_line() and not answer.out


def test_import_says_what_it_read(folders, tmp_path):
    folder = folders["text_classification"]
    for form, shown in (("csv", ("csv", "x.csv")), ("h5", ("h5",))):
        target = tmp_path / f"x.{form}"
        assert command("partition", "export", folder, "--format", form, "--out", target).code == 0
        answer = command(
            "partition", "import", target, "--dataset", "synthetic_topics", SIZES,
            "--out", tmp_path / form,
        )  # fmt: skip
        assert answer.code == 0, answer.err
        assert f"read: {target} as {form}" in answer.out
        assert all(text in answer.out for text in ("synthetic_topics", *shown))


def test_compare_with_itself_and_another(folders, tmp_path):
    folder = folders["text_classification"]
    other = made(tmp_path, "synthetic_topics", SIZES, "--seed", 1)
    same = json.loads(command("partition", "compare", folder, folder, "--json").out)
    assert same["identical"] and same["splits"]["train"]["adjusted_rand"] == 1
    answer = command("partition", "compare", folder, other, "--plots", tmp_path / "plots")
    assert answer.code == 0 and "the same partition" in answer.out
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"overlap.png", "overlap.svg"}
    line = command("partition", "compare", folder, folders["seq2seq"]).one_line()
    assert "share no row" in line


def test_sweep_writes_numbers_and_a_picture(tmp_path):
    answer = command(
        "partition", "sweep", "--dataset", "synthetic_topics", SIZES, "--partitioners",
        "dirichlet,dirichlet_per_class", "--clients", 4, "--alphas", "0.1,10", "--seeds", "0,1",
        "--out", tmp_path / "sweep",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert "[8/8]" in answer.out
    lines = (tmp_path / "sweep" / "sweep.csv").read_text().splitlines()
    assert len(lines) == 9 and lines[1].startswith("dirichlet,0.1,")
    distance = [float(line.split(",")[5]) for line in lines[1:5]]
    assert np.mean(distance[:2]) > np.mean(distance[2:])  # alpha 0.1 against 10
    assert {p.name for p in (tmp_path / "sweep").iterdir()} == {
        "sweep.csv", "sweep.png", "sweep.svg",
    }  # fmt: skip


def test_a_skew_instead_of_an_alpha(tmp_path):
    out = tmp_path / "found"
    arguments = (
        "partition", "make", "--dataset", "synthetic_topics", "dataset.sizes.train=2000",
        "--partitioner", "dirichlet", "--clients", 10, "--target-skew",
    )  # fmt: skip
    answer = command(*arguments, "JSD=0.6", "--out", out)
    assert answer.code == 0, answer.err
    stored = Partition.load(out / "partition.npz")
    assert abs(stored.provenance["achieved"]["js_distance"] - 0.6) < 0.05
    assert command("partition", "verify", out).code == 0
    assert re.search(r"alpha \S+: js distance 0\.\d{3}\n", answer.out)
    assert "gives JSD=0.6" in answer.out
    for text, words in (("JSD=2", "0 to 1"), ("JSX=0.4", "JSD"), ("JSD", "JSD=0.4")):
        line = command(*arguments, text, "--out", out).one_line()  # before it is seen to exist
        assert words in line
    answer = command(*arguments, "TV=0.5", "--out", tmp_path / "tv")
    assert re.search(r"alpha \S+: total variation 0\.\d{3}\n", answer.out), answer.out
    assert "js distance 0" not in answer.out
