"""FedNLP's h5 files: read as its code wrote them, written as its code reads them."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from samples import TASKS, assert_same, examples, random_partition

from partitioners import Partition, PartitionError, Split, make_partition
from partitioners.formats import export_partition, import_partition

TRAIN = {0: [5, 1], 1: [], 2: [0, 7]}  # of 10 train examples
TEST = {0: [12], 1: [10, 13], 2: []}
SIZES = {"train": 10, "test": 4}


def write_method(path: Path, method: str, *, key=str, n_clients: object = 3, **facts) -> None:
    """As `niid_label.py` writes: an empty list becomes an array of floats."""
    with h5py.File(path, "a") as file:
        if n_clients is not None:
            file[f"/{method}/n_clients"] = n_clients
        for name, value in facts.items():
            file[f"/{method}/{name}"] = value
        for k in TRAIN:
            file[f"/{method}/partition_data/{key(k)}/train/"] = TRAIN[k]
            file[f"/{method}/partition_data/{key(k)}/test/"] = TEST[k]


def write_data(path: Path, train: list[int] | None, test: list[int] | None, everything) -> None:
    attributes = {"index_list": everything, "num_labels": -1, "label_vocab": {"a": 0}}
    if train is not None:
        attributes |= {"train_index_list": train, "test_index_list": test}
    with h5py.File(path, "w") as file:
        file["attributes"] = json.dumps(attributes)
        for i in everything:
            file[f"X/{i}"], file[f"Y/{i}"] = f"text {i}", "a"


def shares(partition: Partition) -> dict[str, list[list[int]]]:
    return {
        name: [split.client(k).tolist() for k in range(split.clients)]
        for name, split in partition.splits.items()
    }


EXPECTED = {"train": [[1, 5], [], [0, 7]], "test": [[2], [0, 3], []]}


@pytest.mark.parametrize(
    ("method", "asked"),
    [
        ("uniform", "uniform"),
        ("niid_label_clients=100_alpha=1", "niid_label_clients=100_alpha=1.0"),
        ("niid_label_clients=100.0_alpha=5.0", "niid_label_clients=100_alpha=5"),
        ("niid_cluster_clients=100_alpha=0.1", "niid_cluster_clients=100.0_alpha=0.1"),
        ("niid_quantity_clients=100_beta=5.0", "niid_quantity_clients=100_beta=5"),
        ("kmeans_10", "kmeans_clusters=10"),
        ("kmeans_clusters=10", "kmeans_10"),
        ("nature", "nature"),
    ],
)
def test_every_spelling(method: str, asked: str, tmp_path: Path) -> None:
    path = tmp_path / "20news_partition.h5"
    write_method(path, method, n_clients=None if method == "nature" else 3, alpha=1.0)
    write_method(path, "another_method")
    for wanted in (method, asked):
        read = import_partition(path, method=wanted, sizes=SIZES)
        assert shares(read) == EXPECTED
    assert read.provenance["partitioner"] == "imported"
    assert read.provenance["format"] == "h5" and read.provenance["file"] == path.name
    assert read.provenance["parameters"] == {"alpha": 1.0}
    assert read.provenance["rows_of"] == {"train": "train", "test": "test"}
    assert read.splits["train"].hashes is None and read.histogram is None
    json.dumps(read.provenance)


def test_several_methods_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    write_method(path, "uniform")
    write_method(path, "niid_label_clients=3_alpha=1")
    for wanted in (None, "niid_label_clients=3_alpha=2"):
        with pytest.raises(PartitionError) as error:
            import_partition(path, method=wanted, sizes=SIZES)
        assert "niid_label_clients=3_alpha=1, uniform" in str(error.value)
    assert shares(import_partition(path, method="uniform", sizes=SIZES)) == EXPECTED


def test_a_method_is_known_by_the_part_that_tells_it_from_the_others(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    write_method(path, "niid_label_clients=3_alpha=1")
    write_method(path, "niid_cluster_clients=3_alpha=5.0")
    write_method(path, "kmeans_10")
    for wanted, method in (
        ("alpha=1", "niid_label_clients=3_alpha=1"),
        ("alpha=1.0", "niid_label_clients=3_alpha=1"),
        ("niid_label_alpha=1", "niid_label_clients=3_alpha=1"),
        ("alpha=5", "niid_cluster_clients=3_alpha=5"),
        ("cluster", "niid_cluster_clients=3_alpha=5"),
        ("clusters=10", "kmeans_clusters=10"),
    ):
        read = import_partition(path, method=wanted, sizes=SIZES)
        assert shares(read) == EXPECTED and read.provenance["method"] == method
    for wanted in ("alpha=10", "alpha=", "alph", ""):
        with pytest.raises(PartitionError, match=f"no method '{wanted}'; expected one of kmeans"):
            import_partition(path, method=wanted, sizes=SIZES)


@pytest.mark.parametrize("wanted", ["alpha=1.00", "clients=3", "niid_label_clients=3_alpha=1.00"])
def test_a_method_that_may_be_several_is_none(wanted: str, tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    write_method(path, "niid_label_clients=3_alpha=1")
    write_method(path, "niid_label_clients=3_alpha=1.0")
    both = "niid_label_clients=3_alpha=1, niid_label_clients=3_alpha=1.0; expected the whole name"
    with pytest.raises(PartitionError, match=f"method '{wanted}' may be {both}"):
        import_partition(path, method=wanted, sizes=SIZES)
    for exact in ("niid_label_clients=3_alpha=1", "niid_label_clients=3_alpha=1.0"):
        import_partition(path, method=exact, sizes=SIZES)


def test_keys_are_numbers_not_text(tmp_path: Path) -> None:
    """HDF5 keeps keys as 0, 1, 10, 11, 2: FedNLP's own k-means went wrong by that."""
    for number, key in enumerate((str, lambda k: f"{k}.0")):
        path = tmp_path / f"{number}.h5"
        with h5py.File(path, "w") as file:
            file["m/n_clients"] = 23.0
            for k in range(23):
                file[f"m/partition_data/{key(k)}/train"] = [100 - k]
                file[f"m/partition_data/{key(k)}/test"] = []
        read = import_partition(path)  # no test examples: the size of train does not matter
        assert shares(read)["train"] == [[100 - k] for k in range(23)]


