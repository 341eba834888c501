"""Foreign, wrong and hostile files: one line that names the file, never a traceback or a guess."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from fuzzing import seeds, times
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from samples import SEALED, assert_same, examples, random_partition, target

from partitioners import Partition, PartitionError
from partitioners.formats import FORMATS, export_partition, import_partition
from tests.tasks.readers.mutations import mutated


def refused(path: Path, what: str = ".", form: str | None = None, **sizes: int) -> None:
    with pytest.raises(PartitionError, match=what) as error:
        import_partition(path, form, sizes=sizes or None)
    assert "\n" not in str(error.value) and path.name in str(error.value)


def assert_sound(partition: Partition) -> None:
    for split in partition.splits.values():
        assert split.clients == partition.clients and split.offsets[-1] == len(split.indices)
        assert len(np.unique(split.indices)) == len(split.indices)
        assert (split.indices >= 0).all() and (split.sizes() >= 0).all()


# csv ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is empty"),
        ("\n\n", "csv|column"),
        ("example_index,client_id\n", "no example|train"),
        ("0,1\n1,1\n", "one column example_index"),
        ("example_index,client\n0,1\n", "one column client_id"),
        ("example_index,client_id,client_id\n0,1,1\n", "one column client_id"),
        ("example_index,client_id\n0,1\n0,2\n", "train index 0 is listed twice, by client 1 and"),
        ("example_index,client_id\n7,1\n7,1\n", "index 7 is listed twice, by client 1"),
        ("example_index,client_id\n-1,1\n", "index -1"),
        ("example_index,client_id\n1,-1\n", "client -1"),
        (
            "example_index,client_id\n1.5,1\n",
            "line 2: example_index '1.5'; expected a whole number from 0",
        ),
        ("example_index,client_id\n1.0,1\n", "line 2: example_index '1.0'; expected a whole"),
        ("example_index,client_id\n1e3,1\n", "line 2: example_index '1e3'"),
        ("example_index,client_id\nnan,1\n", "line 2: example_index 'nan'"),
        (
            "example_index,client_id\n,1\n",
            "line 2: no example_index; expected a whole number from 0",
        ),
        (
            "example_index,client_id\n2,0\n\n1,\n",
            "line 4: no client_id; expected a whole number from 0",
        ),
        ("example_index,client_id\nb'1',1\n", "csv"),
        ("example_index,client_id\n1\n", "line 2: 1 fields; expected 2, as its first line has"),
        ("example_index,client_id\n0,0\n1,2,3\n", "line 3: 3 fields; expected 2"),
        (
            "example_index,client_id\n0,0\n1,user_7\n",
            "line 3: client_id 'user_7'; expected a whole number from 0",
        ),
        ("example_index,client_id\n0x10,0\n", "line 2: example_index '0x10'; .* number from 0"),
        ("example_index,client_id\n1,0\n2,0X1\n", "line 3: client_id '0X1'"),
        ('example_index,client_id\n1," 0x1"\n', "line 2: client_id ' 0x1'"),
        ("# mine\nexample_index,client_id\n1,0\n", "line 1: a comment; expected a table without"),
        ("example_index,client_id\n# mine\n1,0\n", "line 2: a comment; expected a table without"),
        ("example_index,client_id\n1,99999999999\n", "clients from 0 to 10,000,000"),
        ("example_index,client_id\n99999999999999999999,1\n", "line 2: example_index '9+'"),
        ("example_index,client_id\n20,1\n", "index 20; expected rows of train, which has 20"),
        ("example_index,client_id,split\n1,1,test\n", "a split named train"),
        ("example_index,client_id,split\n1,1,train\n2,1,valid\n", "rows of 'valid'"),
        ("example_index,client_id,split\n1,1,../x\n", "letters, digits"),
        ("example_index,client_id,split\n1,1,\n", "letters, digits"),
    ],
)
def test_bad_csv(text: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")
    refused(tmp_path / "x.csv", what, train=20, test=5)


def test_no_library_speaks_of_a_bad_line(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("client_id,note,example_index\nann,,0\n")
    with pytest.raises(PartitionError) as error:
        import_partition(tmp_path / "x.csv")
    told = f"{tmp_path / 'x.csv'} line 2: client_id 'ann'; expected a whole number from 0"
    assert str(error.value) == told


def test_a_csv_whose_header_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"example_index\xc3,client_id\n1,2\n")
    refused(tmp_path / "x.csv", "no UTF-8")


def test_an_x_elsewhere_is_no_hexadecimal_number(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("example_index,client_id,note\n3,1,0x10\n4,0,0x\n")
    assert import_partition(tmp_path / "x.csv").splits["train"].indices.tolist() == [4, 3]


def test_csv_as_people_write_it(tmp_path: Path) -> None:
    text = '\ufeffclient_id,note,example_index\r\n2,hello,5\r\n0,,4\r\n2,"a, b",1\r\n'
    (tmp_path / "x.csv").write_bytes(text.encode())
    read = import_partition(tmp_path / "x.csv", sizes={"train": 6})
    train = read.splits["train"]
    assert [train.client(k).tolist() for k in range(train.clients)] == [[4], [], [1, 5]]


@settings(deadline=None, max_examples=times(60))
@given(data=st.data())
def test_any_csv(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Read as Python reads it, or refused."""
    cell = st.one_of(st.integers(-2, 8).map(str), st.sampled_from(["", "x", "1.5", "1e400", '"3"']))
    lines = data.draw(st.lists(st.tuples(cell, cell), max_size=5))
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text(
        "example_index,client_id\n" + "".join(f"{i},{k}\n" for i, k in lines), encoding="utf-8"
    )
    plain = [(i.strip('"'), k.strip('"')) for i, k in lines]
    good = all(i.isdigit() and k.isdigit() for i, k in plain)
    if good and plain and len({i for i, _ in plain}) == len(plain):
        owned = import_partition(path).splits["train"]
        for k in range(owned.clients):
            held = sorted(int(i) for i, owner in plain if int(owner) == k)
            assert owned.client(k).tolist() == held
    else:
        refused(path)


