"""Small data of each task as files that both our readers and Flower's `load_dataset` take."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from fednlp.partitions.rows import portable
from partitioners import Partition, Split, make_partition
from tasks.data import Corpus, load_corpus
from tasks.dataset_card import DatasetCard

ROWS = {"train": 240, "test": 60}
CLIENTS = 7
COLUMNS = {  # what `example_hashes` covers, under the names in these files
    "text_classification": ["text", "label"],
    "sequence_tagging": ["words", "tags"],
    "question_answering": ["question", "context", "answers.text", "answers.answer_start"],
    "seq2seq": ["input", "targets"],
}


def write_flower_data(folder: Path) -> None:
    """For each task: folder/TASK/data/{train,test}.*, partition.npz, and held.json.

    held.json says what each client holds, as the run's own examples say it, not by rows.
    """
    for task, columns in COLUMNS.items():
        (folder / task / "data").mkdir(parents=True)
        corpus = _corpus(folder / task, task)
        partition = _partition(corpus)
        portable(partition, corpus).save(folder / task / "partition.npz")
        partition.save(folder / task / "of_a_run.npz")
        held = {
            name: [_first_column(corpus, name, split, k, columns[0]) for k in range(CLIENTS)]
            for name, split in partition.splits.items()
        }
        (folder / task / "held.json").write_text(json.dumps({"columns": columns, "held": held}))


def _first_column(corpus: Corpus, name: str, split: Split, client: int, column: str) -> list[Any]:
    """Sorted, because rows of the source have an order of their own."""
    values = corpus.splits[name][column][:]
    return sorted(values[i] for i in split.client(client))


def _partition(corpus: Corpus) -> Partition:
    labels = {name: np.arange(len(corpus.splits[name])) % 4 for name in ("train", "test")}
    return make_partition(
        "dirichlet_per_class", {"alpha": 0.5}, clients=CLIENTS, seed=0, held_out=0.2,
        train_labels=labels["train"], test_labels=labels["test"],
        data_fingerprint=corpus.fingerprint,
    )  # fmt: skip


def _corpus(folder: Path, task: str) -> Corpus:
    """Of a card whose validation split is cut from train: a run's examples are not the rows."""
    ending = "csv" if task == "text_classification" else "jsonl"
    for name, count in ROWS.items():
        rows = [_row(task, name, number) for number in range(count)]
        with (folder / "data" / f"{name}.{ending}").open("w", newline="") as file:
            if ending == "csv":
                writer = csv.writer(file)
                writer.writerows([["text", "label"], *(row.values() for row in rows)])
            else:
                file.writelines(f"{json.dumps(row)}\n" for row in rows)
    card = {
        "name": "flower", "task": task, "version": 1, "licence": "l", "language": "en",
        "description": "d",
        "skew": {"text_classification": "label", "sequence_tagging": "entity_types"}.get(
            task, "cluster"
        ),
        "local": {
            "reader": "table",
            "files": {name: f"./data/{name}.{ending}" for name in ROWS},
        },
    }  # fmt: skip
    parsed = DatasetCard.parse(card, "card.yaml", folder)
    return load_corpus(parsed, data_root=None, cache_dir=folder / "cache")


def _row(task: str, name: str, number: int) -> dict[str, Any]:
    text = f'{name} "{number // 2}", größer\nthan {number // 2 % 7}'  # each twice
    if task == "text_classification":
        return {"text": text, "label": "abcd"[number // 2 % 4]}
    if task == "sequence_tagging":
        kind = ("PER", "LOC")[number % 2]
        words = [f"{name}{number}", "met", *["more"] * (number % 3)]
        return {"words": words, "tags": [f"B-{kind}", *["O"] * (len(words) - 1)]}
    if task == "question_answering":
        answers = {"text": ["answer", "an"], "answer_start": [4, 4]}
        return {"id": f"{name}{number}", "question": f"{name} {number}?",
                "context": f"The answer of {number}: an", "answers": answers}  # fmt: skip
    return {"input": f"{text} {number}", "targets": [f"short {number}", "other"]}
