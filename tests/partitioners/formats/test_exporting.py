"""What may be exported, how, and what is left when it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from datasets import DatasetDict
from pyarrow import parquet
from samples import TASKS, examples, random_partition, target

from partitioners import Partition, PartitionError
from partitioners.formats import FORMATS, export_partition, import_partition
from partitioners.plots import plot_sizes

MADE = random_partition(9, clients=6, rows=50)
TABLES = examples(MADE)


def export(path: Path, form: str, **more: object) -> list[Path]:
    if FORMATS[form].examples == "must":
        more = {"examples": TABLES, **more}
    return export_partition(MADE, path, form, **more)


@pytest.mark.parametrize("form", FORMATS)
def test_an_existing_target_is_left_alone(form: str, tmp_path: Path) -> None:
    path = target(tmp_path, form)
    path.write_bytes(b"mine")
    with pytest.raises(PartitionError, match="exists"):
        export(path, form)
    assert path.read_bytes() == b"mine" and list(tmp_path.iterdir()) == [path]


def test_an_existing_data_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x_data.h5").write_bytes(b"mine")
    with pytest.raises(PartitionError, match=r"x_data\.h5: exists"):
        export(tmp_path / "x_partition.h5", "h5", examples=TABLES)
    assert [path.name for path in tmp_path.iterdir()] == ["x_data.h5"]


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_left_of_a_failure(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.rename", full)
    with pytest.raises(PartitionError, match=r"cannot be written \(No space left on device\)"):
        export(target(tmp_path, form), form)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", FORMATS)
def test_a_folder_that_cannot_be_made(form: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PartitionError, match="cannot be written"):
        export(target(tmp_path / "file", form), form)


@pytest.mark.parametrize("form", FORMATS)
def test_paths_that_were_made(form: str, tmp_path: Path) -> None:
    path = target(tmp_path / "new" / "folder", form)
    assert export(path, form) == [path]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("clients", "what"),
    [([], "whole numbers"), ([6], "client 6"), ([-1, 2], "client -1"), ([0.5], "whole numbers"),
     (["a"], "whole numbers")],
)  # fmt: skip
def test_clients_that_do_not_exist(clients: list, what: str, tmp_path: Path) -> None:
    with pytest.raises(PartitionError, match=what):
        export(tmp_path / "x.npz", "npz", clients=clients)


def test_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(PartitionError, match="did you mean jsonl"):
        export_partition(MADE, tmp_path / "x", "json1")


def test_examples_that_do_not_fit(tmp_path: Path) -> None:
    train, test = TABLES["train"], TABLES["test"]
    reordered = train.take(np.roll(np.arange(train.num_rows), 1))
    for tables, what in (
        ({"train": train}, "examples: of train"),
        ({"train": train.slice(1), "test": test}, "one per index"),
        ({"train": reordered, "test": test}, "example 0 is row"),
    ):
        with pytest.raises(PartitionError, match=what):
            export_partition(MADE, tmp_path / "x", "leaf", examples=tables)
    with pytest.raises(PartitionError, match="parquet holds no examples"):
        export_partition(MADE, tmp_path / "x", "parquet", examples=TABLES)
    with pytest.raises(PartitionError, match="dataset_dict needs examples"):
        export_partition(MADE, tmp_path / "x", "dataset_dict")
    taken = {name: table.append_column("hash", table["row"]) for name, table in TABLES.items()}
    with pytest.raises(PartitionError, match="column hash"):
        export_partition(MADE, tmp_path / "x", "client_files", examples=taken)
    other = {name: table.select(["text"]) for name, table in TABLES.items()}
    for form in ("leaf", "h5"):
        with pytest.raises(PartitionError, match="one of label, tags"):
            export_partition(MADE, tmp_path / "x", form, examples=other)
    assert list(tmp_path.iterdir()) == []


def test_a_text_that_hdf5_cannot_hold(tmp_path: Path) -> None:
    texts = {
        name: table.drop_columns(["text"]).add_column(
            0, "text", pyarrow.array(["a\0b"] * table.num_rows)
        )
        for name, table in TABLES.items()
    }
    with pytest.raises(PartitionError, match=r"examples of .* NUL"):
        export_partition(MADE, tmp_path / "x.h5", "h5", examples=texts)
    assert list(tmp_path.iterdir()) == []


def test_a_provenance_that_is_no_json(tmp_path: Path) -> None:
    for value in (float("nan"), {1, 2}):
        made = Partition(MADE.splits, {"x": value})
        with pytest.raises(PartitionError, match="provenance"):
            export_partition(made, tmp_path / "x.parquet", "parquet")


# what others see ------------------------------------------------------------------------------


def owners(split: str) -> list[tuple[int, int]]:
    """(client, row) of every example, in the order of the partition."""
    part = MADE.splits[split]
    return [(k, int(row)) for k in range(part.clients) for row in part.client(k)]


def test_parquet_is_a_plain_table(tmp_path: Path) -> None:
    export(tmp_path / "x.parquet", "parquet")
    frame = parquet.read_table(tmp_path / "x.parquet").to_pandas()
    assert list(frame.columns) == ["split", "client", "index", "hash"]
    assert frame["hash"].dtype == np.uint64
    for name, split in MADE.splits.items():
        part = frame[frame["split"] == name]
        assert list(zip(part["client"], part["index"], strict=True)) == owners(name)
        assert part["hash"].tolist() == split.hashes.tolist()


def test_jsonl_is_plain_json(tmp_path: Path) -> None:
    export(tmp_path / "x.jsonl", "jsonl", clients=[1, 4])
    header, *lines = map(json.loads, (tmp_path / "x.jsonl").read_text().splitlines())
    assert header["provenance"]["exported"] == "clients 1, 4 of 6"
    assert [(line["split"], line["client"]) for line in lines] == [
        ("train", 1), ("train", 4), ("test", 1), ("test", 4),
    ]  # fmt: skip
    for line in lines:
        split = MADE.splits[line["split"]]
        assert line["indices"] == split.client(line["client"]).tolist()
        digits = [line["hashes"][i : i + 16] for i in range(0, len(line["hashes"]), 16)]
        of = slice(split.offsets[line["client"]], split.offsets[line["client"] + 1])
        assert [int(text, 16) for text in digits] == split.hashes[of].tolist()


def test_csv_is_plain_text(tmp_path: Path) -> None:
    export(tmp_path / "x.csv", "csv")
    lines = (tmp_path / "x.csv").read_text().splitlines()
    rows = [f"{row},{k},{name}" for name in ("train", "test") for k, row in owners(name)]
    assert lines == ["example_index,client_id,split", *rows]


def read_leaf(folder: Path) -> tuple[list, list, dict]:
    """What LEAF's `model_utils.read_dir` does."""
    users: list = []
    data: dict = {}
    sizes: list = []
    for path in folder.iterdir():
        if path.name.endswith(".json"):
            content = json.loads(path.read_text())
            users.extend(content["users"])
            sizes.extend(content["num_samples"])
            data.update(content["user_data"])
    return users, sizes, data


