"""From a dataset card to a `Corpus`: read, check, cut validation, limit, fingerprint.

Whatever the source, every example passes through the same checks and ends in the same schema (see
schema.py). Local files and the embedded generators never touch the network.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tasks.corpus_cache import Parsed, cached, file_hash
from tasks.dataset_card import DatasetCard, LocalSource, SyntheticSource
from tasks.errors import DataError
from tasks.fingerprint import table_fingerprint
from tasks.readers import READERS
from tasks.schema import SPLITS, SplitName
from tasks.tables import encoded_tables, schema_table
from tasks.validation_split import grouped_cut, stratified_cut, subsample, validation_size

if TYPE_CHECKING:
    import datasets
    import pyarrow

Source = Literal["auto", "local", "hub", "synthetic"]


@dataclass(frozen=True)
class Corpus:
    """A data set, ready for a task.

    `splits`: train, validation and test, after the validation cut, in the task's schema.
    `labels`: class names, or IOB2 tags with `O` first, or [] where the task has none.
    `fingerprint`: sha256 of the content of all splits in order, and of the labels.
    """

    name: str
    task: str
    splits: dict[str, datasets.Dataset]
    labels: list[str]
    fingerprint: str
    synthetic: bool
    card: DatasetCard


def load_corpus(
    card: DatasetCard,
    *,
    data_root: Path | None,
    cache_dir: Path,
    source: Source = "auto",
    sizes: Mapping[str, int] | None = None,
    limit: Mapping[str, int] | None = None,
) -> Corpus:
    """Loads the data set of a card.

    Args:
        data_root: the folder that relative local files are in (FEDNLP_DATA), if any.
        cache_dir: where parsed data and downloads are kept.
        source: `auto` takes `synthetic` where the card has it, else local files that all exist,
            else the hub.
        sizes: examples per split, for embedded corpora only.
        limit: at most so many examples per split, a seeded subsample in source order; applied
            after the validation cut. A larger limit contains the examples of a smaller one.

    Raises:
        DataError: a source that is missing, damaged, or not what the card promises.
    """
    chosen = check_request(card, source, data_root, sizes)
    tables, labels = _parsed(card, chosen, data_root, Path(cache_dir), sizes)
    if chosen != "synthetic":
        _check_counts(card, chosen, tables)
    tables = _limited(card, _with_validation(card, tables), limit)
    hashes = {split: table_fingerprint(tables[split]) for split in SPLITS}
    content = json.dumps({"task": card.task, "labels": labels, "splits": hashes}, sort_keys=True)
    return Corpus(
        name=card.name,
        task=card.task,
        splits={split: _dataset(tables[split], split, hashes[split]) for split in SPLITS},
        labels=labels,
        fingerprint=hashlib.sha256(content.encode()).hexdigest(),
        synthetic=chosen == "synthetic",
        card=card,
    )


def check_request(
    card: DatasetCard, source: str, data_root: Path | None, sizes: Mapping[str, int] | None
) -> Literal["local", "hub", "synthetic"]:
    """The source to use, if it can give `sizes`; reads no data.

    Raises:
        DataError: the card does not have the wanted source, or sizes that it cannot give.
    """
    chosen = choose_source(card, source, data_root)
    if chosen == "synthetic":
        assert card.synthetic is not None
        _sizes(card, card.synthetic, sizes)
    elif sizes:
        raise DataError(
            f"dataset {card.name} sizes", f"given for the source {chosen}",
            "sizes for embedded corpora only", "use limit",
        )  # fmt: skip
    return chosen


def choose_source(
    card: DatasetCard, source: str, data_root: Path | None
) -> Literal["local", "hub", "synthetic"]:
    """Which of the card's sources to use.

    Raises:
        DataError: the card does not have the wanted source, or none can be reached.
    """
    where = f"dataset {card.name}"
    if source not in ("auto", "local", "hub", "synthetic"):
        raise DataError(f"{where} source", repr(source), "auto, local, hub or synthetic")
    if source != "auto":
        if source not in card.sources:
            raise DataError(f"{where} source", source, f"one of {', '.join(card.sources)}")
        return source  # type: ignore[return-value]
    if card.synthetic is not None:
        return "synthetic"
    if card.local is not None:
        files = _local_files(card.local, data_root)
        if files is not None and all(path.exists() for path in files.values()):
            return "local"
        if card.hub is None:
            return "local"  # its own error names the missing file
    return "hub"


# reading ---------------------------------------------------------------------------------------


def _parsed(
    card: DatasetCard,
    source: str,
    data_root: Path | None,
    cache_dir: Path,
    sizes: Mapping[str, int] | None,
) -> Parsed:
    """The source splits as tables with `row`, and the labels; from the cache where possible."""
    identity: dict[str, Any] = {
        "task": card.task,
        "labels": card.labels,
        "client": card.client,
        "source": getattr(card, source).model_dump(),
    }
    folder = cache_dir / "parsed"
    if source == "synthetic":
        assert card.synthetic is not None
        wanted = _sizes(card, card.synthetic, sizes)
        identity["sizes"] = wanted
        return cached(identity, folder, lambda: _generated(card, wanted))
    if source == "hub":
        hub = card.hub
        assert hub is not None
        from tasks.hub import read_hub

        if Path(hub.id).is_dir():  # a repository's copy on disk: its content may change
            identity["files"] = file_hash(Path(hub.id))
        downloads = cache_dir / "hub"
        return cached(identity, folder, lambda: encoded_tables(card, {
            split: read_hub(hub, card.task, split, downloads) for split in card.source_splits
        }))  # fmt: skip
    local = card.local
    assert local is not None
    files = _existing_files(card, local, data_root)
    hashes = {path: file_hash(path) for path in set(files.values())}
    identity["files"] = {split: hashes[path] for split, path in files.items()}
    reader = READERS[local.reader]
    options = reader.options.model_validate(local.options)
    return cached(identity, folder, lambda: encoded_tables(card, {
        split: reader.read(files[split], split, options) for split in card.source_splits
    }))  # fmt: skip


def _local_files(local: LocalSource, data_root: Path | None) -> dict[SplitName, Path] | None:
    """The files' full paths; None where one is relative and there is no data root."""
    paths = {split: Path(name).expanduser() for split, name in local.files.items()}
    if data_root is None and not all(path.is_absolute() for path in paths.values()):
        return None
    return {split: Path(data_root or "/") / path for split, path in paths.items()}