def test_rows_by_the_data_file_beside_it(tmp_path: Path) -> None:
    write_method(tmp_path / "a_partition.h5", "uniform")
    train, test = [1, 0, 5, 7, 20], [13, 12, 10]
    write_data(tmp_path / "a_data.h5", train, test, sorted(train + test))
    expected = {"train": [[0, 2], [], [1, 3]], "test": [[1], [0, 2], []]}
    assert shares(import_partition(tmp_path / "a_partition.h5")) == expected
    known = {"train": 5, "test": 3}
    assert shares(import_partition(tmp_path / "a_partition.h5", sizes=known)) == expected
    with pytest.raises(PartitionError, match=r"a_data\.h5: lists 5 examples of train"):
        import_partition(tmp_path / "a_partition.h5", sizes=SIZES)


def test_without_split_lists_nine_tenths_are_train(tmp_path: Path) -> None:
    """As `niid_label.py` does for WikiNER."""
    with h5py.File(tmp_path / "a_partition.h5", "w") as file:
        file["uniform/n_clients"] = 1
        file["uniform/partition_data/0/train"] = [8, 3]
        file["uniform/partition_data/0/test"] = [9]
    write_data(tmp_path / "a_data.h5", None, None, list(range(10)))
    read = import_partition(tmp_path / "a_partition.h5")
    assert shares(read) == {"train": [[3, 8]], "test": [[0]]}


def test_clusters_as_clients(tmp_path: Path) -> None:
    """`kmeans.py` without split lists leaves clients empty; the assignment says it all."""
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["kmeans_clusters=3/n_clients"] = 3
        file["kmeans_clusters=3/client_assignment"] = np.array([2, 0, 1, 0, 0, 1], np.int32)
        for k in range(3):
            file[f"kmeans_clusters=3/partition_data/{k}/train"] = []
            file[f"kmeans_clusters=3/partition_data/{k}/test"] = []
    read = import_partition(path, sizes={"train": 4, "test": 2})
    assert shares(read) == {"train": [[1, 3], [2], [0]], "test": [[0], [1], []]}


def test_without_the_size_of_train_nothing_is_guessed(tmp_path: Path) -> None:
    write_method(tmp_path / "x.h5", "uniform")
    with pytest.raises(PartitionError, match="the size of train"):
        import_partition(tmp_path / "x.h5")


