"""Run by test_flower.py in Flower's environment, against flwr-datasets itself and on its own.

FLOWER_DATA is the folder that `flower_data.write_flower_data` filled.
"""

import importlib.util
import json
import os
import pickle
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from datasets import ClassLabel, Dataset, load_dataset, load_from_disk
from flwr_datasets import FederatedDataset
from flwr_datasets.metrics import compute_counts
from flwr_datasets.partitioner import DirichletPartitioner, Partitioner

from partitioners import Partition, PartitionError, Split, dirichlet
from partitioners.formats.flower import flower_partitioner

DATA = Path(os.environ["FLOWER_DATA"])
TASKS = ("text_classification", "sequence_tagging", "question_answering", "seq2seq")
TEXTS = DATA / "text_classification"
CLIENTS = 7


def rows_of(folder, name="train"):
    """The files' rows in their order, read without Flower."""
    return load_dataset(str(folder / "data"))[name]


def value(row, column):
    for key in column.split("."):
        row = row[key]
    return row


def one_line(error):
    return str(error.value).count("\n") == 0 and len(str(error.value)) < 500


def assert_refused(partitioner, rows, *found):
    """On every use, not on the first alone."""
    partitioner.dataset = rows
    for _ in range(2):
        with pytest.raises(PartitionError) as error:
            partitioner.load_partition(0)
        assert one_line(error) and all(text in str(error.value) for text in found), error.value


def test_the_environment_is_what_it_says():
    assert version("flwr-datasets") == "0.6.1"
    assert importlib.util.find_spec("torch") is None
    assert importlib.util.find_spec("transformers") is None


@pytest.mark.parametrize("task", TASKS)
def test_a_federated_dataset_gives_every_client_its_rows(task):
    told = json.loads((DATA / task / "held.json").read_text())
    stored = Partition.load(DATA / task / "partition.npz")
    split = {
        name: flower_partitioner(DATA / task, name, columns=told["columns"])
        for name in ("train", "test")
    }
    data = FederatedDataset(dataset=str(DATA / task / "data"), partitioners=split, shuffle=False)
    assert all(isinstance(partitioner, Partitioner) for partitioner in split.values())
    for name in ("train", "test"):
        source = rows_of(DATA / task, name).to_list()
        given = [data.load_partition(k, name) for k in range(CLIENTS)]
        assert data.partitioners[name].num_partitions == CLIENTS
        for k, part in enumerate(given):
            wanted = stored.splits[name].client(k)
            assert part.to_list() == [source[row] for row in wanted]
            assert sorted(value(row, told["columns"][0]) for row in part) == told["held"][name][k]
        assert sum(map(len, given)) == len(stored.splits[name].indices) > 0
    assert len(stored.splits["train"].indices) < len(rows_of(DATA / task))  # a validation cut


def test_flowers_own_dirichlet_crashes_on_tag_sequences():
    """What ours splits by the types of the entities, above."""
    theirs = DirichletPartitioner(num_partitions=CLIENTS, partition_by="tags", alpha=0.5)
    theirs.dataset = rows_of(DATA / "sequence_tagging")
    with pytest.raises(pyarrow.ArrowNotImplementedError, match="unique"):
        theirs.load_partition(0)


def test_a_dataset_of_ones_own(tmp_path):
    rows_of(TEXTS).save_to_disk(tmp_path / "rows")
    partitioner = flower_partitioner(TEXTS / "partition.npz", columns=["text", "label"])
    partitioner.dataset = load_from_disk(tmp_path / "rows")
    stored, source = Partition.load(TEXTS / "partition.npz"), rows_of(TEXTS).to_list()
    for k in range(CLIENTS):
        wanted = [source[row] for row in stored.splits["train"].client(k)]
        assert partitioner.load_partition(k).to_list() == wanted
        assert partitioner.load_partition(np.int64(k)).to_list() == wanted


def test_flowers_measures_take_it():
    partitioner = flower_partitioner(TEXTS, columns=None)
    data = FederatedDataset(
        dataset=str(TEXTS / "data"), partitioners={"train": partitioner}, shuffle=False
    )
    counts = compute_counts(data.partitioners["train"], "label")
    sizes = Partition.load(TEXTS / "partition.npz").splits["train"].sizes()
    assert counts.sum(axis=1).tolist() == sizes.tolist()


def test_it_survives_pickle_with_and_without_data():
    empty = flower_partitioner(TEXTS, columns=["text", "label"])
    copy = pickle.loads(pickle.dumps(empty))
    assert not copy.is_dataset_assigned()
    for partitioner in (empty, copy):
        partitioner.dataset = rows_of(TEXTS)
    again = pickle.loads(pickle.dumps(empty))
    for k in range(CLIENTS):
        assert empty.load_partition(k).to_list() == copy.load_partition(k).to_list()
        assert empty.load_partition(k).to_list() == again.load_partition(k).to_list()


def test_flowers_shuffle_is_refused():
    """It is what FederatedDataset does unless told not to."""
    data = FederatedDataset(
        dataset=str(TEXTS / "data"), partitioners={"train": flower_partitioner(TEXTS, columns=None)}
    )
    for _ in range(2):
        with pytest.raises(PartitionError, match="pass shuffle=False to FederatedDataset") as error:
            data.load_partition(0)
        assert one_line(error)


def test_a_shuffle_that_left_no_trace_is_seen_by_content():
    rows = rows_of(TEXTS).shuffle(seed=0).flatten_indices()
    assert_refused(flower_partitioner(TEXTS, columns=["text", "label"]), rows, "is not its example")


