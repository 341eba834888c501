"""A stored partition on the same data in another order, cut or limit, and on other data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fednlp.errors import UserError
from fednlp.partitions.rows import Lost, fitted, portable
from fednlp.partitions.source import SHARED, hashes, source_hashes, source_sizes
from partitioners import Partition, Split, make_partition
from tasks.data import load_corpus
from tasks.dataset_card import DatasetCard

TEXTS = [(f"text {number // 2}", "ab"[number % 4 // 2]) for number in range(60)]  # each twice
TESTS = [(f"test {number}", "ab"[number % 2]) for number in range(20)]


def corpus(folder, texts=TEXTS, tests=TESTS, cut=0.1, own_test=True, limit=None, skip_bad=0):
    """Of a table with these rows of train; test is a file of its own or cut from train."""
    for name, rows in (("train", texts), ("test", tests)):
        lines = "".join(f"{text},{label}\n" for text, label in rows)
        (folder / f"{name}.csv").write_text("text,label\n" + lines)
    names = ["train", "test"] if own_test else ["train"]
    card = {
        "name": "c", "task": "text_classification", "version": 1, "licence": "l", "language": "en",
        "description": "d", "skew": "label", "validation": {"fraction": cut},
        "local": {"reader": "table", "files": {name: f"./{name}.csv" for name in names}},
    }  # fmt: skip
    if not own_test:
        card["test"] = {"fraction": 0.2}
    return load_corpus(
        DatasetCard.parse(card, "c.yaml", folder), data_root=None, cache_dir=folder / "cache",
        limit=limit, skip_bad=skip_bad,
    )  # fmt: skip


def made(data, clients=3):
    labels = [np.array(data.splits[name]["label"]) for name in ("train", "test")]
    return make_partition(
        "dirichlet", {"alpha": 1.0}, clients=clients, seed=0,
        train_labels=labels[0], test_labels=labels[1], data_fingerprint=data.fingerprint,
    )  # fmt: skip


def texts(partition, data, name="train"):
    """What each client holds, as sorted texts."""
    column = data.splits[name]["text"][:]
    split = partition.splits[name]
    return [sorted(column[i] for i in split.client(k)) for k in range(split.clients)]


@pytest.fixture
def stored(tmp_path):
    """(data, partition, its file): as it would be saved and loaded."""
    (tmp_path / "old").mkdir()
    data = corpus(tmp_path / "old")
    partition = made(data)
    portable(partition, data).save(tmp_path / "p.npz")
    return data, partition, Partition.load(tmp_path / "p.npz")


def test_the_same_data_give_the_same_partition(stored):
    data, partition, file = stored
    found = fitted(file, data, "p.npz")
    assert found.partition.checksum == partition.checksum
    assert not found.lost
    rows = np.array(data.splits["train"]["row"])
    assert set(file.splits["train"].indices) == set(rows)
    assert file.provenance["rows_of"] == {"train": "train", "test": "test"}
    lookup = dict(zip(rows, hashes(data, "train"), strict=True))
    split = file.splits["train"]
    assert [lookup[row] for row in split.indices] == list(split.hashes)


def test_another_order_is_found_by_content(stored, tmp_path):
    """A new download may be sorted otherwise; of equal texts each client keeps as many."""
    data, partition, file = stored
    order = np.random.default_rng(0).permutation(len(TEXTS))
    again = corpus(tmp_path, [TEXTS[i] for i in order], TESTS[::-1], cut=0.01)
    assert again.fingerprint != data.fingerprint
    found = fitted(file, again, "p.npz")
    for name in ("train", "test"):
        before, after = texts(partition, data, name), texts(found.partition, again, name)
        lost = sum(len(b) - len(a) for b, a in zip(before, after, strict=True))
        assert lost == (found.lost.to_validation if name == "train" else 0)
        assert all(set(a) <= set(b) for b, a in zip(before, after, strict=True))
    everyone = np.concatenate([found.partition.splits["train"].client(k) for k in range(3)])
    assert len(np.unique(everyone)) == len(everyone)


def test_a_larger_validation_cut_takes_examples_away(stored, tmp_path):
    _, _, file = stored
    again = corpus(tmp_path, cut=0.5)
    found = fitted(file, again, "p.npz")
    assert found.lost.to_validation == 54 - len(found.partition.splits["train"].indices) > 0
    assert found.lost == Lost(to_validation=found.lost.to_validation)
    held = set(again.splits["validation"]["row"])
    rows = np.array(again.splits["train"]["row"])
    for k in range(3):
        mine = file.splits["train"].client(k)
        assert list(rows[found.partition.splits["train"].client(k)]) == [
            row for row in mine if row not in held
        ]


def test_a_smaller_validation_cut_leaves_examples_to_nobody(stored, tmp_path):
    _, _, file = stored
    found = fitted(file, corpus(tmp_path, cut=0.02), "p.npz")
    assert len(found.partition.splits["train"].indices) + found.lost.to_validation == 54


def test_a_limit_leaves_examples_out(stored, tmp_path):
    _, _, file = stored
    again = corpus(tmp_path, limit={"train": 30, "test": 10})
    found = fitted(file, again, "p.npz")
    assert found.lost == Lost(left_out=54 - 30, test_left_out=10)
    assert len(found.partition.splits["train"].indices) == 30
    assert len(found.partition.splits["test"].indices) == 10


def test_a_limit_excuses_no_other_data(stored, tmp_path):
    """What was left out is known from the whole source, not guessed."""
    _, _, file = stored
    changed = [(f"new {text}", label) if n % 2 else (text, label) for n, (text, label) in
               enumerate(TEXTS)]  # fmt: skip
    for limit in ({"train": 53}, {"train": 2}, {"test": 19}):
        with pytest.raises(UserError, match=r"was made for other data: .* is not in c"):
            fitted(file, corpus(tmp_path, changed, limit=limit), "p.npz")
    (tmp_path / "tests").mkdir()
    others = [("x", "b"), *TESTS[1:]]
    with pytest.raises(UserError, match=r"was made for other data: .* is not in c"):
        fitted(file, corpus(tmp_path / "tests", tests=others, limit={"test": 10}), "p.npz")


def bad(rows, *numbers):
    """These rows without a label, which are bad records."""
    return [(text, "" if n in numbers else label) for n, (text, label) in enumerate(rows)]


def test_a_bad_record_is_left_out_and_no_other(stored, tmp_path):
    _, _, file = stored
    held = file.splits["train"].indices
    found = fitted(file, corpus(tmp_path, bad(TEXTS, held[0], held[9]), skip_bad=2), "p.npz")
    assert found.lost.left_out == 2
    changed = bad(TEXTS, held[0], held[9])
    changed[held[20]] = ("another", "a")
    with pytest.raises(UserError, match=r"the example of its row \d+ is not in c"):
        fitted(file, corpus(tmp_path, changed, skip_bad=2), "p.npz")


@pytest.mark.parametrize("which", ["limit", "bad", "cut"])
def test_the_size_of_a_source_counts_what_is_not_loaded(which, tmp_path):
    if which == "limit":
        data = corpus(tmp_path, limit={"train": 3, "validation": 1, "test": 2})
    elif which == "bad":
        data = corpus(tmp_path, bad(TEXTS, 0, 58, 59), bad(TESTS, 19), skip_bad=4)
    else:
        data = corpus(tmp_path, own_test=False, limit={"train": 3, "test": 2})
    sizes = {"train": 60, "test": 60 if which == "cut" else 20}
    assert source_sizes(data) == sizes
    assert portable(made(data, clients=1), data).provenance["source_sizes"] == sizes


def test_hashes_are_compared_though_the_fingerprint_is_the_same(stored):
    data, _, file = stored
    for name in ("train", "test"):
        split = file.splits[name]
        other = replace(split, hashes=split.hashes ^ np.uint64(1))
        with pytest.raises(UserError, match=rf"the hash of {name} row \d+ is not that of the"):
            fitted(replace(file, splits={**file.splits, name: other}), data, "p.npz")


def test_train_rows_that_are_in_test_here_are_told(tmp_path):
    """Both cuts are of train: a list of all its rows loses both."""
    data = corpus(tmp_path, own_test=False)
    every = Split(np.arange(60), [0, 60], source_hashes(data, "train"))
    nothing = Split([], [0, 0], np.zeros(0, np.uint64))
    found = fitted(
        Partition({"train": every, "test": nothing}, {"rows_of": dict.fromkeys(SHARED, "train")}),
        data, "p.npz",
    )  # fmt: skip
    sizes = {name: len(split) for name, split in data.splits.items()}
    assert found.lost == Lost(to_validation=sizes["validation"], to_test=sizes["test"])
    assert len(found.partition.splits["train"].indices) == sizes["train"]


def test_a_client_may_lose_all_its_examples(stored, tmp_path):
    _, _, file = stored
    found = fitted(file, corpus(tmp_path, limit={"train": 2}), "p.npz")
    assert found.partition.splits["train"].sizes().min() == 0 and found.lost.left_out == 52


@pytest.mark.parametrize("change", ["text", "label", "missing"])
def test_other_data_are_refused(stored, tmp_path, change):
    _, _, file = stored
    row = int(file.splits["train"].indices[7])
    other = list(TEXTS)
    if change == "text":
        other[row] = ("another", other[row][1])
    elif change == "label":
        other[row] = (other[row][0], "b" if other[row][1] == "a" else "a")
    else:
        del other[row]
    with pytest.raises(UserError, match=r"p\.npz: was made for other data: .* row \d+ is not in c"):
        fitted(file, corpus(tmp_path, other), "p.npz")
    with pytest.raises(UserError, match="was made for other data"):
        fitted(file, corpus(tmp_path, tests=[*TESTS[:-1], ("x", "b")]), "p.npz")


def test_test_shares_of_another_source_split(tmp_path, stored):
    _, _, file = stored
    with pytest.raises(UserError, match=r"its test shares count rows of test; expected .* train"):
        fitted(file, corpus(tmp_path, own_test=False), "p.npz")
    data = corpus(tmp_path, own_test=False)
    again = portable(made(data), data)
    assert again.provenance["rows_of"] == {"train": "train", "test": "train"}
    shares = [set(again.splits[name].indices) for name in ("train", "test")]
    assert not shares[0] & shares[1]
    assert fitted(again, data, "p").partition.checksum == made(data).checksum


def test_a_file_that_says_not_what_it_counts(stored):
    data, partition, file = stored
    beyond = Split([*file.splits["test"].indices[:-1], 99], file.splits["test"].offsets)
    with pytest.raises(UserError, match="the example of its row 99 is not in c"):
        fitted(replace(file, splits={**file.splits, "test": beyond}), data, "p.npz")
    with pytest.raises(UserError, match="does not say which rows"):
        fitted(partition, data, "p.npz")
    bare = {name: Split(split.indices, split.offsets) for name, split in file.splits.items()}
    other = {**file.provenance, "data_fingerprint": "other"}
    with pytest.raises(UserError, match="holds no hashes"):
        fitted(Partition(bare, other, file.held_out), data, "p.npz")
