"""Partitions and examples to export, and what it means that one came back whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow
from hypothesis import strategies as st

from partitioners import LabelHistogram, Partition, Split
from partitioners.formats import FORMATS

SEALED = [name for name in FORMATS if name != "csv"]  # formats that hold all of a partition


def target(folder: Path, form: str) -> Path:
    return folder / ("split" + (FORMATS[form].suffixes or ("",))[0])


def random_partition(
    seed: int,
    clients: int = 7,
    rows: int = 60,
    *,
    hashed: bool = True,
    measured: bool = True,
    shuffled: bool = False,
) -> Partition:
    """Rows of train and test that nobody holds, clients without any, odd names and numbers."""
    rng = np.random.default_rng(seed)
    splits, owners = {}, {}
    for name, count in (("train", rows), ("test", rows // 3)):
        owners[name] = rng.integers(-1, clients, count)
        if name == "test" and clients > 1:
            owners[name][owners[name] == clients - 1] = -1
        split = Split.from_owners(owners[name], clients)
        indices = split.indices
        if shuffled:
            parts = [rng.permutation(split.client(k).copy()) for k in range(clients)]
            indices = np.concatenate(parts)
        hashes = rng.integers(0, 2**64, len(indices), dtype=np.uint64) if hashed else None
        splits[name] = Split(indices, split.offsets, hashes)
    provenance = {
        "partitioner": "dirichlet",
        "parameters": {"alpha": 0.1},
        "clients": clients,
        "file": 'a "Käse"\n\u2028.csv',
        "nested": {"list": [1, 2.5, None, True], "tiny": 5e-324, "big": 2**70},
        "rows_of": {"train": "train", "test": "test"},
    }
    histogram = None
    if measured:
        labels = rng.integers(0, 4, rows) * 3
        histogram = LabelHistogram.count(labels, owners["train"], clients, ("ä", 'b"', "c,d"))
    held_out = np.flatnonzero(rng.random(clients) < 0.3)
    return Partition(splits, provenance, held_out, histogram)


@st.composite
def partitions(draw: st.DrawFn) -> Partition:
    return random_partition(
        draw(st.integers(0, 2**32)),
        draw(st.sampled_from([1, 2, 3, 11, 12])),
        draw(st.sampled_from([0, 1, 3, 40])),
        hashed=draw(st.booleans()),
        measured=draw(st.booleans()),
        shuffled=draw(st.booleans()),
    )


def assert_same(read: Partition, made: Partition) -> None:
    """Shares, provenance, held-out clients, hashes and histogram."""
    assert read.checksum == made.checksum
    assert read.provenance == made.provenance
    assert json.dumps(read.provenance) == json.dumps(made.provenance)  # 1 and 1.0 are equal
    assert (read.held_out == made.held_out).all()
    for name, split in made.splits.items():
        if split.hashes is None or not len(split.hashes):
            assert read.splits[name].hashes is None or not len(read.splits[name].hashes)
        else:
            assert (read.splits[name].hashes == split.hashes).all()
    assert (read.histogram is None) == (made.histogram is None)
    if made.histogram is not None:
        assert read.histogram.names == made.histogram.names
        for part in ("offsets", "labels", "counts"):
            assert (getattr(read.histogram, part) == getattr(made.histogram, part)).all()


TASKS = ("text_classification", "sequence_tagging", "question_answering", "seq2seq")


def examples(
    partition: Partition, task: str = "text_classification"
) -> Mapping[str, pyarrow.Table]:
    """A table per split whose every value says which row it is."""
    return {
        name: pyarrow.table({**_columns(task, name, split.indices.tolist()), "row": split.indices})
        for name, split in partition.splits.items()
    }


def _columns(task: str, split: str, rows: list[int]) -> dict[str, pyarrow.Array]:
    text = pyarrow.string()
    words = pyarrow.list_(text)
    said = [f"{split} «{row}»" for row in rows]
    columns: dict[str, pyarrow.Array] = {}
    if task == "text_classification":
        columns["text"] = pyarrow.array(said, text)
        columns["label"] = pyarrow.array([f"label{row % 3}" for row in rows], text)
    elif task == "sequence_tagging":
        columns["words"] = pyarrow.array([one.split() for one in said], words)
        columns["tags"] = pyarrow.array([["O", f"B-{row % 2}"] for row in rows], words)
    elif task == "question_answering":
        columns |= {key: pyarrow.array([f"{key} {one}" for one in said], text)
                    for key in ("id", "question", "context", "title")}  # fmt: skip
        answers = [{"text": [one, "other"], "start": [8, 9]} for one in said]
        kind = pyarrow.struct({"text": words, "start": pyarrow.list_(pyarrow.int32())})
        columns["answers"] = pyarrow.array(answers, kind)
    else:
        columns["input"] = pyarrow.array(said, text)
        columns["targets"] = pyarrow.array([[one[::-1], "other"] for one in said], words)
    for key in ("client", "source"):
        columns[key] = pyarrow.array([""] * len(rows), text)
    return columns
