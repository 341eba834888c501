"""FedNLP's data file beside its partition file: one data set per example, named by its index.

| task                | data sets                                                               |
|---------------------|-------------------------------------------------------------------------|
| text_classification | `X/{i}` text, `Y/{i}` label                                             |
| sequence_tagging    | `X/{i}` words, `Y/{i}` tags                                             |
| question_answering  | `context_X/{i}`, `question_X/{i}`, `question_ids/{i}`, `Y/{i}` (first   |
|                     | character, one behind the last), `Y_answer/{i}`: of the first answer    |
| seq2seq             | `X/{i}`, `Y/{i}`: the first target                                      |

`attributes` is JSON: `index_list`, `train_index_list`, `test_index_list`, and for the first two
tasks `label_vocab`, `num_labels`, `task_type`. Only the first of several answers fits in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import PartitionError
from ..files import kind_of
from .contents import task_of
from .format import Export
from .shares import decoding, flat_numbers

if TYPE_CHECKING:
    import h5py
    import pyarrow

SPLITS = ("train", "test")
CHUNK = 10_000  # examples held as Python objects at a time
_TASK_TYPES = {
    "text_classification": "text_classification",
    "sequence_tagging": "seq_tagging",
    "question_answering": "span_extraction",
}


def data_path(path: Path) -> Path:
    """`x_data.h5` for `x_partition.h5`, and for any other name of a partition file."""
    stem = path.stem.removesuffix("_partition")
    return path.with_name(f"{stem}_data.h5")


def write_data(file: h5py.File, export: Export, starts: dict[str, int]) -> None:
    """All examples that the clients hold."""
    import h5py

    assert export.examples is not None
    text = h5py.string_dtype("utf-8")
    lists: dict[str, list[int]] = {"train": [], "test": []}
    labels: set[str] = set()
    task = ""
    for name, split in export.partition.splits.items():
        table = export.examples[name]
        task, target = task_of(table)
        numbers = (split.indices + starts[name]).tolist()
        lists[name] = sorted(numbers)
        for index, row in zip(numbers, _rows(table), strict=True):
            for key, value in _entries(task, row):
                words = isinstance(value, list)
                try:
                    file[f"{key}/{index}"] = np.array(value, dtype=text) if words else value
                except ValueError as error:  # a NUL within a text
                    raise PartitionError(f"examples of {name} row {index}", str(error)) from None
            if task in ("text_classification", "sequence_tagging"):
                named = row[target]
                labels.update(map(str, named if isinstance(named, list) else [named]))
    attributes: dict[str, Any] = {"index_list": lists["train"] + lists["test"]}
    attributes |= {"train_index_list": lists["train"], "test_index_list": lists["test"]}
    if task in _TASK_TYPES:
        attributes["task_type"] = _TASK_TYPES[task]
    if labels:
        vocabulary = {label: number for number, label in enumerate(sorted(labels))}
        attributes |= {"label_vocab": vocabulary, "num_labels": len(vocabulary)}
    file["attributes"] = json.dumps(attributes)


def _rows(table: pyarrow.Table) -> Iterator[dict[str, Any]]:
    for begin in range(0, table.num_rows, CHUNK):
        yield from table.slice(begin, CHUNK).to_pylist()


def _entries(task: str, row: dict[str, Any]) -> list[tuple[str, Any]]:
    """Data set -> value of one example."""
    if task == "text_classification":
        return [("X", row["text"]), ("Y", str(row["label"]))]
    if task == "sequence_tagging":
        return [("X", row["words"]), ("Y", [str(tag) for tag in row["tags"]])]
    if task == "seq2seq":
        return [("X", row["input"]), ("Y", row["targets"][0])]
    answers = row["answers"]
    if not answers["text"]:
        raise PartitionError(f"question {row['id']}", "has no answer", "at least one, for h5")
    answer, start = answers["text"][0], answers["start"][0]
    return [
        ("context_X", row["context"]),
        ("question_X", row["question"]),
        ("question_ids", row["id"]),
        ("Y", (start, start + len(answer))),
        ("Y_answer", answer),
    ]


def read_index_lists(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Indices of train and of test in the order of their rows; None if there is no such file."""
    import h5py

    if kind_of(path) != "file":
        return None
    where = str(path)
    with decoding(path, "h5"):
        with h5py.File(path, "r") as file:
            text = file["attributes"][()]
        attributes = json.loads(text)
    if not isinstance(attributes, dict):
        raise PartitionError(where, "attributes that are no object")
    everything = attributes.get("index_list")
    lists = [attributes.get(f"{name}_index_list") for name in SPLITS]
    if lists == [None, None] and isinstance(everything, list):
        cut = int(len(everything) * 0.9)
        lists = [everything[:cut], everything[cut:]]
    if not all(isinstance(one, list) for one in lists):
        raise PartitionError(where, "attributes without train_index_list and test_index_list")
    train, test = (flat_numbers(where, "index", [one or []]) for one in lists)
    if len(np.unique(np.concatenate([train, test]))) != len(train) + len(test):
        raise PartitionError(where, "index lists that name an example twice")
    return train, test
