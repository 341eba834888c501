"""`partition make` and `verify`: what is written, that it is drawn again, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml
from harness import command, digests, run

from fednlp.errors import UserError
from partitioners import Partition, Split

MAKE = (
    "partition", "make", "--dataset", "synthetic_topics", "--clients", "6",
    "dataset.sizes={train: 120, validation: 20, test: 60}",
)  # fmt: skip
DIRICHLET = (*MAKE, "--partitioner", "dirichlet", "--alpha", "0.5")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A partition folder and what was printed when it was made."""
    out = tmp_path_factory.mktemp("made") / "split"
    answer = command(*DIRICHLET, "--out", out)
    assert answer.code == 0, answer.err
    return out, answer.out


def test_what_was_asked_and_achieved_is_printed_and_written(made):
    out, printed = made
    assert sorted(path.name for path in out.iterdir()) == ["partition.npz", "provenance.json"]
    stored = Partition.load(out / "partition.npz")
    told = json.loads((out / "provenance.json").read_text())
    assert told == stored.provenance
    assert told["partitioner"] == "dirichlet" and told["parameters"] == {"alpha": 0.5}
    assert told["rows_of"] == {"train": "train", "test": "test"}
    assert told["made_with"]["dataset"]["name"] == "synthetic_topics"
    assert stored.splits["train"].hashes is not None
    for text in ("dirichlet, alpha=0.5", "20 to 20, mean 20.0", stored.checksum[:12]):
        assert text in printed, text


def test_it_is_the_split_of_a_run_with_the_same_keys(made, small_config, tmp_path):
    out, _ = made
    sizes = {"train": 120, "validation": 20, "test": 60}
    section = {"name": "dirichlet", "alpha": 0.5, "clients": 6}
    alone = {"dataset.sizes": sizes, "centralized.budget": "none"}
    by_name = run(small_config(alone, partition=section), tmp_path)
    file = {"name": None, "clients": None, "file": str(out)}
    by_file = run(small_config(alone, partition=file), tmp_path / "again")
    assert by_name.result.id == by_file.result.id
    assert digests(by_name) == digests(by_file)
    kept = Partition.load(by_name.path / "partition.npz")
    assert kept.checksum == Partition.load(out / "partition.npz").checksum
    for finished in (by_name, by_file):
        answer = command("partition", "verify", finished.path)
        assert answer.code == 0 and "draw: identical" in answer.out, answer.out


def test_verify_draws_it_again(made):
    answer = command("partition", "verify", made[0])
    assert answer.code == 0 and answer.out.endswith("all checks passed\n")
    assert "draw: identical" in answer.out and "120 of 120 train, 60 of 60 test" in answer.out


def changed(made, tmp_path, change):
    """A copy of the folder whose partition went through `change`."""
    folder = tmp_path / "copy"
    shutil.copytree(made[0], folder)
    stored = change(Partition.load(folder / "partition.npz"))
    (folder / "partition.npz").unlink()
    stored.save(folder / "partition.npz")
    return folder


def swapped(stored):
    """Two examples of two clients change places."""
    train = stored.splits["train"]
    owners = train.owners(int(train.indices.max()) + 1)
    a, b = train.client(0)[0], train.client(3)[0]
    owners[[a, b]] = owners[[b, a]]
    split = Split.from_owners(owners, train.clients)
    hashes = dict(zip(train.indices, train.hashes, strict=True))
    split = replace(split, hashes=np.array([hashes[i] for i in split.indices], np.uint64))
    return replace(stored, splits={**stored.splits, "train": split})


def told(key, value):
    return lambda stored: replace(stored, provenance={**stored.provenance, key: value})


def with_achieved(stored, **values):
    return told("achieved", {**stored.provenance["achieved"], **values})(stored)


def with_hashes(stored, name):
    split = stored.splits[name]
    other = replace(split, hashes=split.hashes ^ np.uint64(1))
    return replace(stored, splits={**stored.splits, name: other})