@pytest.mark.parametrize("task", TASKS)
def test_leaf_with_examples(task: str, tmp_path: Path) -> None:
    tables = examples(MADE, task)
    export_partition(MADE, tmp_path / "x", "leaf", examples=tables)
    for name, table in tables.items():
        users, sizes, data = read_leaf(tmp_path / "x" / name)
        assert users == [str(k) for k in range(6)]  # the same in train and in test
        rows = table.to_pylist()
        for (k, _), row in zip(owners(name), rows, strict=True):
            x, y = data[str(k)]["x"].pop(0), data[str(k)]["y"].pop(0)
            if task == "text_classification":
                assert (x, y) == (row["text"], row["label"])
            elif task == "sequence_tagging":
                assert (x, y) == (row["words"], row["tags"])
            elif task == "seq2seq":
                assert (x, y) == (row["input"], row["targets"])
            else:
                assert x == {key: row[key] for key in ("id", "question", "context", "title")}
                assert y == row["answers"]
        assert all(one == {"x": [], "y": []} for one in data.values())
        assert sizes == MADE.splits[name].sizes().tolist()


def test_leaf_without_examples(tmp_path: Path) -> None:
    export(tmp_path / "x", "leaf")
    _, _, data = read_leaf(tmp_path / "x" / "test")
    for k in range(6):
        held = MADE.splits["test"].client(k).tolist()
        assert data[str(k)] == {"x": held, "y": [None] * len(held)}