@pytest.mark.parametrize(
    ("train", "test", "what"),
    [
        (11, 9, "test index 10 is no example of test"),
        (7, 9, "train index 7 is no example of train"),
        (10, 3, "test index 3; expected rows of test, which has 3"),
    ],
)
def test_of_other_data(train: int, test: int, what: str, tmp_path: Path) -> None:
    write_method(tmp_path / "x.h5", "uniform")
    with pytest.raises(PartitionError, match=what):
        import_partition(tmp_path / "x.h5", sizes={"train": train, "test": test})


def _method(file: h5py.File, *arrays: object, extra: tuple[str, ...] = ()) -> None:
    file["m/n_clients"] = len(arrays) + len(extra)
    for k, array in enumerate(arrays):
        file[f"m/partition_data/{k}/train"] = array
        file[f"m/partition_data/{k}/test"] = []
    for key in extra:
        file.create_group(f"m/partition_data/{key}")


def _huge(file: h5py.File) -> None:
    _method(file, [1])
    del file["m/partition_data/0/train"]
    file.create_dataset("m/partition_data/0/train", shape=(10**12,), dtype="i8", chunks=(1024,))


def _edited(**changes: object):
    def build(file: h5py.File) -> None:
        _method(file, [1], [2])
        for key, value in changes.items():
            place = key.replace("__", "/")
            del file[f"m/{place}"]
            if value is not None:
                file[f"m/{place}"] = value

    return build


