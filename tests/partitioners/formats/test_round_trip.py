"""import(export(p)) is p, for every format and any partition."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import SEALED, TASKS, assert_same, examples, partitions, random_partition, target

from partitioners import Partition
from partitioners.formats import FORMATS, export_partition, import_partition


@pytest.mark.parametrize("form", SEALED)
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_nothing_is_lost(form: str, data: st.DataObject) -> None:
    made = data.draw(partitions())
    tables = examples(made) if FORMATS[form].examples == "must" else None
    with TemporaryDirectory() as folder:
        path = target(Path(folder), form)
        assert export_partition(made, path, form, examples=tables) == [path]
        assert_same(import_partition(path), made)
        assert_same(import_partition(path, form, sizes={"train": 60, "test": 20}), made)


@pytest.mark.parametrize("form", [name for name in SEALED if FORMATS[name].examples != "never"])
@pytest.mark.parametrize("task", TASKS)
def test_nothing_is_lost_beside_examples(form: str, task: str, tmp_path: Path) -> None:
    made = random_partition(3)
    export_partition(made, target(tmp_path, form), form, examples=examples(made, task))
    assert_same(import_partition(target(tmp_path, form)), made)


@settings(deadline=None, max_examples=25)
@given(made=partitions())
def test_csv_keeps_the_shares(made: Partition) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "split.csv"
        export_partition(made, path, "csv")
        if not len(made.splits["train"].indices):
            return  # nothing that says how many clients
        read = import_partition(path)
    for name, split in read.splits.items():
        for k in range(made.clients):
            held = split.client(k) if k < read.clients else np.zeros(0, np.int64)
            assert held.tolist() == sorted(made.splits[name].client(k))
    assert read.provenance["partitioner"] == "imported"
    assert read.provenance["file"] == "split.csv"


@pytest.mark.parametrize("form", SEALED)
def test_chosen_clients_keep_their_numbers(form: str, tmp_path: Path) -> None:
    made = random_partition(5, clients=12, rows=100)
    tables = examples(made) if FORMATS[form].examples == "must" else None
    path = target(tmp_path, form)
    export_partition(made, path, form, examples=tables, clients=[7, 2, 3, 4])
    read = import_partition(path)
    assert read.clients == 12
    assert read.provenance == made.provenance | {"exported": "clients 2-4, 7 of 12"}
    for name, split in made.splits.items():
        for k in range(12):
            held = split.client(k) if k in (2, 3, 4, 7) else []
            assert read.splits[name].client(k).tolist() == list(held)
            of = slice(split.offsets[k], split.offsets[k + 1])
            if k in (2, 3, 4, 7):
                part = read.splits[name]
                mine = part.hashes[part.offsets[k] : part.offsets[k + 1]]
                assert mine.tolist() == split.hashes[of].tolist()
    for k in range(12):
        held = made.histogram.client(k) if k in (2, 3, 4, 7) else {}
        assert read.histogram.client(k) == held
    assert read.held_out.tolist() == [k for k in made.held_out if k in (2, 3, 4, 7)]
    again = target(tmp_path / "again", form)
    if tables is None:
        export_partition(read, again, form)
        assert_same(import_partition(again), read)


@pytest.mark.parametrize("form", SEALED)
def test_many_clients_in_numeric_order(form: str, tmp_path: Path) -> None:
    made = random_partition(8, clients=112, rows=400)
    tables = examples(made) if FORMATS[form].examples == "must" else None
    export_partition(made, target(tmp_path, form), form, examples=tables)
    assert_same(import_partition(target(tmp_path, form)), made)


@pytest.mark.parametrize("form", [name for name in FORMATS if name not in ("npz",)])
def test_a_partition_without_test(form: str, tmp_path: Path) -> None:
    whole = random_partition(1)
    provenance = whole.provenance | {"rows_of": {"train": "train"}}
    made = Partition({"train": whole.splits["train"]}, provenance)
    tables = examples(made) if FORMATS[form].examples == "must" else None
    export_partition(made, target(tmp_path, form), form, examples=tables)
    read = import_partition(target(tmp_path, form))
    assert list(read.splits) == ["train"]
    assert read.checksum == made.checksum


def test_a_folder_of_partition_make(tmp_path: Path) -> None:
    made = random_partition(2)
    made.save(tmp_path / "made" / "partition.npz")
    (tmp_path / "made" / "provenance.json").write_text("{}", encoding="utf-8")
    assert_same(import_partition(tmp_path / "made"), made)


@pytest.mark.parametrize("form", ["parquet", "jsonl", "npz", "h5"])
def test_known_by_content_under_any_name(form: str, tmp_path: Path) -> None:
    made = random_partition(2)
    export_partition(made, tmp_path / "split.dat", form)
    assert_same(import_partition(tmp_path / "split.dat"), made)