# parquet --------------------------------------------------------------------------------------

GOOD = {"split": ["train", "train", "test"], "client": [0, 2, 2], "index": [4, 3, 3]}


def write_table(path: Path, **changes: object) -> None:
    columns = {name: value for name, value in (GOOD | changes).items() if value is not None}
    parquet.write_table(pyarrow.table(columns), path)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"client": np.array([0, 2, 2], np.uint8), "index": np.array([4, 3, 3], np.int16)},
        {"split": pyarrow.array(GOOD["split"]).dictionary_encode(), "label": ["a", "b", "c"]},
        {"hash": pyarrow.array([None, None, None], pyarrow.uint64())},
        {"hash": pyarrow.nulls(3)},
        {"split": pyarrow.array(GOOD["split"], pyarrow.large_string())},
        {"split": pyarrow.array(GOOD["split"], pyarrow.string_view())},
        {"split": pyarrow.array(GOOD["split"], pyarrow.large_string()).dictionary_encode()},
    ],
)
def test_parquet_of_others(changes: dict, tmp_path: Path) -> None:
    write_table(tmp_path / "x.parquet", **changes)
    read = import_partition(tmp_path / "x.parquet", sizes={"train": 5, "test": 4})
    assert [read.splits["train"].client(k).tolist() for k in range(3)] == [[4], [], [3]]
    assert [read.splits["test"].client(k).tolist() for k in range(3)] == [[], [], [3]]
    assert read.splits["train"].hashes is None


def test_hashes_of_others_follow_their_examples(tmp_path: Path) -> None:
    hashes = pyarrow.array([2**64 - 1, 5, None], pyarrow.uint64())
    write_table(tmp_path / "x.parquet", client=[2, 0, 2], hash=hashes)
    read = import_partition(tmp_path / "x.parquet")
    assert read.splits["train"].indices.tolist() == [3, 4]
    assert read.splits["train"].hashes.tolist() == [5, 2**64 - 1]
    assert read.splits["test"].hashes is None


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"client": None}, "no column client"),
        ({"client": None}, "no column client"),
        ({"index": None}, "no column index"),
        ({"index": [4.0, 3.0, 3.0]}, "column index of type double"),
        ({"index": ["4", "3", "3"]}, "column index of type string"),
        ({"index": [4, None, 3]}, "column index with gaps"),
        ({"client": [True, False, True]}, "column client of type bool"),
        ({"split": [b"train", b"train", b"test"]}, "column split of type binary"),
        ({"split": [0, 0, 1]}, "split"),
        ({"split": ["train", None, "test"]}, "column split with gaps"),
        ({"index": [4, 4, 3]}, "index 4 is listed twice"),
        ({"index": [4, -3, 3]}, "index -3"),
        ({"client": [0, 2, 10**12]}, "clients from 0 to"),
        ({"index": pyarrow.array([4, 2**63, 3], pyarrow.uint64())}, "below 2"),
        ({"hash": pyarrow.array([1, None, 3], pyarrow.uint64())}, "some examples"),
        ({"hash": [1.5, 2.5, 3.5]}, "column hash of type double"),
        ({"split": ["test"] * 3, "index": [1, 2, 3]}, "a split named train"),
        ({"split": [], "client": [], "index": []}, "parquet|train"),
    ],
)
def test_bad_parquet(changes: dict, what: str, tmp_path: Path) -> None:
    write_table(tmp_path / "x.parquet", **changes)
    refused(tmp_path / "x.parquet", what)