def test_the_check_is_left_out_only_on_demand():
    with pytest.raises(PartitionError, match=r"columns: not given, and .* hashes") as error:
        flower_partitioner(TEXTS)
    assert one_line(error) and "columns=None" in str(error.value)
    unchecked = flower_partitioner(TEXTS, columns=None)
    unchecked.dataset = rows_of(TEXTS).shuffle(seed=0).flatten_indices()
    assert len(unchecked.load_partition(0))


@pytest.mark.parametrize("task", TASKS)
def test_one_other_value_is_seen_by_content(task):
    told = json.loads((DATA / task / "held.json").read_text())
    row = int(Partition.load(DATA / task / "partition.npz").splits["train"].client(3)[0])
    for column in told["columns"]:
        changed = rows_of(DATA / task).to_list()
        *path, last = column.split(".")
        holder = value(changed[row], ".".join(path)) if path else changed[row]
        old = holder[last]
        holder[last] = [*old[:-1], old[0] * 2] if isinstance(old, list) else f"{old}."
        partitioner = flower_partitioner(DATA / task, columns=told["columns"])
        assert_refused(partitioner, Dataset.from_list(changed), f"row {row} ", "(1 of ")


def test_words_do_not_run_into_one_another():
    folder = DATA / "sequence_tagging"
    rows = rows_of(folder).to_list()
    row = int(Partition.load(folder / "partition.npz").splits["train"].indices[0])
    first, second, *others = rows[row]["words"]
    rows[row]["words"] = [first + second, *others]
    partitioner = flower_partitioner(folder, columns=["words", "tags"])
    assert_refused(partitioner, Dataset.from_list(rows), f"row {row} ")


def test_numbers_of_a_class_label_count_by_name():
    numbered = rows_of(TEXTS).class_encode_column("label")
    assert numbered.features["label"].names == list("abcd") and numbered["label"][0] == 0
    partitioner = flower_partitioner(TEXTS, columns=["text", "label"])
    partitioner.dataset = numbered
    assert len(partitioner.load_partition(0))
    renamed = numbered.cast_column("label", ClassLabel(names=list("bacd")))
    assert_refused(flower_partitioner(TEXTS, columns=["text", "label"]), renamed, "not its example")


def test_numbers_of_tags_count_by_name():
    names = ["O", "B-PER", "B-LOC"]
    rows = rows_of(DATA / "sequence_tagging")
    rows = rows.map(lambda row: {"tags": [names.index(tag) for tag in row["tags"]]})
    features = rows.features.copy()
    features["tags"] = type(features["tags"])(ClassLabel(names=names))
    partitioner = flower_partitioner(DATA / "sequence_tagging", columns=["words", "tags"])
    partitioner.dataset = rows.cast(features)
    assert len(partitioner.load_partition(0))


def test_too_few_rows_are_refused():
    needed = int(Partition.load(TEXTS / "partition.npz").splits["train"].indices.max()) + 1
    fewer = rows_of(TEXTS).select(range(needed - 1))
    assert_refused(
        flower_partitioner(TEXTS, columns=None), fewer, f"{needed - 1} rows", f"at least {needed}"
    )
    enough = flower_partitioner(TEXTS, columns=None)
    enough.dataset = rows_of(TEXTS).select(range(needed))
    assert len(enough.load_partition(0))


def test_another_split_is_refused_unless_it_is_called_so():
    assert_refused(
        flower_partitioner(TEXTS, "test", columns=None), rows_of(TEXTS), "count rows of test"
    )
    calls_it_so = flower_partitioner(TEXTS, "test", source="train", columns=None)
    calls_it_so.dataset = rows_of(TEXTS)
    assert len(calls_it_so.load_partition(0))


def test_the_examples_of_a_run_are_not_rows():
    with pytest.raises(PartitionError, match="counts the examples that a run loaded") as error:
        flower_partitioner(TEXTS / "of_a_run.npz", columns=None)
    assert one_line(error)


def test_a_split_of_ones_own_array_needs_no_provenance():
    rows = rows_of(TEXTS)
    labels = np.unique(rows["label"][:], return_inverse=True)[1]
    split = dirichlet(labels, 5, np.random.default_rng(0), alpha=0.1)
    partitioner = flower_partitioner(Partition({"train": split}, {}))
    partitioner.dataset = rows
    for k in range(5):
        wanted = [rows[int(i)] for i in split.client(k)]
        assert partitioner.load_partition(k).to_list() == wanted
    with pytest.raises(PartitionError, match="no hashes"):
        flower_partitioner(Partition({"train": split}, {}), columns=["text"])


def test_a_client_without_rows_has_none():
    split = Split(np.array([3, 1]), np.array([0, 0, 2]))
    partitioner = flower_partitioner(Partition({"train": split}, {}))
    partitioner.dataset = rows_of(TEXTS)
    assert len(partitioner.load_partition(0)) == 0
    assert partitioner.load_partition(1)["text"][:] == [rows_of(TEXTS)["text"][i] for i in (3, 1)]


@pytest.mark.parametrize("client", [-1, CLIENTS])
def test_there_is_no_other_client(client):
    partitioner = flower_partitioner(TEXTS, columns=None)
    partitioner.dataset = rows_of(TEXTS)
    with pytest.raises(PartitionError, match="a client from 0 to 6"):
        partitioner.load_partition(client)


@pytest.mark.parametrize("column", ["label", "text.words"])
def test_an_unknown_column_is_named(column):
    other = rows_of(TEXTS).rename_column("label", "mood")
    assert_refused(flower_partitioner(TEXTS, columns=["text", column]), other, repr(column), "mood")
