"""The least that a file of others needs, and what is said when it does not have it."""

from __future__ import annotations

from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet
from samples import random_partition

from partitioners import Partition, PartitionError
from partitioners.formats import export_partition, import_partition

HELD = {"train": [[4], [], [1, 5]], "test": [[], [3], []]}


def held(partition: Partition) -> dict[str, list[list[int]]]:
    return {
        name: [split.client(k).tolist() for k in range(split.clients)]
        for name, split in partition.splits.items()
    }


@pytest.mark.parametrize(
    "text",
    [
        '{"index": 5, "client": 2, "split": "train"}\n{"index": 4, "client": 0}\n\n'
        '{"client": 2, "index": 1, "text": "x"}\n{"index": 3, "client": 1, "split": "test"}\n',
        '\n{"client": 2, "indices": [5, 1]}\n{"client": 0, "split": "train", "indices": [4]}\r\n'
        '{"client": 1, "split": "test", "indices": [3]}',
    ],
)
def test_jsonl_without_a_header(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(text.encode())
    read = import_partition(tmp_path / "x.jsonl", sizes={"train": 6, "test": 4})
    assert held(read) == HELD
    assert read.provenance["partitioner"] == "imported" and read.histogram is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "x.jsonl: is empty; expected lines like"),
        (" \n\n", "x.jsonl: is empty"),
        ('{"index": 0, "client": 0}\n{"index": 1}\n', "line 2: no client; expected a whole number"),
        ('{"client": 0}\n', "line 1: no index; expected a whole number from 0"),
        ('{"index": "a", "client": 0}\n', "line 1: index 'a'; expected a whole number from 0"),
        ('{"index": 0, "client": 1.0}\n', "line 1: client '1.0'; expected a whole number"),
        ('{"index": 0, "client": true}\n', "line 1: client 'True'; expected a whole number"),
        ('{"client": 0, "indices": [0, null]}\n', "line 1: no index; expected a whole number"),
        ('{"client": 0, "indices": 3}\n', "line 1: a split that is no text, or indices that are"),
        ('{"index": 0, "client": 0, "split": 1}\n', "line 1: a split that is no text"),
        ('{"index": 0, "client": 0}\nann\n', "line 2: no JSON \\(Expecting value: line 1"),
        ("[0, 1]\n", "line 1: \\[0, 1\\]; expected an object like"),
        ('{"index": 0, "client": 0, "hashes": "00"}\n', "line 1: hashes, but no header"),
        ('{"index": 0, "client": 0}\n{"index": 0, "client": 1}\n', "listed twice, by client 0"),
        ('{"index": 99, "client": 0}\n', "index 99; expected rows of train, which has 6"),
        ('{"index": 0, "client": -1}\n', "client -1"),
        ('{"index": 0, "client": 1e999}\n', "line 1: client 'inf'"),
        ('{"index": 99999999999999999999, "client": 0}\n', "below 2"),
        ('{"fednlp_partition": 1, "clients": 1}\n', "splits is missing .*; export it again"),
    ],
)
def test_jsonl_that_is_none(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(text)
    with pytest.raises(PartitionError, match=told) as error:
        import_partition(tmp_path / "x.jsonl", sizes={"train": 6})
    assert "\n" not in str(error.value) and "Error" not in str(error.value)


def test_parquet_of_train_alone(tmp_path: Path) -> None:
    table = pyarrow.table({"index": [5, 4, 1], "client": [2, 0, 2]})
    parquet.write_table(table, tmp_path / "x.parquet")
    assert held(import_partition(tmp_path / "x.parquet")) == {"train": HELD["train"]}


@pytest.mark.parametrize("form", ["client_files"])
def test_a_broken_side_file_names_no_class_of_python(form: str, tmp_path: Path) -> None:
    export_partition(random_partition(1), tmp_path / "x", form)
    (tmp_path / "x" / "partition.json").write_text("{")
    with pytest.raises(PartitionError, match=r"partition\.json: the JSON of .* damaged") as error:
        import_partition(tmp_path / "x")
    assert "JSONDecodeError" not in str(error.value)
    with pytest.raises(PartitionError, match=r"is one file of a partition; name the folder"):
        import_partition(tmp_path / "x" / "partition.json")


@pytest.mark.parametrize("form", ["parquet", "jsonl", "h5", "csv"])
def test_a_file_of_another_format_is_imported_first(form: str, tmp_path: Path) -> None:
    export_partition(random_partition(1), tmp_path / "x", form)
    with pytest.raises(PartitionError, match=r"another format: import it first \(partition import"):
        Partition.load(tmp_path / "x")
