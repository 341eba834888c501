"""The commands on a user's own table that changes, is limited, or gives its validation away."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import yaml
from harness import command
from pyarrow import parquet

from fednlp import experiment
from partitioners import Partition

LABELS = "ab"


def write_rows(folder, name, rows):
    experiment._corpus.cache_clear()  # a process reads its data once
    lines = "".join(f"{text},{label}\n" for text, label in rows)
    (folder / f"{name}.csv").write_text("text,label\n" + lines)


def texts(name, count):
    return [(f"{name} {n}", LABELS[n % 2]) for n in range(count)]


@pytest.fixture
def card(tmp_path):
    """The path of a card whose validation split is cut from 120 rows of train; 40 of test."""
    write_rows(tmp_path, "train", texts("train", 120))
    write_rows(tmp_path, "test", texts("test", 40))
    content = {
        "name": "mine", "task": "text_classification", "version": 1, "licence": "l",
        "language": "en", "description": "d", "skew": "label", "validation": {"fraction": 0.1},
        "local": {"reader": "table", "files": {n: f"./{n}.csv" for n in ("train", "test")}},
    }  # fmt: skip
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "card.yaml"


def ran(*arguments):
    answer = command("partition", *arguments)
    assert answer.code == 0, answer.out + answer.err
    return answer.out


def made(card, out, *more):
    ran("make", "--dataset", card, "--partitioner", "dirichlet_per_class", "--alpha", 0.5,
        "--clients", 4, *more, "--out", out)  # fmt: skip
    return out


def shuffled(folder):
    """Both files in another order."""
    rng = np.random.default_rng(0)
    for name in ("train", "test"):
        rows = [line.split(",") for line in (folder / f"{name}.csv").read_text().splitlines()[1:]]
        write_rows(folder, name, [rows[i] for i in rng.permutation(len(rows))])


def held(folder, split, rows):
    """The sorted texts of each client, by the rows of a file."""
    lines = (rows / f"{split}.csv").read_text().splitlines()[1:]
    shares = Partition.load(folder / "partition.npz").splits[split]
    return [sorted(lines[i] for i in shares.client(k)) for k in range(shares.clients)]


@pytest.mark.parametrize("form", ["leaf", "h5", "client_files", "dataset_dict"])
def test_examples_of_changed_data_are_not_exported(card, tmp_path, form):
    """Their rows are those of other examples now."""
    folder = made(card, tmp_path / "p")
    shuffled(tmp_path)
    export = ("export", folder, "--format", form, "--with-data", "--out", tmp_path / "x")
    line = command("partition", *export).one_line()
    assert "is not its example" in line and "partition import" in line
    assert not (tmp_path / "x").exists()


def test_import_numbers_the_examples_anew(card, tmp_path):
    """After a download in another order: the same examples, and a folder that verifies."""
    folder = made(card, tmp_path / "p")
    before = {name: held(folder, name, tmp_path) for name in ("train", "test")}
    shuffled(tmp_path)
    out = ran("import", folder, "--dataset", card, "--out", tmp_path / "again")
    after = held(tmp_path / "again", "train", tmp_path)
    lost = sum(len(old) - len(new) for old, new in zip(before["train"], after, strict=True))
    assert f"{lost} in the validation split" in out and 0 < lost < 12
    assert all(set(new) <= set(old) for old, new in zip(before["train"], after, strict=True))
    assert held(tmp_path / "again", "test", tmp_path) == before["test"]
    stored = Partition.load(tmp_path / "again" / "partition.npz")
    assert stored.provenance["lost"]["to_validation"] == lost
    assert "all checks passed" in ran("verify", tmp_path / "again")
    ran("export", tmp_path / "again", "--format", "leaf", "--with-data", "--out", tmp_path / "l")
    leaf = json.loads((tmp_path / "l" / "train" / "data.json").read_text())["user_data"]
    for k, lines in enumerate(after):
        pairs = zip(leaf[str(k)]["x"], leaf[str(k)]["y"], strict=True)
        assert sorted(f"{text},{label}" for text, label in pairs) == lines


def test_the_examples_come_from_the_source(card, tmp_path):
    """A limit or a cut of the data leaves nothing out that a client has."""
    folder = made(card, tmp_path / "p", "dataset.limit.train=30", "dataset.limit.test=7")
    ran("export", folder, "--format", "leaf", "--with-data", "--out", tmp_path / "l")
    for name in ("train", "test"):
        leaf = json.loads((tmp_path / "l" / name / "data.json").read_text())["user_data"]
        for k, lines in enumerate(held(folder, name, tmp_path)):
            pairs = zip(leaf[str(k)]["x"], leaf[str(k)]["y"], strict=True)
            assert sorted(f"{text},{label}" for text, label in pairs) == lines


def test_h5_counts_test_from_the_whole_of_train(card, tmp_path):
    folder = made(card, tmp_path / "p", "dataset.limit.train=30", "dataset.limit.test=7")
    ran("export", folder, "--format", "h5", "--out", tmp_path / "x.h5")
    stored = Partition.load(folder / "partition.npz").splits["test"]
    with h5py.File(tmp_path / "x.h5") as file:
        (method,) = file
        for k in range(4):
            listed = file[f"{method}/partition_data/{k}/test"][()]
            assert listed.tolist() == (stored.client(k) + 120).tolist()


def whole_train_csv(path):
    lines = [f"{row},{row % 4}" for row in range(120)]
    path.write_text("\n".join(["example_index,client_id", *lines, ""]))


def whole_train_h5(path):
    """As FedNLP writes one: every row of train and of test belongs to somebody."""
    with h5py.File(path, "w") as file:
        file["uniform/n_clients"] = 4
        for k in range(4):
            file[f"uniform/partition_data/{k}/train"] = np.arange(k, 120, 4)
            file[f"uniform/partition_data/{k}/test"] = np.arange(120 + k, 160, 4)


@pytest.mark.parametrize("write", [whole_train_csv, whole_train_h5])
@pytest.mark.parametrize("limit", [(), ("dataset.limit.train=50",)])
def test_a_list_of_all_of_train_gives_the_validation_split_away(card, tmp_path, write, limit):
    path = tmp_path / ("x.csv" if write is whole_train_csv else "x.h5")
    write(path)
    out = ran("import", path, "--dataset", card, *limit, "--out", tmp_path / "mine")
    assert "12 in the validation split" in out and ("58 left out" in out) == bool(limit)
    stored = Partition.load(tmp_path / "mine" / "partition.npz")
    for k in range(4):
        assert all(row % 4 == k for row in stored.splits["train"].client(k))
    assert len(stored.splits["train"].indices) == (50 if limit else 108)
    assert "all checks passed" in ran("verify", tmp_path / "mine")


def test_a_limit_excuses_no_edited_file(card, tmp_path):
    """Half of train is other text by the time of the import."""
    folder = made(card, tmp_path / "p")
    ran("export", folder, "--format", "parquet", "--out", tmp_path / "x.parquet")
    rows = texts("train", 120)
    rows[::2] = [(f"edited {text}", label) for text, label in rows[::2]]
    write_rows(tmp_path, "train", rows)
    line = command(
        "partition", "import", tmp_path / "x.parquet", "--dataset", card,
        "dataset.limit.train=107", "--out", tmp_path / "y",
    ).one_line()  # fmt: skip
    assert "was made for other data" in line and not (tmp_path / "y").exists()


def test_a_data_file_beside_an_h5_says_which_rows_are_meant(card, tmp_path):
    """FedNLP's order is not ours; without its data file nobody can tell, and that is said."""
    whole_train_h5(tmp_path / "x_partition.h5")
    out = ran("import", tmp_path / "x_partition.h5", "--dataset", card, "--out", tmp_path / "blind")
    assert "the order of its rows is not checked" in out
    rows = {"train": texts("train", 120), "test": texts("test", 40)}
    order = {name: np.random.default_rng(1).permutation(len(rows[name])) for name in rows}
    with h5py.File(tmp_path / "x_data.h5", "w") as file:
        lists = {"train_index_list": list(range(120)), "test_index_list": list(range(120, 160))}
        file["attributes"] = json.dumps({"index_list": list(range(160)), **lists})
        for begin, name in ((0, "train"), (120, "test")):
            for index, place in enumerate(order[name], begin):
                file[f"X/{index}"], file[f"Y/{index}"] = rows[name][place]
    out = ran("import", tmp_path / "x_partition.h5", "--dataset", card, "--out", tmp_path / "mine")
    assert "not checked" not in out and "rows known by" in out
    stored = Partition.load(tmp_path / "mine" / "partition.npz").splits
    for k in range(4):
        wanted = {int(order["train"][index]) for index in range(k, 120, 4)}
        assert set(stored["train"].client(k).tolist()) <= wanted
        assert stored["test"].client(k).tolist() == sorted(order["test"][k::4])
    assert len(stored["train"].indices) == 108


def test_hashes_in_a_table_of_others_decide(card, tmp_path):
    """Their `hash` column says which examples are meant, whatever the rows are now."""
    folder = made(card, tmp_path / "p")
    before = held(folder, "train", tmp_path)
    ran("export", folder, "--format", "parquet", "--out", tmp_path / "x.parquet")
    table = parquet.read_table(tmp_path / "x.parquet").replace_schema_metadata(None)
    parquet.write_table(table, tmp_path / "foreign.parquet")
    shuffled(tmp_path)
    ran("import", tmp_path / "foreign.parquet", "--dataset", card, "--out", tmp_path / "again")
    after = held(tmp_path / "again", "train", tmp_path)
    assert all(set(new) <= set(old) for old, new in zip(before, after, strict=True))
    assert sum(map(len, after)) > 90
