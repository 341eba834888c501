"""FedNLP's examples in an order of their own: found among the source's by what is in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pyarrow
import pytest
from samples import TASKS, _columns

from partitioners import PartitionError
from partitioners.formats import import_partition

ROWS = {"train": 12, "test": 6}


def source(task: str, split: str) -> pyarrow.Table:
    """Rows with gaps in their numbers; the first two have the same content."""
    rows = [2 * row for row in range(ROWS[split])]
    columns = _columns(task, split, [rows[1], *rows[1:]])
    return pyarrow.table({**columns, "row": rows})


def datasets_of(task: str, row: dict) -> dict:
    """Name -> value, as FedNLP's loaders write one example."""
    if task == "question_answering":
        start = row["answers"]["start"][0]
        return {"context_X": row["context"], "question_X": row["question"],
                "question_ids": row["id"], "Y": (start, start + 2)}  # fmt: skip
    if task == "sequence_tagging":
        return {"X": row["words"], "Y": row["tags"]}
    if task == "seq2seq":
        return {"X": row["input"], "Y": row["targets"][-1]}
    return {"X": row["text"], "Y": row["label"]}


Order = dict[str, list[int]]  # split -> the place in the source of each example of theirs
Change = Callable[[str, int, dict], dict]


def write(
    folder: Path, task: str, order: Order, shares: dict[str, list[list[int]]], change: Change
) -> Path:
    """The two files; `shares` are places in `order`, and indices begin with 100."""
    text = h5py.string_dtype("utf-8")
    begins = {"train": 100, "test": 100 + len(order["train"])}
    lists = {name: [begins[name] + n for n in range(len(order[name]))] for name in order}
    with h5py.File(folder / "a_data.h5", "w") as file:
        told = {f"{name}_index_list": listed for name, listed in lists.items()}
        file["attributes"] = json.dumps({"index_list": [*lists["train"], *lists["test"]], **told})
        for name, places in order.items():
            rows = source(task, name).to_pylist()
            for index, place in zip(lists[name], places, strict=True):
                for key, value in change(name, place, datasets_of(task, rows[place])).items():
                    words = isinstance(value, list)
                    file[f"{key}/{index}"] = np.array(value, dtype=text) if words else value
    with h5py.File(folder / "a_partition.h5", "w") as file:
        file["uniform/n_clients"] = len(shares["train"])
        for name, clients in shares.items():
            for k, held in enumerate(clients):
                numbers = [begins[name] + n for n in held]
                file[f"uniform/partition_data/{k}/{name}"] = numbers
    return folder / "a_partition.h5"


def same(_: str, __: int, values: dict) -> dict:
    return values


ORDER = {"train": [7, 3, 11, 2, 9, 4], "test": [5, 1, 3]}
SHARES = {"train": [[0, 1], [2, 5], [3]], "test": [[0], [1], [2]]}
EXPECTED = {"train": [[6, 14], [8, 22], [4]], "test": [[10], [2], [6]]}  # rows: twice the places
SIZES = {"train": 24, "test": 12}


def read(path: Path, task: str) -> dict[str, list[list[int]]]:
    found = import_partition(path, sizes=SIZES, examples=partial(source, task))
    assert found.provenance["rows_by"] == "content"
    return {
        name: [split.client(k).tolist() for k in range(split.clients)]
        for name, split in found.splits.items()
    }


@pytest.mark.parametrize("task", TASKS)
def test_rows_are_those_of_the_same_content(task: str, tmp_path: Path) -> None:
    order = {**ORDER, "test": [5, 2, 3]}
    path = write(tmp_path, task, order, SHARES, same)
    assert read(path, task) == {**EXPECTED, "test": [[10], [4], [6]]}
    unchecked = import_partition(path)  # nothing to compare with
    assert unchecked.provenance["rows_by"] == "number"
    assert unchecked.splits["train"].client(0).tolist() == [0, 1]


