"""Well-formed files that hold anything at all: one line that names the file, or a sound partition.

Hypothesis makes them; FEDNLP_FUZZ=20 makes it try twenty times as many.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import pyarrow
import pytest
from fuzzing import times
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from samples import examples, random_partition
from test_bad_files import assert_sound

from partitioners import PartitionError
from partitioners.formats import FORMATS, export_partition, import_partition
from partitioners.formats.carried import carried

MADE = random_partition(3, clients=3, rows=12)
NAMES = ("train", "test", "client", "split", "indices", "0", "1", "names", "sizes", "x", "y")
SOME = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 5), st.sampled_from([2**31, 2**63, 2**64, 10**30]),
    st.floats(), st.text(max_size=4), st.sampled_from(["train", "test", "0", "ff" * 8]),
)  # fmt: skip
ANY = st.recursive(
    SOME,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=2)), inner, max_size=3),
    ),
    max_leaves=6,
)
KINDS = (
    pyarrow.int64(), pyarrow.int8(), pyarrow.uint64(), pyarrow.float64(), pyarrow.bool_(),
    pyarrow.string(), pyarrow.binary(), pyarrow.null(), pyarrow.list_(pyarrow.int64()),
    pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), pyarrow.timestamp("s"),
)  # fmt: skip


def changed(draw: Callable, content: dict[str, Any]) -> dict[str, Any]:
    """Some keys gone, some with other values, some new."""
    keys = st.sampled_from(sorted(content) or ["a"])
    for key in draw(st.lists(keys, max_size=2)):
        content.pop(key, None)
    return content | draw(st.dictionaries(keys, ANY, max_size=2))


def header(draw: Callable) -> str:
    if draw(st.booleans()):
        return carried(MADE)
    return json.dumps(changed(draw, json.loads(carried(MADE))))


def column(draw: Callable, rows: int) -> pyarrow.Array:
    """Of any type; values that it cannot hold are gaps."""
    kind = draw(st.sampled_from(KINDS))
    values = draw(st.lists(SOME, min_size=rows, max_size=rows))
    found = []
    for value in values:
        try:
            found.append(pyarrow.scalar(value, kind).as_py())
        except (pyarrow.ArrowException, TypeError, ValueError, OverflowError):
            found.append(None)
    return pyarrow.array(found, kind)


def table(draw: Callable, names: tuple[str, ...]) -> pyarrow.Table:
    """Columns of these names, mostly, and mostly of whole numbers."""
    rows = draw(st.integers(0, 4))
    chosen = draw(st.lists(st.sampled_from((*names, "other")), max_size=5))
    whole = st.lists(st.integers(-1, 5), min_size=rows, max_size=rows)
    arrays = [
        pyarrow.array(draw(whole), pyarrow.int64()) if draw(st.booleans()) else column(draw, rows)
        for _ in chosen
    ]
    if not chosen:
        return pyarrow.table({"other": pyarrow.nulls(rows)})
    return pyarrow.Table.from_arrays(arrays, names=chosen)


def jsonl(draw: Callable, path: Path) -> None:
    line = st.fixed_dictionaries(
        {}, optional={k: ANY for k in ("client", "split", "indices", "hashes")}
    )
    lines = [header(draw), *map(json.dumps, draw(st.lists(st.one_of(line, ANY), max_size=4)))]
    path.write_text("\n".join(lines))


def leaf(draw: Callable, path: Path) -> None:
    exported("leaf", path)
    for name in draw(st.lists(st.sampled_from(["train", "test"]), min_size=1)):
        file = path / name / "data.json"
        content = json.loads(file.read_text())
        if isinstance(content, dict) and draw(st.booleans()):
            content = changed(draw, content)
        if isinstance(content, dict) and isinstance(content.get("partition"), dict):
            content["partition"] = changed(draw, content["partition"])
        file.write_text(json.dumps(content))


def npz(draw: Callable, path: Path) -> None:
    exported("npz", path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    meta = json.loads(arrays["meta"].tobytes())
    meta.pop("seal")
    arrays["meta"] = np.frombuffer(json.dumps(changed(draw, meta)).encode(), np.uint8)
    for name in draw(st.lists(st.sampled_from(sorted(arrays)), max_size=3)):
        kind = draw(st.sampled_from(["<i8", "<u8", "<i1", "<f8", "<U3", "?", "M8[s]", "<c16"]))
        shape = draw(st.sampled_from([(), (0,), (3,), (4,), (2, 2)]))
        fill = draw(st.integers(-1, 9))
        arrays[name] = np.full(shape, fill).astype(kind)
    np.savez(path.with_suffix(".npz"), **arrays)
    path.with_suffix(".npz").replace(path)


def table_file(draw: Callable, path: Path) -> None:
    made = table(draw, ("split", "client", "index", "hash"))
    if draw(st.booleans()):
        made = made.replace_schema_metadata({"fednlp_partition": header(draw)})
    parquet.write_table(made, path)


def client_files(draw: Callable, path: Path) -> None:
    for name in draw(st.lists(st.sampled_from(["train", "test", "x y"]), min_size=1, unique=True)):
        (path / name).mkdir(parents=True)
        for k in draw(st.lists(st.integers(0, 3), unique=True)):
            made = table(draw, ("index", "hash", "text"))
            parquet.write_table(made, path / name / f"client_{k}.parquet")
    if draw(st.booleans()):
        (path / "partition.json").write_text(header(draw))


def dataset_dict(draw: Callable, path: Path) -> None:
    exported("dataset_dict", path)
    for name in ("train", "test"):
        file = next((path / name).glob("*.arrow"))
        made = table(draw, ("client_id", "row", "text"))
        with pyarrow.ipc.new_stream(str(file), made.schema) as writer:
            writer.write_table(made)
    for file in ("dataset_dict.json", "train/state.json", "partition.json"):
        choice = draw(st.sampled_from(["as it is", "changed", "any", "gone"]))
        if choice == "changed":
            content = changed(draw, json.loads((path / file).read_text()))
            (path / file).write_text(json.dumps(content))
        elif choice == "any":
            (path / file).write_text(json.dumps(draw(ANY)))
        elif choice == "gone" and file == "partition.json":
            (path / file).unlink()


def array(draw: Callable) -> Any:
    value = st.sampled_from([
        3, 2.5, "text", b"bytes", [], [1], [1, 2], [[1], [2]], [1.5], ["a"], [True], [-1],
        [2**63 - 1], np.array([2**64 - 1], np.uint64), np.array([3], np.int8), h5py.Empty("i8"),
    ])  # fmt: skip
    return draw(st.one_of(value, st.lists(st.integers(0, 9), max_size=3)))


def h5(draw: Callable, path: Path) -> None:
    keys = st.sampled_from(["0", "1", "2", "1.0", "-1", "x", "10"])
    with h5py.File(path, "w") as file:
        for name in draw(st.lists(st.sampled_from(["uniform", "m"]), max_size=2, unique=True)):
            method = file.create_group(name)
            for fact in ("n_clients", "alpha", "client_assignment", "carried", "hashes/train"):
                if draw(st.integers(0, 3)) == 0:
                    method[fact] = array(draw)
            if draw(st.integers(0, 5)) == 0:
                method["partition_data"] = array(draw)
                continue
            for key in draw(st.lists(keys, max_size=3, unique=True)):
                for split in draw(st.sampled_from([("train", "test"), ("train",), ()])):
                    method[f"partition_data/{key}/{split}"] = array(draw)
    data = path.with_name(f"{path.name}_data.h5")
    data.unlink(missing_ok=True)
    if draw(st.booleans()):
        with h5py.File(data, "w") as file:
            file["attributes"] = json.dumps(draw(ANY))
            if draw(st.booleans()):
                del file["attributes"]
                lists = {f"{split}_index_list": [0, 1, 2] for split in ("train", "test")}
                told = changed(draw, {"index_list": [0, 1, 2], **lists})
                file["attributes"] = json.dumps(told)
            for group in draw(st.lists(st.sampled_from(["X", "Y"]), unique=True)):
                for index in draw(st.lists(st.integers(0, 3), unique=True)):
                    file[f"{group}/{index}"] = array(draw)


@cache
def made_once(form: str) -> Path:
    folder = TemporaryDirectory()
    KEPT.append(folder)
    path = Path(folder.name) / "x"
    tables = examples(MADE) if FORMATS[form].examples != "never" else None
    export_partition(MADE, path, form, examples=tables)
    return path


KEPT: list[TemporaryDirectory] = []


def exported(form: str, path: Path) -> None:
    """A copy of the good file."""
    source = made_once(form)
    if source.is_dir():
        shutil.copytree(source, path)
    else:
        shutil.copy(source, path)


WRITERS = {
    "jsonl": jsonl, "leaf": leaf, "npz": npz, "parquet": table_file, "h5": h5,
    "client_files": client_files, "dataset_dict": dataset_dict,
}  # fmt: skip


def source(split: str) -> pyarrow.Table:
    return examples(MADE)[split]


@pytest.mark.parametrize("form", WRITERS)
@settings(deadline=None, max_examples=times(60), suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_content(form: str, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        WRITERS[form](data.draw, path)
        sizes = data.draw(st.sampled_from([None, {"train": 12, "test": 4}]))
        method = "uniform" if form == "h5" else None
        given_examples = source if sizes else None
        try:
            read = import_partition(path, form, method=method, sizes=sizes, examples=given_examples)
        except PartitionError as error:
            assert "\n" not in str(error) and folder in str(error), str(error)
        else:
            assert_sound(read)
