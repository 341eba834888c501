"""Where the records of a data set come from: local files, the hub, or an embedded generator."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from tasks.corpus_cache import cached
from tasks.dataset_card import DatasetCard, LocalSource, SourceName, SyntheticSource
from tasks.errors import DataError
from tasks.fingerprint import file_hash
from tasks.readers import READERS
from tasks.readers.compressed import COMPRESSED
from tasks.readers.reader import Records
from tasks.schema import SplitName
from tasks.tables import Parsed, encoded_tables, schema_table


def check_request(
    card: DatasetCard, source: str, data_root: Path | None, sizes: Mapping[str, int] | None
) -> SourceName:
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


def choose_source(card: DatasetCard, source: str, data_root: Path | None) -> SourceName:
    """Which of the card's sources to use.

    Raises:
        DataError: the card does not have the wanted source, or none can be reached.
    """
    where = f"dataset {card.name}"
    if source not in ("auto", "local", "hub", "synthetic"):
        raise DataError(f"{where} source", repr(source), "auto, local, hub or synthetic")
    if card.members is not None:
        return "members"  # each of which chooses for itself
    if source != "auto":
        if source not in card.sources:
            raise DataError(f"{where} source", source, f"one of {', '.join(card.sources)}")
        return source  # type: ignore[return-value]
    if card.synthetic is not None:
        return "synthetic"
    if card.local is not None:
        files = _local_files(card.local, data_root)
        if files is not None and all(
            not _what_is(p) for p in chain(*_needed(card, card.local, files))
        ):
            return "local"
        if card.hub is None:
            return "local"  # its own error names the missing file
    return "hub"


# reading ---------------------------------------------------------------------------------------


def read_source(
    card: DatasetCard,
    source: SourceName,
    data_root: Path | None,
    cache_dir: Path,
    sizes: Mapping[str, int] | None,
    skip_bad: int,
    skipped_before: int,
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

        if os.path.isdir(hub.id):  # a repository's copy on disk: its content may change
            identity["files"] = file_hash(Path(hub.id))
        downloads, instead = cache_dir / "hub", _instead_of_the_hub(card, data_root)
        return cached(identity, folder, lambda: encoded_tables(card, {
            split: read_hub(hub, card.task, split, downloads, instead)
            for split in card.source_splits
        }, skip_bad, skipped_before), skip_bad - skipped_before)  # fmt: skip
    local = card.local
    assert local is not None
    identity["source"]["options"] = local.reader_options(card.task).model_dump(mode="json")
    files = _existing_files(card, local, data_root)
    needed = dict(zip(files, _needed(card, local, files), strict=True))
    hashes = {path: file_hash(path) for path in set(chain(*needed.values()))}
    _check_once(card, local, files, hashes)
    identity["files"] = {split: [hashes[p] for p in paths] for split, paths in needed.items()}
    identity["names"] = {split: [path.name for path in files[split]] for split in files}
    return cached(identity, folder, lambda: encoded_tables(card, {
        split: _read_files(card, local, files[split], split) for split in card.source_splits
    }, skip_bad, skipped_before), skip_bad - skipped_before)  # fmt: skip


def _check_once(
    card: DatasetCard,
    local: LocalSource,
    files: Mapping[SplitName, list[Path]],
    hashes: Mapping[Path, str],
) -> None:
    """No content in two splits or twice in one, unless they take different parts of it."""
    reader, options = READERS[local.reader], local.reader_options(card.task)
    known = dict[tuple[str, ...], str]()
    for split, paths in files.items():
        for path in paths:
            read_with = [hashes[other] for other in reader.beside(path, options)]
            content = options.part(split), hashes[path], *read_with
            if content in known:
                raise DataError(
                    f"dataset {card.name} local.files.{split}",
                    f"{path.name} holds the same as {known[content]}", "every file once",
                    "drop it; test: {fraction: 0.2} cuts a test split",
                )  # fmt: skip
            known[content] = f"{path.name} of {split}"


def _read_files(
    card: DatasetCard, local: LocalSource, paths: list[Path], split: SplitName
) -> Records:
    """The records of a split's files, with what files may not say: sources, ids of questions."""
    reader = READERS[local.reader]
    options = local.reader_options(card.task)
    sources = [_source_of(path) for path in paths]
    for place, path in enumerate(paths, 1):
        name = path.stem if len(paths) == 1 else f"{place}/{path.stem}"  # two may have one name
        for number, record in enumerate(reader.read(path, split, options), 1):
            if not isinstance(record, DataError):
                if local.names_sources(split) and "source" not in record[1]:
                    if sources.count(sources[place - 1]) > 1:
                        raise _same_source(card, split, paths, sources[place - 1])
                    record[1]["source"] = sources[place - 1]
                if card.task == "question_answering":
                    record[1].setdefault("id", f"{name}-{number}")
            yield record


