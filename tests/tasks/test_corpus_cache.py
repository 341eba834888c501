"""Fingerprints of what is loaded, and the cache of parsed data."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from corpora import COMMON, load, tagging_card

from tasks import corpus_cache
from tasks.dataset_card import DatasetCard
from tasks.errors import DataError
from tasks.fingerprint import file_hash, table_fingerprint
from tasks.schema import features


def table(values):
    schema = features("question_answering").arrow_schema
    return pa.table(values, schema=schema)


def question(number):
    return {"id": f"q{number}", "question": "é?", "context": "c" * number, "title": "",
            "answers": {"text": [f"{number}{i}" for i in range(number)], "start": [7] * number},
            "row": number,
            "client": "", "source": ""}  # fmt: skip


def columns(numbers):
    rows = [question(n) for n in numbers]
    return {key: [row[key] for row in rows] for key in question(0)}


def test_fingerprint_ignores_chunks_and_slices():
    whole = table(columns(range(7)))
    chunked = pa.concat_tables([table(columns(range(3))), table(columns(range(3, 7)))])
    sliced = table(columns([9, *range(7), 9])).slice(1, 7)
    taken = table(columns([6, 5, 4, 3, 2, 1, 0])).take([6, 5, 4, 3, 2, 1, 0])
    assert chunked["id"].num_chunks == 2
    assert len({table_fingerprint(t) for t in (whole, chunked, sliced, taken)}) == 1


def test_fingerprint_sees_every_change():
    base = columns(range(4))
    variants = [base, columns([1, 0, 2, 3]), columns(range(5)), columns(range(3))]
    for key, value in (("id", "q"), ("row", 9), ("client", "c"), ("context", "ccd")):
        changed = columns(range(4))
        changed[key][3] = value
        variants.append(changed)
    moved = columns(range(4))  # the same characters in other cells
    moved["question"][0], moved["question"][1] = "é?é", "?"
    variants.append(moved)
    answers = columns(range(4))
    answers["answers"][2] = {"text": ["a", "a"], "start": [0, 2]}
    variants.append(answers)
    lists, other = columns(range(4)), columns(range(4))  # the same elements in other lists
    lists["answers"][1:3] = [{"text": ["a", "b"], "start": [0, 1]}, {"text": ["c"], "start": [2]}]
    other["answers"][1:3] = [{"text": ["a"], "start": [0]}, {"text": ["b", "c"], "start": [1, 2]}]
    variants.append(other)
    variants.append(lists)
    assert len({table_fingerprint(table(v)) for v in variants}) == len(variants)
    assert table_fingerprint(table(columns([]))) == table_fingerprint(table(columns(range(2)))[:0])


PROGRAM = """
import sys, yaml
from pathlib import Path
from tasks.data import load_corpus
from tasks.dataset_card import DatasetCard
root = Path(sys.argv[1])
card = DatasetCard.parse(yaml.safe_load((root / "card.yaml").read_text()), "card")
corpus = load_corpus(card, data_root=root, cache_dir=Path(sys.argv[2]))
print(corpus.fingerprint, corpus.labels, corpus.splits["validation"]["row"][:])
"""


def test_two_processes_agree(tmp_path):
    card = tagging_card(tmp_path)
    (tmp_path / "card.yaml").write_text(card.model_dump_json(), encoding="utf-8")
    outputs = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path), str(tmp_path / f"cache{hash_seed}")],
            env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True,
            check=True, cwd=Path(__file__).parents[2],
        ).stdout
        for hash_seed in ("1", "2")
    ]  # fmt: skip
    assert outputs[0] == outputs[1] and load(card, tmp_path).fingerprint in outputs[0]


def test_every_module_that_makes_rows_is_in_the_key():
    """Modules of `tasks` that reading a source imports, whatever is added later."""
    package = Path(corpus_cache.__file__).parent
    keyed = {file for pattern in corpus_cache._CODE for file in package.glob(pattern)}
    others = {package / f"{name}.py" for name in ("corpus_cache", "fingerprint", "network")}
    found, waiting = set(), {package / "sources.py"}
    while waiting:
        file = waiting.pop()
        found.add(file)
        for name in re.findall(r"(?:from|import) tasks\.([\w.]+)", file.read_text("utf-8")):
            module = package.joinpath(*name.split("."))
            module = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
            waiting |= {module} - found - others
    assert found <= keyed, found - keyed
    assert {file for file in keyed if file.parent == package} <= found


def entry(tmp_path):
    (found,) = (tmp_path / "cache" / "parsed").iterdir()
    return found


def test_the_second_load_reads_the_cache(tmp_path, monkeypatch):
    first = load(tagging_card(tmp_path), tmp_path)
    assert sorted(p.name for p in entry(tmp_path).iterdir()) == [
        "meta.json", "test.arrow", "train.arrow",
    ]  # fmt: skip
    monkeypatch.setattr("tasks.sources.encoded_tables", None)  # would fail if it were called
    second = load(tagging_card(tmp_path), tmp_path)
    assert second.fingerprint == first.fingerprint and second.labels == first.labels
    assert second.splits["train"][:] == first.splits["train"][:]


def test_changed_files_and_settings_are_read_again(tmp_path):
    fingerprints = [load(tagging_card(tmp_path), tmp_path).fingerprint]
    stat = (tmp_path / "train").stat()
    text = (tmp_path / "train").read_text().replace("w7", "W7")
    (tmp_path / "train").write_text(text)
    os.utime(tmp_path / "train", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size and time
    card = DatasetCard.parse(
        {**COMMON, "task": "sequence_tagging",
         "local": {"reader": "conll", "files": {"train": "train", "test": "test"}}}, "x",
    )  # fmt: skip
    fingerprints.append(load(card, tmp_path).fingerprint)
    stripped = card.model_copy(
        update={"local": card.local.model_copy(update={"options": {"tag_column": 1}})}
    )
    assert load(stripped, tmp_path).fingerprint == fingerprints[1]
    assert len(set(fingerprints)) == 2
    assert len(list((tmp_path / "cache" / "parsed").iterdir())) == 3


@pytest.mark.parametrize("damage", ["cut", "flip", "meta", "gone"])
def test_a_damaged_entry_is_made_again(tmp_path, damage):
    fingerprint = load(tagging_card(tmp_path), tmp_path).fingerprint
    path = entry(tmp_path) / "train.arrow"
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        place = content.index(b"w17")
        path.write_bytes(content[:place] + b"W" + content[place + 1 :])
    elif damage == "meta":
        (entry(tmp_path) / "meta.json").write_text("{}")
    else:
        path.unlink()
    assert load(tagging_card(tmp_path), tmp_path).fingerprint == fingerprint
    assert path.read_bytes() == content
    assert len(list((tmp_path / "cache" / "parsed").iterdir())) == 1


def test_a_failed_read_leaves_no_entry(tmp_path):
    card = tagging_card(tmp_path)
    (tmp_path / "train").write_text("a\tO\nb\n")
    with pytest.raises(DataError, match="line 2: 1 columns"):
        load(card, tmp_path)
    parsed = tmp_path / "cache" / "parsed"
    assert not parsed.exists() or not list(parsed.iterdir())


def test_a_cache_that_cannot_be_written_costs_the_cache_only(tmp_path, caplog):
    card = tagging_card(tmp_path)
    expected = load(card, tmp_path).fingerprint
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("a file")
    assert load(card, tmp_path).fingerprint == expected
    assert "goes on without this cache" in caplog.text


def test_directories_are_hashed_by_names_and_content(tmp_path):
    for folder, name, text in (("a", "1", "xy"), ("b", "1", "xz"), ("c", "2", "xy")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    hashes = {file_hash(tmp_path / folder) for folder in "abc"}
    assert len(hashes) == 3
    (tmp_path / "b" / "1").write_text("xy")
    assert file_hash(tmp_path / "b") == file_hash(tmp_path / "a")


def test_importing_is_light():
    program = (
        "import sys, tasks.data, tasks.dataset_card; "
        "print([m for m in ('torch', 'datasets', 'transformers', 'pandas', 'pyarrow') "
        "if m in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    ).stdout  # fmt: skip
    assert output.strip() == "[]"


def test_indices_of_numpy_type_work(tmp_path):
    rows = load(tagging_card(tmp_path), tmp_path).splits["train"]
    chosen = rows.select(np.array([3, 1], dtype=np.int64))
    assert chosen["row"][:] == [rows[3]["row"], rows[1]["row"]]
