"""Examples of FedNLP's data file as rows of the source, found by what is in them.

The order of their examples is their own, so an index says which row it is by its content:

| task                | compared                                                            |
|---------------------|---------------------------------------------------------------------|
| text_classification | text, and label where all of their labels are names of ours         |
| sequence_tagging    | words, and tags likewise                                            |
| question_answering  | question and context; several answers of theirs may be one row here |
| seq2seq             | input, and target: any of a row's targets                           |

Runs of white space count as one space. Of equal examples the k-th there is the k-th here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import PartitionError
from ..row_lookup import places_by_content, places_by_number
from .content_hash import PART, content_hash
from .contents import task_of
from .h5_data import SPLITS
from .shares import decoding

if TYPE_CHECKING:
    import h5py
    import pyarrow

KEYS = {  # data sets of the file
    "text_classification": ("X", "Y"),
    "sequence_tagging": ("X", "Y"),
    "question_answering": ("question_X", "context_X"),
    "seq2seq": ("X", "Y"),
}
COLUMNS = {  # the columns that hold the same
    "text_classification": ("text", "label"),
    "sequence_tagging": ("words", "tags"),
    "question_answering": ("question", "context"),
    "seq2seq": ("input", "targets"),
}
LABELLED = ("text_classification", "sequence_tagging")
Turned = dict[str, Callable[[np.ndarray], np.ndarray]]


def rows_by_content(
    path: Path, lists: tuple[np.ndarray, np.ndarray], examples: Callable[[str], pyarrow.Table]
) -> Turned:
    """For train and test, from indices to source rows, -1 for an example that is not in the source.

    Args:
        path: FedNLP's data file. lists: its indices of train and of test.
        examples: all examples of a split with their `row`, labels by name.

    Raises:
        PartitionError: it is not readable, or of another task.
    """
    import h5py

    turned: Turned = {}
    with decoding(path, "h5"), h5py.File(path, "r") as file:
        for name, listed in zip(SPLITS, lists, strict=True):
            table = examples(name)
            task, _ = task_of(table)
            missing = [key for key in KEYS[task] if key not in file]
            if missing:
                raise PartitionError(str(path), f"no {missing[0]} in it", f"examples for {task}")
            values = [_values(file[key], listed) for key in KEYS[task]]
            turned[name] = _turn(listed, _rows(task, values, table))
    return turned


def _rows(task: str, values: list[list[str]], table: pyarrow.Table) -> np.ndarray:
    """[n] int64: the source row of each of their examples, -1 where there is none."""
    inputs, targets = (table.column(name).to_pylist() for name in COLUMNS[task])
    inputs = list(map(_joined, inputs))
    if task != "seq2seq":
        targets = [[target] for target in targets]
    targets = [list(map(_joined, some)) for some in targets]
    if task in LABELLED and not _labels(values[1]) <= _labels(one for [one] in targets):
        values, targets = values[:1], [[""]] * len(targets)  # other names: the inputs alone
    mine, places = [], []
    for place, (text, some) in enumerate(zip(inputs, targets, strict=True)):
        for one in some:
            mine.append(content_hash((text, one) if len(values) > 1 else (text,)))
            places.append(place)
    theirs = np.array([content_hash(fields) for fields in zip(*values, strict=True)], np.uint64)
    ours, owners = np.array(mine, np.uint64), np.array(places, np.int64)
    found = places_by_content(theirs, np.arange(len(theirs)), ours, owners)
    if task == "question_answering":  # further answers to one question
        kinds, first = np.unique(ours, return_index=True)
        again = places_by_number(theirs, kinds)
        found = np.where((found < 0) & (again >= 0), first[again], found)
    rows = table.column("row").to_numpy()
    return np.where(found < 0, -1, rows[owners[found]]) if len(rows) else found


def _turn(listed: np.ndarray, rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    def turn(indices: np.ndarray) -> np.ndarray:
        places = places_by_number(indices, listed)
        return np.where(places < 0, -1, rows[places]) if len(rows) else places

    return turn


def _values(group: h5py.Group, listed: np.ndarray) -> list[str]:
    """The text of each example; the words of a sentence are one text."""
    found = []
    for index in listed.tolist():
        value = group[str(index)][()]
        parts = value.tolist() if isinstance(value, np.ndarray) else [value]
        found.append(_joined([p.decode() if isinstance(p, bytes) else str(p) for p in parts]))
    return found


def _joined(value: str | list[str]) -> str:
    """A text, or the words of a sentence, with single spaces."""
    parts = value if isinstance(value, list) else [value]
    return PART.join(" ".join(part.split()) for part in parts)


def _labels(values: Iterable[str]) -> set[str]:
    return {label for value in set(values) for label in value.split(PART)}