@pytest.mark.parametrize("task", TASKS)
def test_equal_examples_go_in_order(task: str, tmp_path: Path) -> None:
    order = {"train": [1, 5, 0], "test": [4]}
    path = write(tmp_path, task, order, {"train": [[2], [0], [1]], "test": [[], [0], []]}, same)
    assert read(path, task) == {"train": [[2], [0], [10]], "test": [[], [8], []]}


@pytest.mark.parametrize("task", ["text_classification", "sequence_tagging"])
def test_other_names_of_labels_are_not_compared(task: str, tmp_path: Path) -> None:
    def renamed(_: str, place: int, values: dict) -> dict:
        other = ["O", f"T-{place % 2}"] if task == "sequence_tagging" else f"{place % 3 + 1}"
        return {**values, "Y": other}

    path = write(tmp_path, task, {**ORDER, "test": [5, 2, 3]}, SHARES, renamed)
    assert read(path, task)["train"] == EXPECTED["train"]


def test_labels_of_the_same_names_are_compared(tmp_path: Path) -> None:
    def swapped(_: str, place: int, values: dict) -> dict:
        return {**values, "Y": f"label{(2 * place + 1) % 3}"}

    path = write(tmp_path, "text_classification", ORDER, SHARES, swapped)
    with pytest.raises(PartitionError, match="train index 100 is no example of train"):
        read(path, "text_classification")


@pytest.mark.parametrize("task", TASKS)
def test_white_space_is_not_compared(task: str, tmp_path: Path) -> None:
    def spaced(_: str, __: int, values: dict) -> dict:
        return {
            key: f" {value.replace(' ', chr(10))}\r\n" if isinstance(value, str) else value
            for key, value in values.items()
        }

    path = write(tmp_path, task, {**ORDER, "test": [5, 2, 3]}, SHARES, spaced)
    assert read(path, task)["train"] == EXPECTED["train"]


@pytest.mark.parametrize("task", TASKS)
def test_an_example_that_the_data_lack_is_told(task: str, tmp_path: Path) -> None:
    def edited(name: str, place: int, values: dict) -> dict:
        key = "question_X" if task == "question_answering" else "X"
        if (name, place) != ("train", 2):
            return values
        return {**values, key: ["a", "b"] if task == "sequence_tagging" else "edited"}

    path = write(tmp_path, task, {**ORDER, "test": [5, 2, 3]}, SHARES, edited)
    with pytest.raises(PartitionError, match="train index 103 is no example of train") as error:
        read(path, task)
    assert "without a_data.h5 beside it" in str(error.value) and "\n" not in str(error.value)


def test_answers_to_one_question_are_one_example(tmp_path: Path) -> None:
    task, order = "question_answering", {"train": [3, 4, 3, 3], "test": [4]}
    test = [[0], []]
    path = write(tmp_path, task, order, {"train": [[0, 2, 3], [1]], "test": test}, same)
    assert read(path, task)["train"] == [[6], [8]]
    (tmp_path / "other").mkdir()
    path = write(tmp_path / "other", task, order, {"train": [[0, 2], [1, 3]], "test": test}, same)
    with pytest.raises(PartitionError, match="index 6 is listed twice, by client 0 and by client"):
        read(path, task)


@pytest.mark.parametrize("task", TASKS)
def test_a_data_file_of_another_task(task: str, tmp_path: Path) -> None:
    other = "question_answering" if task != "question_answering" else "seq2seq"
    path = write(tmp_path, other, {**ORDER, "test": [5, 2, 3]}, SHARES, same)
    with pytest.raises(PartitionError, match=f"no .* in it; expected examples for {task}"):
        read(path, task)


def test_a_data_file_without_its_examples(tmp_path: Path) -> None:
    path = write(tmp_path, "seq2seq", {**ORDER, "test": [5, 2, 3]}, SHARES, same)
    with h5py.File(tmp_path / "a_data.h5", "a") as file:
        del file["X/101"]
    with pytest.raises(PartitionError, match=r"a_data\.h5: not readable as h5") as error:
        read(path, "seq2seq")
    assert "\n" not in str(error.value)