def _source_of(path: Path) -> str:
    """The file's name without its ending, and without that of a compression."""
    while path.suffix.lower() in COMPRESSED:
        path = path.with_suffix("")
    return path.stem


def _same_source(card: DatasetCard, split: SplitName, paths: list[Path], source: str) -> DataError:
    same = [str(path) for path in paths if _source_of(path) == source]
    return DataError(
        f"dataset {card.name} local.files.{split}",
        f"{same[0]} and {same[1]}, which both are the source {source!r}",
        "names that differ, since a file's name is the source of its records", "rename one",
    )  # fmt: skip


def _local_files(local: LocalSource, data_root: Path | None) -> dict[SplitName, list[Path]] | None:
    """The files' full paths; None where one is relative and there is no data root."""
    paths = {split: [_expanded(name) for name in local.paths(split)] for split in local.files}
    if data_root is None and not all(path.is_absolute() for path in chain(*paths.values())):
        return None
    root = Path(data_root or "/")
    return {split: [root / path for path in some] for split, some in paths.items()}


def _expanded(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError as error:  # ~nobody
        raise DataError(f"local.files {name}", str(error), "a path") from None


def _needed(
    card: DatasetCard, local: LocalSource, files: Mapping[SplitName, list[Path]]
) -> list[list[Path]]:
    """The files of every split, and those that they are read with."""
    reader = READERS[local.reader]
    options = reader.options.model_validate(local.options, context={"task": card.task})
    return [
        [*paths, *chain(*(reader.beside(path, options) for path in paths))]
        for paths in files.values()
    ]


def _existing_files(
    card: DatasetCard, local: LocalSource, data_root: Path | None
) -> dict[SplitName, list[Path]]:
    files = _local_files(local, data_root)
    where = f"dataset {card.name} local.files"
    names = {name for split in local.files for name in local.paths(split)}
    relative = [name for name in names if not _expanded(name).is_absolute()]
    beside = sorted(name for name in relative if local.lies_beside(name))
    hint = f"write ./{beside[0]} for the file beside the card, or " if beside else ""
    if files is None:
        raise DataError(
            where, "a relative path and no data folder", "the folder that holds it",
            f"{hint}set FEDNLP_DATA",
        )  # fmt: skip
    for split, paths in zip(files, _needed(card, local, files), strict=True):
        for path in paths:
            found = _what_is(path)
            if found:
                raise DataError(
                    f"{where}.{split}", f"{found} at {path}",
                    fix=f"{hint}check FEDNLP_DATA and the card",
                )  # fmt: skip
    return files


def _instead_of_the_hub(card: DatasetCard, data_root: Path | None) -> str:
    """What to do where the hub cannot be reached: it names the local file that is missing."""
    if card.local is None:
        return "connect"
    try:
        _existing_files(card, card.local, data_root)
    except DataError as error:
        return f"connect, or give the local files: {error}"
    return "connect, or read the local files"


def _what_is(path: Path) -> str:
    """What stands in the way of reading it; "" for a file or a directory that can be read."""
    try:
        if not path.exists():
            return "no file"
        if not (path.is_file() or path.is_dir()):
            return "neither a file nor a directory, but a device or a pipe,"
    except OSError as error:
        return f"no file ({error.strerror})"
    return "" if os.access(path, os.R_OK) else "nothing that may be read"


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
    tables, labels = {}, list[str]()
    for split in card.source_splits:
        try:
            rows, labels = GENERATORS[name](
                split, sizes[split], card.synthetic.seed, **card.synthetic.options
            )
        except TypeError as error:
            raise DataError(f"dataset {card.name} synthetic.options", str(error)) from None
        tables[split] = schema_table(card, [(f"{name} {split}", row) for row in rows])
    return Parsed(tables, labels, [], {split: sizes[split] for split in card.source_splits})
