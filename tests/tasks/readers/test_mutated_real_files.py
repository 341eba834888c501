"""The real files of every data set at hand, damaged: a record fits the schema, or is a `DataError`.

Each file of a card that is here is cut to its first kilobytes (an archive to its first entries, and
packed again), damaged with a seed, and read as its card says.
"""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from fuzzing import seeds
from mutations import mutated
from reading import check_line

from tasks.dataset_card import DatasetCard
from tasks.errors import DataError
from tasks.readers import READERS
from tasks.readers.answers import check_answers
from tasks.readers.pairs import check_pair
from tasks.schema import SPLITS, TASK_COLUMNS, check_iob2

CARDS = Path(__file__).parents[3] / "configs" / "datasets"
ROOT = Path(os.environ.get("FEDNLP_DATA", "/none"))
BYTES, ENTRIES, DAMAGES = 12_000, 12, 12
FOLDERS = {"train": "train", "validation": "dev", "test": "test"}  # of a split in an archive


def real_files():
    """(card, split, path) of every plain file or archive that is here."""
    for path in sorted(CARDS.glob("*.yaml")):
        card = DatasetCard.parse(yaml.safe_load(path.read_text(encoding="utf-8")), path.name)
        for split in SPLITS:
            if card.local is None or split not in card.local.files:
                continue
            for name in card.local.paths(split):
                if (ROOT / name).is_file():
                    yield pytest.param(card, split, ROOT / name, id=f"{card.name}-{split}-{name}")


def small(path: Path, folder: str) -> bytes:
    """The beginning of a file, in its own format."""
    if path.name.endswith(".zip"):
        packed = io.BytesIO()
        with (
            zipfile.ZipFile(path) as old,
            zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new,
        ):
            for entry in old.infolist()[:ENTRIES]:
                new.writestr(entry.filename, cut(old.read(entry)))
        return packed.getvalue()
    if path.name.endswith(".tar.gz"):
        packed = io.BytesIO()
        with tarfile.open(path) as old, tarfile.open(fileobj=packed, mode="w:gz") as new:
            kept = 0
            for entry in old:
                if entry.isfile() and (folder in entry.name or entry.name.endswith(".TXT")):
                    content = cut(old.extractfile(entry).read())
                    entry.size = len(content)
                    new.addfile(entry, io.BytesIO(content))
                    kept += 1
                if kept == ENTRIES:
                    break
        return packed.getvalue()
    with path.open("rb") as file:
        return file.read() if path.name.endswith(".json") else cut(file.read(BYTES))


def cut(content: bytes) -> bytes:
    return content if len(content) < BYTES else content[:BYTES].rpartition(b"\n")[0] + b"\n"


def check(card: DatasetCard, split: str, path: Path) -> int:
    """Reads as the card says; returns how many records are good."""
    reader, good = READERS[card.local.reader], 0
    try:
        for record in reader.read(path, split, card.local.reader_options(card.task)):
            if isinstance(record, DataError):
                check_line(record)
                assert str(path) in str(record)
                continue
            where, row = record
            assert str(path) in where and set(row) >= set(TASK_COLUMNS[card.task]) - {"title"}
            if card.task == "text_classification":
                assert isinstance(row["text"], str) and isinstance(row["label"], str)
            elif card.task == "sequence_tagging":
                assert len(row["words"]) == len(row["tags"]) > 0 and all(row["words"])
                check_iob2(row["tags"], where)
            elif card.task == "question_answering":
                answers = row["answers"]
                check_answers(row["context"], answers["text"], answers["start"], where)
            else:
                check_pair(row["input"], row["targets"], where)
            good += 1
    except DataError as error:
        check_line(error)
        assert str(path) in str(error)
    return good


@pytest.mark.skipif("FEDNLP_DATA" not in os.environ, reason="needs FEDNLP_DATA")
@pytest.mark.parametrize(("card", "split", "real"), list(real_files()))
def test_damaged(tmp_path, card, split, real):
    path = tmp_path / real.name
    content = small(real, FOLDERS[split])
    path.write_bytes(content)
    assert check(card, split, path) > 0, "the undamaged file must be readable"
    for seed in seeds(DAMAGES):
        path.write_bytes(mutated(content, seed))
        try:
            check(card, split, path)
        except Exception as error:
            pytest.fail(f"{card.name}, {real.name}, seed {seed}: {type(error).__name__}: {error}")