# what a sealed file may be edited to ----------------------------------------------------------


def test_an_edited_share_breaks_the_seal(tmp_path: Path) -> None:
    export_partition(random_partition(1), tmp_path / "x.jsonl", "jsonl")
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    entry = json.loads(lines[1])
    (tmp_path / "x.jsonl").write_text("\n".join([lines[0], *lines[2:]]))
    refused(tmp_path / "x.jsonl", "seal")
    entry["indices"][0] = 10**6
    (tmp_path / "x.jsonl").write_text("\n".join([lines[0], json.dumps(entry), *lines[2:]]))
    refused(tmp_path / "x.jsonl", "seal")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fednlp_partition", 2), ("fednlp_partition", None), ("clients", 0), ("clients", 10**12),
        ("clients", True), ("clients", "7"), ("clients", 3), ("splits", "train"),
        ("splits", ["train"]), ("splits", [1, 2]), ("splits", ["train", "train"]), ("splits", []),
        ("held_out", [99]), ("held_out", [-1]), ("held_out", [0.5]), ("held_out", [True]),
        ("held_out", 3), ("held_out", [10**30]), ("provenance", None), ("provenance", []),
        ("provenance", {"alpha": 2}), ("provenance", {"alpha": float("nan")}),
        ("histogram", 3), ("histogram", {}), ("histogram", None), ("seal", 5), ("seal", "00"),
        ("histogram", {"names": [], "sizes": [1] * 7, "labels": [0] * 7, "counts": [0] * 7}),
        ("histogram", {"names": [], "sizes": [-1] * 7, "labels": [], "counts": []}),
        ("histogram", {"names": [], "sizes": [1], "labels": [0], "counts": [1]}),
        ("histogram", {"names": [], "sizes": [1] * 7, "labels": [0], "counts": [1]}),
        ("histogram", {"names": [3], "sizes": [0] * 7, "labels": [], "counts": []}),
        ("histogram", {"names": "abc", "sizes": [0] * 7, "labels": [], "counts": []}),
    ],
)  # fmt: skip
def test_an_edited_header(key: str, value: object, tmp_path: Path) -> None:
    made = random_partition(1)
    assert made.clients == 7
    export_partition(made, tmp_path / "x.jsonl", "jsonl")
    header, rest = (tmp_path / "x.jsonl").read_text().split("\n", 1)
    content = json.loads(header) | {key: value}
    (tmp_path / "x.jsonl").write_text(json.dumps(content) + "\n" + rest)
    refused(tmp_path / "x.jsonl")
    del content[key]
    (tmp_path / "x.jsonl").write_text(json.dumps(content) + "\n" + rest)
    refused(tmp_path / "x.jsonl")


@pytest.mark.parametrize(
    "line",
    [
        "", "3", "[]", "{}", "null", '{"client": 0}', '{"client": 0, "split": "train"}', "nonsense",
        '{"client": 0, "split": "train", "indices": 3}', "[" * 100_000, '{"client": ' + "9" * 5000,
        '{"client": 0, "split": "train", "indices": [true]}',
        '{"client": 0, "split": "train", "indices": [1.0]}',
        '{"client": 0, "split": "train", "indices": ["1"]}',
        '{"client": 0, "split": "train", "indices": [99999999999999999999999]}',
        '{"client": 0, "split": "train", "indices": [NaN]}',
        '{"client": 0, "split": "train", "indices": [[1]]}',
        '{"client": true, "split": "train", "indices": [1]}',
        '{"client": 99999999999999999999, "split": "train", "indices": [1]}',
        '{"client": 0, "split": "other", "indices": [1]}',
        '{"client": 0, "split": "train", "indices": [1000000]}',
        '{"client": 0, "split": "train", "indices": [1000000], "hashes": 3}',
        '{"client": 0, "split": "train", "indices": [1000000], "hashes": "xyz"}',
        '{"client": 0, "split": "train", "indices": [1000000], "hashes": "ff"}',
    ],
)  # fmt: skip
def test_an_added_line(line: str, tmp_path: Path) -> None:
    export_partition(random_partition(1), tmp_path / "x.jsonl", "jsonl")
    text = (tmp_path / "x.jsonl").read_text()
    (tmp_path / "x.jsonl").write_text(text.replace("\n", f"\n{line}\n", 1))
    refused(tmp_path / "x.jsonl")