@pytest.mark.parametrize("task", TASKS)
def test_dataset_dict_loads(task: str, tmp_path: Path) -> None:
    tables = examples(MADE, task)
    export_partition(MADE, tmp_path / "x", "dataset_dict", examples=tables, clients=[0, 2, 5])
    loaded = DatasetDict.load_from_disk(str(tmp_path / "x"))
    for name, table in tables.items():
        wanted = [
            {"client_id": k, **row}
            for (k, _), row in zip(owners(name), table.to_pylist(), strict=True)
            if k in (0, 2, 5)
        ]
        assert list(loaded[name]) == wanted
        client = loaded[name].filter(lambda row: row["client_id"] == 2)
        assert client["row"] == MADE.splits[name].client(2).tolist()


def test_client_files_with_examples(tmp_path: Path) -> None:
    export(tmp_path / "x", "client_files", examples=TABLES, clients=[1, 3])
    for name, split in MADE.splits.items():
        rows = dict(zip(split.indices.tolist(), TABLES[name].to_pylist(), strict=True))
        files = sorted((tmp_path / "x" / name).iterdir())
        assert [path.name for path in files] == ["client_00001.parquet", "client_00003.parquet"]
        for k, path in zip((1, 3), files, strict=True):
            table = parquet.read_table(path)
            assert table["index"].to_pylist() == split.client(k).tolist()
            of = slice(split.offsets[k], split.offsets[k + 1])
            assert table["hash"].to_pylist() == split.hashes[of].tolist()
            for row in table.drop_columns(["hash"]).to_pylist():
                content = rows[row.pop("index")]
                assert row == {key: content[key] for key in content if key != "row"}


def test_native_file_is_the_native_file(tmp_path: Path) -> None:
    export(tmp_path / "x.npz", "npz")
    assert Partition.load(tmp_path / "x.npz").checksum == MADE.checksum


def test_formats_need_no_other_library_until_used(tmp_path: Path) -> None:
    """numpy is enough for jsonl, npz and leaf."""
    export(tmp_path / "x.jsonl", "jsonl")
    code = f"""
import sys
for name in ("torch", "transformers", "datasets", "pyarrow", "h5py", "pandas", "matplotlib"):
    sys.modules[name] = None
from partitioners.formats import export_partition, import_partition
from pathlib import Path
read = import_partition(Path({str(tmp_path / "x.jsonl")!r}))
for form in ("jsonl", "npz", "leaf"):
    path = Path({str(tmp_path)!r}, "again_" + form)
    export_partition(read, path, form)
    assert import_partition(path, form).checksum == read.checksum
print(read.checksum)
"""
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == MADE.checksum == import_partition(tmp_path / "x.jsonl").checksum


NEEDS = {"parquet": "pyarrow", "csv": "pyarrow", "client_files": "pyarrow", "h5": "h5py"}


@pytest.mark.parametrize(("form", "library"), [*NEEDS.items(), ("dataset_dict", "datasets")])
def test_a_missing_library_is_one_line(
    form: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = target(tmp_path, form)
    export(there, form)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(PartitionError, match=f"needs the library {library}; pip install") as error:
        export(target(tmp_path / "new", form), form)
    assert "\n" not in str(error.value) and not (tmp_path / "new").exists()
    if form == "dataset_dict":  # it is read as Arrow files
        assert import_partition(there).checksum == MADE.checksum
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        library = "pyarrow"
    with pytest.raises(PartitionError, match=f"format {form}: needs the library {library}"):
        import_partition(there, form)


def test_plots_without_their_library_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PartitionError, match="plots: needs the library matplotlib"):
        plot_sizes(MADE, tmp_path / "sizes")
    assert list(tmp_path.iterdir()) == []
