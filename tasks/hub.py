"""Data sets from the hub: a repository at a pinned commit, its columns mapped to our schema.

`datasets` runs no loading scripts, so a card points to Parquet or JSON files; no remote code is
ever run. The same function loads a local directory laid out like the repository.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.dataset_card import HubSource
from tasks.errors import DataError
from tasks.network import quiet_download, surely_offline
from tasks.readers.answers import check_answers, no_answer
from tasks.readers.json_values import shown
from tasks.readers.pairs import check_pair
from tasks.readers.reader import Records
from tasks.readers.references import group_references
from tasks.readers.table_values import items, name_of, text
from tasks.schema import TASK_COLUMNS, SplitName, check_iob2

if TYPE_CHECKING:
    from datasets import Dataset


def read_hub(hub: HubSource, task: str, split: SplitName, cache_dir: Path, instead: str) -> Records:
    """Yields the records of one of our splits, as a reader does.

    Args:
        instead: what to do where the hub cannot be reached.

    Raises:
        DataError: no network and nothing cached, no such repository, commit, file or split, or
            rows that do not fit the schema.
    """
    where = f"hub {hub.id}"
    dataset = _download(hub, hub.splits[split], cache_dir, instead)
    if any("." in theirs for theirs in hub.columns.values()):
        dataset = dataset.flatten()  # translation.de is a column inside a column
    columns = {name: hub.columns.get(name, name) for name in TASK_COLUMNS[task]}
    optional: dict[str, str] = {
        ours: theirs for ours, theirs in hub.columns.items() if ours in ("client", "source")
    }
    if "title" in columns and columns["title"] not in dataset.column_names:
        columns.pop("title")  # a question needs no document; without one it is ""
    for ours, theirs in {**columns, **optional}.items():
        if theirs not in dataset.column_names:
            raise DataError(
                where, f"no column {theirs!r} for {ours!r}",
                f"one of {', '.join(dataset.column_names)}", "correct hub.columns in the card",
            )  # fmt: skip
    if hub.select_column is not None:
        dataset = _selected(hub, dataset, split)
    records = _records(hub, task, split, dataset, {**columns, **optional})
    grouped = task == "seq2seq" and split != "train" and hub.group_references
    yield from group_references(records) if grouped else records


def _download(hub: HubSource, split: str, cache_dir: Path, instead: str) -> Dataset:
    from datasets import load_dataset

    where = f"hub {hub.id} at {hub.revision[:12]}, split {split}"
    network = "a network connection or local files"
    if not os.path.isdir(hub.id) and surely_offline():
        raise DataError(where, "no network", network, instead)
    try:
        with quiet_download():
            return load_dataset(
                hub.id, hub.config, data_files=hub.files, revision=hub.revision, split=split,
                cache_dir=str(cache_dir),
            )  # fmt: skip
    except Exception as error:  # the hub client raises a dozen unrelated classes
        reason = (str(error).strip().splitlines() or [""])[0][:160]
        raise DataError(
            where, f"could not be loaded ({type(error).__name__}: {reason})", network, instead
        ) from None


def _selected(hub: HubSource, dataset: Dataset, split: SplitName) -> Dataset:
    column = str(hub.select_column)
    if column not in dataset.column_names:
        raise DataError(f"hub {hub.id}", f"no column {column!r}", "the card's hub.select_column")
    wanted = set(hub.select.get(split, []))
    values = dataset[column][:]
    unknown = sorted(wanted - set(values))
    if unknown:
        raise DataError(f"hub {hub.id} hub.select.{split}", f"no row with {column} {unknown[0]!r}")
    return dataset.select([row for row, value in enumerate(values) if value in wanted])


def _records(
    hub: HubSource, task: str, split: SplitName, dataset: Dataset, columns: dict[str, str]
) -> Records:
    names = _label_names(hub, dataset, columns.get("label", columns.get("tags")))
    dataset = dataset.select_columns(sorted(set(columns.values())))
    for number, source in enumerate(dataset):
        where = f"hub {hub.id} split {hub.splits[split]} row {number}"
        try:
            yield where, _row(hub, task, where, source, columns, names)
        except DataError as error:
            yield error


def _row(
    hub: HubSource,
    task: str,
    where: str,
    source: Any,
    columns: dict[str, str],
    names: list[str] | None,
) -> dict[str, Any]:
    row: dict[str, Any] = {ours: source[theirs] for ours, theirs in columns.items()}
    missing = [columns[ours] for ours, value in row.items() if value is None]
    if missing:
        raise DataError(where, f"column {missing[0]!r} is empty", "a value")
    for name in ("id", "client", "source"):
        if name in row:
            row[name] = name_of(where, name, row[name])
    if task == "text_classification":
        if not isinstance(row["text"], str):  # blank posts of 20 Newsgroups are published examples
            raise DataError(where, f"text: {shown(row['text'])}", "text")
        row["label"] = _name("label", row["label"], names, where)
    elif task == "sequence_tagging":
        row["words"] = [text(where, "word", word) for word in items(where, "words", row["words"])]
        tags = items(where, "tags", row["tags"])
        row["tags"] = [_name("tag", tag, names, where) for tag in tags]
        check_iob2(row["tags"], where)
    elif task == "question_answering":
        title = row.get("title", "")
        row["title"] = title if title == "" else name_of(where, "title", title)
        for name in ("question", "context"):
            row[name] = text(where, name, row[name])
        row["answers"] = _answers(hub, row, where)
    else:
        if isinstance(row["targets"], str):
            row["targets"] = [row["targets"]]
        check_pair(row["input"], row["targets"], where)
    return row


def _label_names(hub: HubSource, dataset: Dataset, column: str | None) -> list[str] | None:
    """The names of integer labels: from the repository's schema, or from the card."""
    if column is None:
        return None
    feature = dataset.features[column]
    feature = getattr(feature, "feature", feature)  # the elements of a list
    names = getattr(feature, "names", None)
    if names and hub.labels and names != hub.labels:
        raise DataError(
            f"hub {hub.id} column {column}", f"labels {names}", f"{hub.labels} as in hub.labels",
            "correct the card",
        )  # fmt: skip
    return names or hub.labels


def _name(kind: str, label: Any, names: list[str] | None, where: str) -> str:
    if isinstance(label, str):
        return name_of(where, kind, label)
    if names is None:
        found = f"{kind} {shown(label)} without a name"
        raise DataError(where, found, fix="set hub.labels in the card")
    if type(label) is not int or not 0 <= label < len(names):
        raise DataError(where, f"{kind} {shown(label)}", f"0 to {len(names) - 1}")
    return names[label]


def _answers(hub: HubSource, row: dict[str, Any], where: str) -> dict[str, list[Any]]:
    answers = row["answers"]
    if not isinstance(answers, dict) or not {"text", "answer_start"} <= set(answers):
        raise DataError(where, "answers of another shape", "{text: [...], answer_start: [...]}")
    if not all(isinstance(answers[key], list) for key in ("text", "answer_start")):
        raise DataError(where, "answers that are no lists", "{text: [...], answer_start: [...]}")
    place = f"{where} id {row['id']}"
    if not answers["text"] and not answers["answer_start"]:
        raise no_answer(place, hub.unanswerable, "hub.unanswerable")
    return check_answers(row["context"], answers["text"], answers["answer_start"], place)