@pytest.mark.parametrize(
    ("build", "what"),
    [
        (lambda file: None, "holds no partition"),
        (lambda file: _method(file, [1, 1]), "index 1 is listed twice, by client 0"),
        (lambda file: _method(file, [1], [1]), "listed twice, by client 0 and by client 1"),
        (lambda file: _method(file, [-1]), "index -1|no example of train"),
        (lambda file: _method(file, [0.5]), "float64"),
        (lambda file: _method(file, [[1], [2]]), r"shape \(2, 1\)"),
        (lambda file: _method(file, 3), r"shape \(\)"),
        (lambda file: _method(file, [b"1"]), "whole numbers"),
        (lambda file: _method(file, ["1"]), "whole numbers"),
        (lambda file: _method(file, [2**63 + 1]), "below 2|no example"),
        (lambda file: _method(file, [100]), "no example of train"),
        (_huge, "does not hold"),
        (_edited(n_clients=1000000000), "n_clients 1000000000, but 2 clients"),
        (_edited(n_clients="many"), "n_clients: "),
        (_edited(n_clients=[2]), "n_clients: "),
        (_edited(partition_data__0=None), "client 0 is missing"),
        (_edited(partition_data__1=[3]), "partition_data/1|not readable"),
        (_edited(partition_data__1__test=None), "partition_data/1/test: missing"),
        (_edited(partition_data=None), "holds no partition"),
        (lambda file: _method(file, [1], extra=("x",)), "client 'x'"),
        (lambda file: _method(file, [1], extra=("-1",)), "'-1'"),
        (lambda file: _method(file, [1], extra=("0.0",)), "0 and 0.0"),
        (lambda file: _method(file, [1], extra=("9",)), "is missing"),
    ],
)
def test_bad_files(build, what: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        build(file)
    with pytest.raises(PartitionError, match=what) as error:
        import_partition(tmp_path / "x.h5", sizes={"train": 50, "test": 5})
    assert "\n" not in str(error.value) and "x.h5" in str(error.value)


def test_a_data_file_is_no_partition(tmp_path: Path) -> None:
    write_data(tmp_path / "x_data.h5", [0], [1], [0, 1])
    with pytest.raises(PartitionError, match="holds no partition"):
        import_partition(tmp_path / "x_data.h5")


@pytest.mark.parametrize("text", ["[]", "{", '{"index_list": 3}', '{"train_index_list": ["a"]}'])
def test_a_broken_data_file_beside(text: str, tmp_path: Path) -> None:
    write_method(tmp_path / "x_partition.h5", "uniform")
    with h5py.File(tmp_path / "x_data.h5", "w") as file:
        file["attributes"] = text
    with pytest.raises(PartitionError, match=r"x_data\.h5"):
        import_partition(tmp_path / "x_partition.h5")


class FedNLPReader:
    """What BaseDataManager and its classes for the tasks do with the two files."""

    def __init__(self, partition_path: Path, data_path: Path | None, method: str) -> None:
        self.partition_path, self.data_path, self.method = partition_path, data_path, method
        file = h5py.File(partition_path, "r", swmr=True)
        self.num_clients = int(file[method]["n_clients"][()])
        file.close()

    def attributes(self) -> dict:
        file = h5py.File(self.data_path, "r", swmr=True)
        attributes = json.loads(file["attributes"][()])
        file.close()
        return attributes

    def indices(self, client: int) -> tuple[list, list]:
        file = h5py.File(self.partition_path, "r", swmr=True)
        train = file[self.method]["partition_data"][str(client)]["train"][()]
        test = file[self.method]["partition_data"][str(client)]["test"][()]
        file.close()
        return list(train), list(test)

    def instances(self, task: str, index_list: list) -> list[dict]:
        file = h5py.File(self.data_path, "r", swmr=True)
        found = []
        for idx in index_list:
            if task == "question_answering":
                found.append({
                    "context": file["context_X"][str(idx)][()].decode("utf-8"),
                    "question": file["question_X"][str(idx)][()].decode("utf-8"),
                    "y": tuple(file["Y"][str(idx)][()]),
                    "answer": file["Y_answer"][str(idx)][()].decode("utf-8"),
                    "id": file["question_ids"][str(idx)][()].decode("utf-8"),
                })  # fmt: skip
            elif task == "sequence_tagging":
                x = [word.decode("utf-8") for word in file["X"][str(idx)][()]]
                found.append({"x": x, "y": [tag.decode() for tag in file["Y"][str(idx)][()]]})
            else:
                x, y = file["X"][str(idx)][()], file["Y"][str(idx)][()]
                found.append({"x": x.decode("utf-8"), "y": y.decode("utf-8")})
        file.close()
        return found


def expected(task: str, row: dict) -> dict:
    if task == "question_answering":
        answer, start = row["answers"]["text"][0], row["answers"]["start"][0]
        return {
            "context": row["context"], "question": row["question"], "id": row["id"],
            "answer": answer, "y": (start, start + len(answer)),
        }  # fmt: skip
    if task == "sequence_tagging":
        return {"x": row["words"], "y": row["tags"]}
    if task == "seq2seq":
        return {"x": row["input"], "y": row["targets"][0]}
    return {"x": row["text"], "y": row["label"]}


@pytest.mark.parametrize("task", TASKS)
def test_their_code_reads_our_files(task: str, tmp_path: Path) -> None:
    made = random_partition(4, clients=12, rows=120)
    tables = examples(made, task)
    made_paths = export_partition(made, tmp_path / "a_partition.h5", "h5", examples=tables)
    assert sorted(path.name for path in made_paths) == ["a_data.h5", "a_partition.h5"]
    method = "niid_label_clients=12_alpha=0.1"
    reader = FedNLPReader(tmp_path / "a_partition.h5", tmp_path / "a_data.h5", method)
    assert reader.num_clients == 12
    attributes = reader.attributes()
    begin = int(made.splits["train"].indices.max()) + 1
    numbers = {"train": sorted(made.splits["train"].indices)}
    numbers["test"] = sorted(made.splits["test"].indices + begin)
    for name, listed in numbers.items():
        assert attributes[f"{name}_index_list"] == listed
    assert attributes["index_list"] == numbers["train"] + numbers["test"]
    if task in ("text_classification", "sequence_tagging"):
        target = "label" if task == "text_classification" else "tags"
        values = [value for table in tables.values() for value in table.column(target).to_pylist()]
        flat = {one for value in values for one in (value if target == "tags" else [value])}
        assert set(attributes["label_vocab"]) == flat
        assert sorted(attributes["label_vocab"].values()) == list(range(len(flat)))
    rows = {
        name: dict(zip(made.splits[name].indices.tolist(), table.to_pylist(), strict=True))
        for name, table in tables.items()
    }
    for k in range(reader.num_clients):
        train, test = reader.indices(k)
        assert train == made.splits["train"].client(k).tolist()
        assert test == (made.splits["test"].client(k) + begin).tolist()
        wanted = [expected(task, rows["train"][i]) for i in train]
        assert reader.instances(task, train) == wanted
        wanted = [expected(task, rows["test"][i - begin]) for i in test]
        assert reader.instances(task, test) == wanted


def test_a_size_moves_the_test_examples(tmp_path: Path) -> None:
    made = random_partition(4)
    export_partition(made, tmp_path / "x.h5", "h5", sizes={"train": 1000})
    reader = FedNLPReader(tmp_path / "x.h5", None, "niid_label_clients=7_alpha=0.1")
    for k in range(7):
        assert reader.indices(k)[1] == (made.splits["test"].client(k) + 1000).tolist()
    assert_same(import_partition(tmp_path / "x.h5"), made)
    with pytest.raises(PartitionError, match="sizes"):
        export_partition(made, tmp_path / "y.h5", "h5", sizes={"train": 3})


def test_a_test_split_cut_from_train_shares_its_numbers(tmp_path: Path) -> None:
    split = Split.from_owners(np.array([0, 1, 0, -1, -1, -1]), 2)
    test = Split.from_owners(np.array([-1, -1, -1, 1, 0, -1]), 2)
    made = Partition(
        {"train": split, "test": test}, {"rows_of": {"train": "train", "test": "train"}}
    )
    export_partition(made, tmp_path / "x.h5", "h5")
    reader = FedNLPReader(tmp_path / "x.h5", None, "partition_clients=2")
    assert [reader.indices(k) for k in range(2)] == [([0, 2], [4]), ([1], [3])]
    assert_same(import_partition(tmp_path / "x.h5"), made)


def test_chosen_clients_leave_no_gap_for_their_reader(tmp_path: Path) -> None:
    made = random_partition(4)
    export_partition(made, tmp_path / "x.h5", "h5", clients=[2, 4])
    reader = FedNLPReader(tmp_path / "x.h5", None, "niid_label_clients=7_alpha=0.1")
    assert reader.num_clients == 5
    for k in range(reader.num_clients):
        held = made.splits["train"].client(k).tolist() if k in (2, 4) else []
        assert reader.indices(k)[0] == held


@pytest.mark.parametrize(
    ("name", "parameters", "methods"),
    [
        ("uniform", {}, ["uniform", "uniform_clients=6"]),
        ("dirichlet", {"alpha": 1.0},
         ["niid_label_clients=6_alpha=1", "niid_label_clients=6_alpha=1.0"]),
        ("dirichlet", {"alpha": 0.5}, ["niid_label_clients=6_alpha=0.5"]),
        ("quantity", {"alpha": 5.0}, ["niid_quantity_clients=6_beta=5.0"]),
        ("dirichlet_per_class", {"alpha": 0.5}, ["dirichlet_per_class_clients=6_alpha=0.5"]),
    ],
)  # fmt: skip
def test_names_that_their_scripts_ask_for(name, parameters, methods, tmp_path: Path) -> None:
    labels = np.arange(120) % 4
    made = make_partition(
        name, parameters, clients=6, seed=0, train_labels=labels, test_labels=labels[:40]
    )
    export_partition(made, tmp_path / "x.h5", "h5")
    for method in methods:
        reader = FedNLPReader(tmp_path / "x.h5", None, method)
        held = [reader.indices(k)[0] for k in range(6)]
        assert held == [made.splits["train"].client(k).tolist() for k in range(6)]
        assert_same(import_partition(tmp_path / "x.h5", method=method), made)
    assert_same(import_partition(tmp_path / "x.h5"), made)  # two names, one partition


def test_a_foreign_partition_keeps_its_name(tmp_path: Path) -> None:
    write_method(tmp_path / "x.h5", "niid_label_clients=3_alpha=5.0", alpha=5.0)
    read = import_partition(tmp_path / "x.h5", sizes=SIZES)
    export_partition(read, tmp_path / "y.h5", "h5", sizes={"train": 10})
    assert_same(import_partition(tmp_path / "y.h5"), read)
    with h5py.File(tmp_path / "y.h5") as file:
        assert list(file) == ["niid_label_clients=3_alpha=5"]
        assert file["niid_label_clients=3_alpha=5/alpha"][()] == 5.0
        assert file["niid_label_clients=3_alpha=5/partition_data/1/test"][()].tolist() == [10, 13]