def with_labels(stored, labels):
    return replace(stored, histogram=replace(stored.histogram, labels=labels))


@pytest.mark.parametrize(("change", "line"), [
    (swapped, "draw: 2 train examples lie elsewhere, first row "),
    (told("seed", 1), "provenance.json: says other things than partition.npz"),
    (told("data_fingerprint", "0" * 64), "fails data fingerprint"),
    (told("made_with", None), "does not say which data set it is of"),
    (lambda p: replace(p, held_out=np.array([2])), "draw: other clients are held out"),
    (lambda p: replace(p, provenance={**p.provenance, "achieved": {"sizes": {"max": 3}}}),
     "sums: sizes.max is 20, told 3"),
    (lambda p: with_achieved(p, js_distance=0.01), "provenance: achieved.js_distance is 0."),
    (lambda p: with_achieved(p, effective_alpha=777.0), "provenance: achieved.effective_alpha is "),
    (told("partitioner", "uniform"), "provenance: partitioner is dirichlet, told uniform"),
    (told("parameters", {"alpha": 99.0}), "provenance: parameters.alpha is 0.5, told 99.0"),
    (told("seed", 42), "provenance: seed is 0, told 42"),
    (told("source_sizes", {"train": 121, "test": 60}),
     "provenance: source_sizes.train is 120, told 121"),
    (told("dataset", "other"), "provenance: dataset is synthetic_topics, told other"),
    (told("clients", 7), "sums: 6 clients, told 7"),
    (lambda p: with_hashes(p, "train"), "the hash of train row 3 is not that of the example"),
    (lambda p: with_hashes(p, "test"), "the hash of test row 3 is not that of the example"),
    (lambda p: with_labels(p, p.histogram.labels[::-1]), "label counts: the label histogram"),
    (lambda p: replace(p, histogram=None), "label counts: there is no label histogram"),
])  # fmt: skip
def test_verify_says_where_it_differs(made, tmp_path, change, line):
    answer = command("partition", "verify", changed(made, tmp_path, change))
    assert answer.code == 1 and line in answer.out, answer.out
    assert "Traceback" not in answer.out + answer.err


def test_verify_tells_overlapping_shares(made, tmp_path):
    def overlapping(stored):
        test = stored.splits["test"]
        return replace(
            stored,
            provenance={**stored.provenance, "rows_of": {"train": "train", "test": "train"}},
            splits={**stored.splits, "test": test},
        )

    answer = command("partition", "verify", changed(made, tmp_path, overlapping))
    assert answer.code == 1 and "is in train and test" in answer.out


@pytest.mark.parametrize(("change", "line"), [
    (lambda p: p, "all checks passed"),
    (told("source_sizes", {"train": 121, "test": 60}), "sizes of the source: source_sizes.train"),
    (lambda p: with_achieved(p, total_variation=0.01), "measures: achieved.total_variation is 0."),
    (lambda p: with_achieved(p, js_distance=0.01), "measures: achieved.js_distance is 0."),
    (lambda p: with_labels(p, p.histogram.labels[::-1]), "measures: the label histogram counts"),
    (lambda p: with_hashes(p, "train"), "the hash of train row 3 is not that of the example"),
])  # fmt: skip
def test_verify_measures_an_imported_one_again(made, tmp_path, change, line):
    imported = tmp_path / "imported"
    other_reading = "dataset.limit.validation=10"  # the same examples, and no draw to repeat
    assert command("partition", "import", made[0], other_reading, "--out", imported).code == 0
    answer = command("partition", "verify", changed([imported], tmp_path, change))
    assert line in answer.out and answer.code == (line != "all checks passed"), answer.out


