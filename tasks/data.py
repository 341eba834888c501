"""From a dataset card to a `Corpus`: read, check, cut, join, limit, fingerprint.

Whatever the source, every example passes through the same checks and ends in the same schema (see
schema.py). Local files and the embedded generators never touch the network.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tasks.dataset_card import Cut, DatasetCard
from tasks.errors import DataError
from tasks.fingerprint import table_fingerprint
from tasks.schema import LABEL_COLUMN, SPLITS, SplitName, ordered_labels
from tasks.sources import check_request, read_source
from tasks.tables import Parsed, renumbered, taken
from tasks.validation_split import grouped_cut, stratified_cut, subsample, validation_size

if TYPE_CHECKING:
    import datasets
    import pyarrow

Source = Literal["auto", "local", "hub", "synthetic"]


Tables = dict[SplitName, "pyarrow.Table"]


@dataclass(frozen=True)
class Origin:
    """What the splits of a corpus were taken from.

    tables: the source's splits before cuts and limits, rows ascending; with the labels of the
        corpus. sizes: rows of each in the source, those that were left out among them.
    train_rows: [n] int64, the rows of train that no cut took. test: the test split before a limit.
    """

    tables: Tables
    sizes: Mapping[SplitName, int]
    train_rows: np.ndarray
    test: pyarrow.Table


@dataclass(frozen=True)
class Corpus:
    """A data set, ready for a task.

    `splits`: train, validation and test, after the cuts, in the task's schema.
    `labels`: class names, or IOB2 tags with `O` first, or [] where the task has none.
    `fingerprint`: sha256 of the content of all splits in order, and of the labels.
    `skipped`: one line for every bad record that was left out.
    `left_out`: how many records the card's options left out, by what these have in common.
    `origin`: the source's own splits, which partitions count rows of.
    `known_hashes`: what is in each example, once somebody asked (fednlp/partitions/source.py).
    """

    name: str
    task: str
    splits: dict[str, datasets.Dataset]
    labels: list[str]
    fingerprint: str
    synthetic: bool
    card: DatasetCard
    origin: Origin
    skipped: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    known_hashes: dict[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)


def load_corpus(
    card: DatasetCard,
    *,
    data_root: Path | None,
    cache_dir: Path,
    source: Source = "auto",
    sizes: Mapping[str, int] | None = None,
    limit: Mapping[Any, int] | None = None,
    skip_bad: int = 0,
    skipped_before: int = 0,
    find_card: Callable[[str, str], DatasetCard] | None = None,
) -> Corpus:
    """Loads the data set of a card.

    Args:
        data_root: the folder that relative local files are in (FEDNLP_DATA), if any.
        cache_dir: where parsed data and downloads are kept.
        source: `auto` takes `synthetic` where the card has it, else local files that all exist,
            else the hub.
        sizes: examples per split, for embedded corpora only.
        limit: at most so many examples per split, a seeded subsample in source order; applied
            after the cuts. A larger limit contains the examples of a smaller one.
        skip_bad: at most so many bad records are left out, over all splits and members.
        skipped_before: how many of these other members have used up.
        find_card: the card of a member's name; the second argument is the key that names it.

    Raises:
        DataError: a source that is missing, damaged, or not what the card promises.
    """
    chosen = check_request(card, source, data_root, sizes)
    if card.members is not None:
        assert find_card is not None, "a card with members needs the cards of its members"
        members: dict[str, Corpus] = {}
        for name, most in card.members.items():
            where = f"dataset {card.name} members"
            member = _member(card, find_card(name, where), members)
            before = sum(len(known.skipped) for known in members.values())
            members[member.name] = load_corpus(
                member, data_root=data_root, cache_dir=cache_dir,
                source=source, limit=most, skip_bad=skip_bad, skipped_before=before,
            )  # fmt: skip
        parsed = _joined(card, members)
        _check_counts(card, chosen, parsed)
        tables, synthetic = parsed.tables, any(m.synthetic for m in members.values())
    else:
        parsed = read_source(
            card, chosen, data_root, Path(cache_dir), sizes, skip_bad, skipped_before
        )
        if chosen != "synthetic":
            _check_counts(card, chosen, parsed)
        tables, synthetic = parsed.tables, chosen == "synthetic"
        if card.test is not None:
            tables = _with_cut(card, tables, "test", card.test)
        if "validation" not in tables:
            tables = _with_cut(card, tables, "validation", card.validation)
    train_rows = tables["train"].column("row").to_numpy()
    origin = Origin(parsed.tables, parsed.sizes, train_rows, tables["test"])
    tables = _limited(card, tables, limit)
    hashes = {split: table_fingerprint(tables[split]) for split in SPLITS}
    content = {"task": card.task, "labels": parsed.labels, "splits": hashes}
    return Corpus(
        name=card.name,
        task=card.task,
        splits={split: _dataset(tables[split], split, hashes[split]) for split in SPLITS},
        labels=parsed.labels,
        fingerprint=hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(),
        synthetic=synthetic,
        card=card,
        origin=origin,
        skipped=tuple(parsed.skipped),
        left_out=parsed.left_out,
    )


def _check_counts(card: DatasetCard, source: str, parsed: Parsed) -> None:
    """Every split as large as the card says, but for the bad records that were left out."""
    missing = 0
    for split, expected in card.expected.items():
        found = parsed.tables[split].num_rows
        missing += max(expected - found, 0)
        if found > expected or missing > len(parsed.skipped):
            raise DataError(
                f"dataset {card.name} expected.{split}",
                f"{found} examples from the {source} source", f"{expected}",
                "the files are incomplete or of another version",
            )  # fmt: skip


# cutting ---------------------------------------------------------------------------------------


def _with_cut(card: DatasetCard, tables: Tables, split: SplitName, cut: Cut) -> Tables:
    """Adds a split taken out of train; the rows keep their number in train."""
    train = tables["train"]
    size = validation_size(train.num_rows, cut.fraction, cut.maximum)
    try:
        if card.task == "question_answering":
            chosen = grouped_cut(_documents(train), size, cut.seed)
        elif card.task == "seq2seq":
            chosen = grouped_cut(_strings(train, "input"), size, cut.seed)
        else:
            chosen = stratified_cut(_strata(card.task, train), size, cut.seed)
    except DataError as error:
        raise DataError(
            f"dataset {card.name}: cutting {split} from train", error.found, error.expected,
            error.fix or f"more examples, or a {split} split of its own",
        ) from None  # fmt: skip
    rest = np.setdiff1d(np.arange(train.num_rows), chosen)
    held = taken(train, chosen)
    if card.task == "seq2seq":
        held = _merge_references(held)
    return {**tables, "train": taken(train, rest), split: held}


def _documents(table: pyarrow.Table) -> np.ndarray:
    """[rows] the title, or the context where there is none: questions that stay together."""
    titles = _strings(table, "title")
    return np.where(titles == "", _strings(table, "context"), titles)


def _strings(table: pyarrow.Table, column: str) -> np.ndarray:
    return np.asarray(table.column(column).to_pylist(), dtype=object)


def _strata(task: str, table: pyarrow.Table) -> np.ndarray:
    """The label, or the sentence's set of entity types as one string."""
    if task == "text_classification":
        return table.column("label").to_numpy()
    # B-X and I-X are neighbours in the vocabulary: (tag + 1) // 2 numbers the type, 0 is O
    sets = (sorted({(tag + 1) // 2 for tag in tags} - {0}) for tags in table["tags"].to_pylist())
    return np.asarray([" ".join(map(str, types)) for types in sets])


def _merge_references(table: pyarrow.Table) -> pyarrow.Table:
    """One row per distinct input with all its targets, at the place of the first."""
    import pyarrow as pa

    merged: dict[str, dict[str, Any]] = {}
    for row in table.to_pylist():
        merged.setdefault(row["input"], {**row, "targets": []})["targets"].extend(row["targets"])
    return pa.Table.from_pylist(list(merged.values()), schema=table.schema)


def _limited(card: DatasetCard, tables: Tables, limit: Mapping[str, int] | None) -> Tables:
    for split, most in (limit or {}).items():
        if split not in SPLITS or most < 1:
            raise DataError(
                f"dataset {card.name} limit.{split}", repr(most),
                f"at least 1 for one of {', '.join(SPLITS)}",
            )  # fmt: skip
        if most < tables[split].num_rows:
            stream = SPLITS.index(split)
            chosen = subsample(tables[split].num_rows, most, card.validation.seed, stream)
            tables = {**tables, split: taken(tables[split], chosen)}
    return tables


# joining ---------------------------------------------------------------------------------------


def _member(card: DatasetCard, member: DatasetCard, known: Mapping[str, Corpus]) -> DatasetCard:
    where = f"dataset {card.name} members.{member.name}"
    if member.name in known:
        raise DataError(where, "two members of one name", "every data set once", "drop one")
    if member.task != card.task:
        raise DataError(where, f"a data set for {member.task}", f"one for {card.task}")
    if member.members is not None:
        raise DataError(where, "a data set with members of its own", "a single data set")
    return member


def _joined(card: DatasetCard, members: Mapping[str, Corpus]) -> Parsed:
    """All members' splits, one member after the other, with rows numbered anew.

    Ids of questions get their member's name in front, so that they stay unique.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    names = {label for member in members.values() for label in member.labels}
    labels = ordered_labels(card.task, names, f"dataset {card.name}")
    places = {label: place for place, label in enumerate(labels)}
    tables: Tables = {}
    for split in SPLITS:
        parts = []
        for name, member in members.items():
            part = member.splits[split].data.table
            if card.task in LABEL_COLUMN:
                order = np.array([places[label] for label in member.labels], np.int64)
                part = renumbered(card.task, part, order)
            if "id" in part.schema.names:
                ids = pc.binary_join_element_wise(f"{name}/", part.column("id"), "")
                part = _replaced(part, "id", ids)
            parts.append(_replaced(part, "source", pa.array([name] * part.num_rows, pa.string())))
        table = pa.concat_tables(parts)
        table = _replaced(table, "row", pa.array(np.arange(table.num_rows)))
        if card.client is not None:
            table = _replaced(table, "client", table.column(card.client))
            _check_clients(card, split, table)
        tables[split] = table
    skipped = [line for member in members.values() for line in member.skipped]
    left_out: Counter[str] = Counter()
    for member in members.values():
        left_out.update(member.left_out)
    sizes = {split: table.num_rows for split, table in tables.items()}
    labels = labels if card.task in LABEL_COLUMN else []
    return Parsed(tables, labels, skipped, sizes, dict(left_out))


def _check_clients(card: DatasetCard, split: str, table: pyarrow.Table) -> None:
    """Every example has the client that the card promises, as in a data set without members."""
    sources = _strings(table, "source")[_strings(table, "client") == ""]
    if len(sources):
        raise DataError(
            f"dataset {card.name} members.{sources[0]}",
            f"{np.sum(sources == sources[0])} {split} examples without {card.client!r}, "
            "which the card names as client",
            "a natural client", "drop the member, give its card a client, or set client: source",
        )  # fmt: skip


def _replaced(table: pyarrow.Table, column: str, values: Any) -> pyarrow.Table:
    place = table.schema.get_field_index(column)
    return table.set_column(place, table.schema.field(column), values)


def _dataset(table: pyarrow.Table, split: str, fingerprint: str) -> datasets.Dataset:
    from datasets import Dataset, NamedSplit
    from datasets.table import InMemoryTable

    return Dataset(InMemoryTable(table), split=NamedSplit(split), fingerprint=fingerprint[:32])