def _existing_files(
    card: DatasetCard, local: LocalSource, data_root: Path | None
) -> dict[SplitName, Path]:
    files = _local_files(local, data_root)
    where = f"dataset {card.name} local.files"
    if files is None:
        raise DataError(
            where, "a relative path and no data folder", "the folder that holds it",
            "set FEDNLP_DATA",
        )  # fmt: skip
    for split, path in files.items():
        if not path.exists():
            raise DataError(
                f"{where}.{split}", f"no file at {path}", fix="check FEDNLP_DATA and the card"
            )
    return files


def _sizes(
    card: DatasetCard, synthetic: SyntheticSource, sizes: Mapping[str, int] | None
) -> dict[str, int]:
    wanted: dict[str, int] = {str(split): size for split, size in synthetic.sizes.items()}
    wanted.update(sizes or {})
    for split, size in wanted.items():
        if split not in synthetic.sizes or size < 1:
            raise DataError(
                f"dataset {card.name} sizes.{split}", repr(size),
                f"at least 1 for one of {', '.join(synthetic.sizes)}",
            )  # fmt: skip
    return wanted


def _generated(card: DatasetCard, sizes: Mapping[str, int]) -> Parsed:
    from tasks.synthetic import GENERATORS

    assert card.synthetic is not None
    name = card.synthetic.generator
    if name not in GENERATORS:
        known = ", ".join(GENERATORS)
        raise DataError(f"dataset {card.name} synthetic.generator", repr(name), f"one of {known}")
    tables: dict[str, pyarrow.Table] = {}
    labels: list[str] = []
    for split in card.source_splits:
        try:
            rows, labels = GENERATORS[name](
                split, sizes[split], card.synthetic.seed, **card.synthetic.options
            )
        except TypeError as error:
            raise DataError(f"dataset {card.name} synthetic.options", str(error)) from None
        tables[split] = schema_table(card, [(f"{name} {split}", row) for row in rows], None)
    return tables, labels


def _check_counts(card: DatasetCard, source: str, tables: dict[str, pyarrow.Table]) -> None:
    for split, expected in card.expected.items():
        if tables[split].num_rows != expected:
            raise DataError(
                f"dataset {card.name} expected.{split}",
                f"{tables[split].num_rows} examples from the {source} source", f"{expected}",
                "the files are incomplete or of another version",
            )  # fmt: skip


# cutting ---------------------------------------------------------------------------------------


def _with_validation(
    card: DatasetCard, tables: dict[str, pyarrow.Table]
) -> dict[str, pyarrow.Table]:
    """Adds the validation split where there is none; the rows keep their number in train."""
    if "validation" in tables:
        return tables
    train, cut = tables["train"], card.validation
    size = validation_size(train.num_rows, cut.fraction, cut.maximum)
    if card.task == "question_answering":
        chosen = grouped_cut(_strings(train, "title"), size, cut.seed)
    elif card.task == "seq2seq":
        chosen = grouped_cut(_strings(train, "input"), size, cut.seed)
    else:
        chosen = stratified_cut(_strata(card.task, train), size, cut.seed)
    rest = np.setdiff1d(np.arange(train.num_rows), chosen)
    held = train.take(chosen)
    if card.task == "seq2seq":
        held = _merge_references(held)
    return {**tables, "train": train.take(rest), "validation": held}


def _strings(table: pyarrow.Table, column: str) -> np.ndarray:
    return np.asarray(table.column(column).to_pylist(), dtype=object).astype(str)


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


def _limited(
    card: DatasetCard, tables: dict[str, pyarrow.Table], limit: Mapping[str, int] | None
) -> dict[str, pyarrow.Table]:
    for split, most in (limit or {}).items():
        if split not in SPLITS or most < 1:
            raise DataError(
                f"dataset {card.name} limit.{split}", repr(most),
                f"at least 1 for one of {', '.join(SPLITS)}",
            )  # fmt: skip
        if most < tables[split].num_rows:
            stream = SPLITS.index(split)
            chosen = subsample(tables[split].num_rows, most, card.validation.seed, stream)
            tables = {**tables, split: tables[split].take(chosen)}
    return tables


def _dataset(table: pyarrow.Table, split: str, fingerprint: str) -> datasets.Dataset:
    from datasets import Dataset, NamedSplit
    from datasets.table import InMemoryTable

    return Dataset(InMemoryTable(table), split=NamedSplit(split), fingerprint=fingerprint[:32])