@pytest.mark.parametrize(("arguments", "words"), [
    ((*MAKE, "--partitioner", "dirichlt"), "did you mean dirichlet?"),
    ((*MAKE, "--partitioner", "dirichlet"), "partition.alpha: missing"),
    ((*MAKE, "--partitioner", "uniform", "--alpha", "1"), "partition.alpha: unknown for uniform"),
    ((*DIRICHLET, "--alpha", "nan"), "alpha"),
    ((*DIRICHLET, "--alpha", "-1"), "partition.alpha: -1.0; expected a finite number above 0"),
    ((*DIRICHLET, "--clients", "121"), "121 clients of at least 1 need 121 examples"),
    ((*DIRICHLET, "--skew", "colour"), "no skew label 'colour'"),
    ((*DIRICHLET, "--held-out", "1.5"), "held_out"),
    ((*DIRICHLET, "rounds=3"), "is no part of a partition"),
    ((*DIRICHLET, "dataset.limt=3"), "unknown key"),
])  # fmt: skip
def test_bad_requests_are_one_line_and_write_nothing(tmp_path, arguments, words):
    line = command(*arguments, "--out", tmp_path / "x").one_line()
    assert words in line
    assert list(tmp_path.iterdir()) == []


def test_an_existing_directory_is_kept(made, tmp_path):
    (tmp_path / "mine").write_text("dear")
    for out in (tmp_path / "mine", made[0]):
        assert "exists already" in command(*DIRICHLET, "--out", out).one_line()
    assert (tmp_path / "mine").read_text() == "dear"


def test_pictures_are_not_drawn_through_a_link_that_nobody_named(made, tmp_path):
    folder, thesis = tmp_path / "split", tmp_path / "thesis"
    shutil.copytree(made[0], folder)
    thesis.mkdir()
    (thesis / "sizes.png").write_bytes(b"a figure of another")
    (folder / "plots").symlink_to(thesis)
    line = command("partition", "show", folder).one_line()
    assert f"{folder}/plots: is a link; expected a directory for plots" in line
    assert [(p.name, p.read_bytes()) for p in thesis.iterdir()] == [
        ("sizes.png", b"a figure of another")
    ]
    (folder / "plots").unlink()
    assert command("partition", "show", folder).code == 0
    assert (folder / "plots" / "sizes.png").is_file()


def test_pictures_in_the_working_directory(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command("partition", "show", made[0], "--plots", ".").code == 0
    assert (tmp_path / "sizes.png").is_file()


def test_a_staging_folder_of_another_process_stays(made, tmp_path):
    """One on another machine that shares the disk may have the same process number."""
    other = tmp_path / f".plots.{os.getpid()}.tmp"
    other.mkdir()
    (other / "sizes.png").write_bytes(b"half")
    assert command("partition", "show", made[0], "--plots", tmp_path / "plots").code == 0
    assert (other / "sizes.png").read_bytes() == b"half"


def test_a_failed_write_names_the_folder_and_leaves_none(tmp_path, monkeypatch):
    def full(path, data):
        raise UserError(str(path), "cannot be written (No space left on device)", fix="free space")

    monkeypatch.setattr("fednlp.results.files.write_bytes", full)
    line = command(*DIRICHLET, "--out", tmp_path / "x").one_line()
    assert f"{tmp_path / 'x' / 'provenance.json'}: cannot be written" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"{}", b"\x93NUMPY"])
def test_files_that_are_no_partition(tmp_path, content):
    (tmp_path / "p.npz").write_bytes(content)
    line = command("partition", "verify", tmp_path / "p.npz").one_line()
    assert "p.npz" in line and "not readable as a partition" in line
    assert "holds no partition.npz" in command("partition", "verify", tmp_path).one_line()
    assert "no such file" in command("partition", "verify", tmp_path / "none").one_line()


def test_a_partition_folder_in_a_configuration_that_is_none(tmp_path, small_data):
    path = tmp_path / "run.yaml"
    path.write_text(
        yaml.safe_dump(small_data(partition={"name": None, "clients": None, "file": str(tmp_path)}))
    )
    line = command("run", path, "--out", tmp_path / "runs").one_line()
    assert "holds no partition.npz" in line