def test_leaf_of_others(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    content = {"users": ["a"], "num_samples": [1], "user_data": {"a": {"x": ["hello"], "y": [0]}}}
    (tmp_path / "train" / "all_data.json").write_text(json.dumps(content))
    refused(tmp_path, "which rows")


LEAF = {
    "users": [["0", "0"], ["x"] * 7, "0", [[], 1]],
    "num_samples": [[1] * 7, "x", [], [True] * 7],
    "user_data": [[], {}, {"0": 3}, {"0": {"x": 3}}],
    "partition": [3, {}, None],
}


@pytest.mark.parametrize(("key", "value"), [(key, v) for key, vs in LEAF.items() for v in vs])
@pytest.mark.parametrize("with_examples", [False, True])
def test_edited_leaf(key: str, value: object, with_examples: bool, tmp_path: Path) -> None:
    made = random_partition(1)
    path = tmp_path / "leaf"
    export_partition(made, path, "leaf", examples=examples(made) if with_examples else None)
    content = json.loads((path / "train" / "data.json").read_text())
    (path / "train" / "data.json").write_text(json.dumps(content | {key: value}))
    with pytest.raises(PartitionError, match="leaf"):
        import_partition(path)


@pytest.mark.parametrize("key", ["split", "rows", "hashes"])
@pytest.mark.parametrize("value", [None, 3, "test", [1], [0.5], {"a": 1}])
def test_edited_leaf_rows(key: str, value: object, tmp_path: Path) -> None:
    made = random_partition(1)
    path = tmp_path / "leaf"
    export_partition(made, path, "leaf", examples=examples(made))
    content = json.loads((path / "train" / "data.json").read_text())
    content["partition"][key] = value
    (path / "train" / "data.json").write_text(json.dumps(content))
    with pytest.raises(PartitionError, match="leaf"):
        import_partition(path)


def test_files_of_two_exports_do_not_mix(tmp_path: Path) -> None:
    for name in "ab":
        made = random_partition(ord(name))
        export_partition(made, tmp_path / name, "leaf")
    (tmp_path / "a" / "test" / "data.json").write_bytes(
        (tmp_path / "b" / "test" / "data.json").read_bytes()
    )
    refused(tmp_path / "a", "same partition")


def test_a_missing_client_file(tmp_path: Path) -> None:
    export_partition(random_partition(1), tmp_path / "x", "client_files")
    (tmp_path / "x" / "train" / "client_00003.parquet").unlink()
    refused(tmp_path / "x", "seal")
    (tmp_path / "x" / "train" / "notes.txt").write_text("")
    with pytest.raises(PartitionError, match=r"notes\.txt"):
        import_partition(tmp_path / "x")


def test_client_files_of_others(tmp_path: Path) -> None:
    (tmp_path / "x" / "train").mkdir(parents=True)
    for k, rows in enumerate(([4, 1], [], [2])):
        table = pyarrow.table(
            {"index": pyarrow.array(rows, pyarrow.int32()), "text": ["x"] * len(rows)}
        )
        parquet.write_table(table, tmp_path / "x" / "train" / f"client_{k}.parquet")
    train = import_partition(tmp_path / "x", sizes={"train": 5}).splits["train"]
    assert [train.client(k).tolist() for k in range(3)] == [[1, 4], [], [2]]
    parquet.write_table(
        pyarrow.table({"index": [4]}), tmp_path / "x" / "train" / "client_9.parquet"
    )
    refused(tmp_path / "x", "listed twice, by client 0 and by client 9")


def test_a_dataset_dict_of_others(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    columns = {"row": [5, 3, 4], "client_id": [1, 1, 0], "text": ["a", "b", "c"]}
    DatasetDict({"train": Dataset.from_dict(columns)}).save_to_disk(str(tmp_path / "x"))
    train = import_partition(tmp_path / "x").splits["train"]
    assert [train.client(k).tolist() for k in range(2)] == [[4], [3, 5]]
    del columns["row"]
    DatasetDict({"train": Dataset.from_dict(columns)}).save_to_disk(str(tmp_path / "y"))
    refused(tmp_path / "y", "no column row")
    (tmp_path / "x" / "train" / "state.json").write_text('{"_data_files": [{"filename": "../z"}]}')
    with pytest.raises(PartitionError, match="plain names"):
        import_partition(tmp_path / "x")


def test_npz_with_pickles_or_other_types(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    random_partition(1).save(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    for name, values in (
        ("train_indices", arrays["train_indices"].astype(object)),
        ("train_indices", arrays["train_indices"].astype(float)),
        ("held_out", arrays["held_out"].astype(str)),
        ("histogram_counts", arrays["histogram_counts"] * 0),
        ("histogram_offsets", arrays["histogram_offsets"][:-1]),
        ("train_hashes", arrays["train_hashes"].astype(float)),
    ):
        np.savez(path, **(arrays | {name: values}), allow_pickle=True)
        refused(path)


# any file -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_no_such_file_or_the_wrong_kind(form: str, tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "no such file", form)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    refused(tmp_path / "folder", form=form)
    refused(tmp_path / "file", form=form)


def test_no_known_format(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("hello")
    refused(tmp_path / "x.txt", "no known format")
    refused(tmp_path, "no known format")
    with pytest.raises(PartitionError, match="did you mean parquet"):
        import_partition(tmp_path / "x.txt", "parket")
    with pytest.raises(PartitionError, match="method: csv holds one partition"):
        import_partition(tmp_path / "x.txt", "csv", method="uniform")


@pytest.mark.parametrize("other", ["parquet", "jsonl", "npz", "h5", "csv"])
@pytest.mark.parametrize("form", ["parquet", "jsonl", "npz", "h5", "csv"])
def test_one_format_under_the_name_of_another(form: str, other: str, tmp_path: Path) -> None:
    if form != other:
        export_partition(random_partition(1), tmp_path / "x.bin", form)
        refused(tmp_path / "x.bin", form=other)


@pytest.mark.parametrize("form", FORMATS)
def test_mutated_files(form: str, tmp_path: Path) -> None:
    """Any byte may change. A sealed file comes back whole or not at all; where the seal itself is
    lost, the shares are what they were, or clearly those of a file of others."""
    made = random_partition(6, clients=5, rows=40)
    tables = examples(made) if FORMATS[form].examples == "must" else None
    path = target(tmp_path, form)
    export_partition(made, path, form, examples=tables)
    files = sorted(p for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())
    for seed in seeds(150):
        file = random.Random(f"file {seed}").choice(files)
        content = file.read_bytes()
        file.write_bytes(mutated(content, seed))
        try:
            read = import_partition(path, form)
        except PartitionError as error:
            assert "\n" not in str(error) and path.name in str(error), f"seed {seed}"
        else:
            assert_sound(read)
            if form in SEALED and read.provenance["partitioner"] != "imported":
                assert_same(read, made)
        finally:
            file.write_bytes(content)
    assert_sound(import_partition(path))


def foreign_h5(path: Path) -> None:
    """As FedNLP writes it, in the oldest layout of HDF5, which has no checksums."""
    import h5py

    with h5py.File(path, "w", libver="earliest") as file:
        for method in ("uniform", "niid_label_clients=12_alpha=1.0"):
            file[f"{method}/n_clients"], file[f"{method}/alpha"] = 12, 1.0
            for k in range(12):
                file[f"{method}/partition_data/{k}/train"] = [3 * k, 3 * k + 1]
                file[f"{method}/partition_data/{k}/test"] = [50 + k] if k % 2 else []


def foreign_csv(path: Path) -> None:
    rows = "".join(f"{i},{i % 7},{'train' if i % 3 else 'test'}\n" for i in range(50))
    path.write_text("example_index,client_id,split\n" + rows)


@pytest.mark.parametrize(
    ("form", "write"),
    [
        ("h5", foreign_h5),
        ("csv", foreign_csv),
        (
            "parquet",
            lambda path: write_table(path, hash=pyarrow.array([1, 2, 3], pyarrow.uint64())),
        ),
    ],
)
def test_mutated_files_of_others(form: str, write, tmp_path: Path) -> None:
    write(tmp_path / "x")
    content = (tmp_path / "x").read_bytes()
    sizes = {"train": 50, "test": 50}
    method = "uniform" if form == "h5" else None
    assert_sound(import_partition(tmp_path / "x", form, method=method, sizes=sizes))
    for seed in seeds(200):
        (tmp_path / "x").write_bytes(mutated(content, seed))
        try:
            read = import_partition(tmp_path / "x", form, method=method, sizes=sizes)
        except PartitionError as error:
            assert "\n" not in str(error) and str(tmp_path) in str(error), f"seed {seed}"
        else:
            assert_sound(read)
            for name, split in read.splits.items():
                assert split.indices.max(initial=-1) < sizes[name], f"seed {seed}"
