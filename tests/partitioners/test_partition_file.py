from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioners import Partition, PartitionError, Split, make_partition

LABELS = np.arange(300) % 6


def example(**changes: object) -> Partition:
    options: dict = {
        "clients": 12,
        "seed": 4,
        "train_labels": LABELS,
        "test_labels": LABELS[:120],
        "label_names": list("abcdef"),
        "held_out": 0.25,
        "data_fingerprint": "f" * 8,
        "skew_kind": "label",
    }
    return make_partition("dirichlet", {"alpha": 0.1}, **(options | changes))


def test_round_trip(tmp_path: Path) -> None:
    made = example()
    made.save(tmp_path / "sub" / "split.npz")
    read = Partition.load(tmp_path / "sub" / "split.npz")
    assert read.checksum == made.checksum and read.provenance == made.provenance
    assert read.clients == 12 and (read.held_out == made.held_out).all()
    for name, split in made.splits.items():
        assert (split.indices == read.splits[name].indices).all()
        assert (split.offsets == read.splits[name].offsets).all()
    assert read.histogram.client(3) == made.histogram.client(3)
    assert os.listdir(tmp_path / "sub") == ["split.npz"]


def test_same_partition_same_bytes_and_no_pickle(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        example().save(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert all(file[name].dtype.kind in "iu" for name in file.files)


def test_checksum_sees_what_can_change_a_run() -> None:
    base = example()
    assert base.checksum == example(data_fingerprint="other").checksum
    assert base.checksum != example(seed=5).checksum
    assert base.checksum != example(held_out=0.0).checksum
    train = base.splits["train"]
    swapped = Split(np.roll(train.indices, 1), train.offsets)
    assert base.checksum != Partition(base.splits | {"train": swapped}, {}, base.held_out).checksum


def test_arrays_cannot_be_shuffled_in_place() -> None:
    with pytest.raises(ValueError, match="read-only"):
        np.random.default_rng(0).shuffle(example().splits["train"].client(0))


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_damage_is_one_line_or_harmless(tmp_path_factory: pytest.TempPathFactory, data) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    made = example()
    made.save(path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), "cut"):
        content = content[: data.draw(st.integers(0, len(content) - 1), "length")]
    else:
        place = data.draw(st.integers(0, len(content) - 1), "place")
        content[place] ^= data.draw(st.integers(1, 255), "bits")
    path.write_bytes(content)
    try:
        read = Partition.load(path)
    except PartitionError as error:
        assert error.where == str(path) and "\n" not in str(error)
    else:  # zip fields that nobody reads, such as a time stamp
        assert read.checksum == made.checksum and read.provenance == made.provenance


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04"])
def test_not_a_partition(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(PartitionError, match="not readable as a partition"):
        Partition.load(tmp_path / "x.npz")


def test_missing_other_arrays_and_other_format(tmp_path: Path) -> None:
    with pytest.raises(PartitionError, match="no such file"):
        Partition.load(tmp_path / "nowhere.npz")
    np.savez(tmp_path / "other.npz", a=np.arange(3))
    np.save(tmp_path / "array.npy", np.arange(3))
    np.savez(tmp_path / "pickled.npz", meta=np.array([{}], dtype=object))
    for name in ("other.npz", "array.npy", "pickled.npz"):
        with pytest.raises(PartitionError, match=name):
            Partition.load(tmp_path / name)
    with pytest.raises(PartitionError):
        Partition.load(tmp_path)


@pytest.mark.parametrize(
    ("array", "values"),
    [
        ("train_indices", lambda a: np.r_[a[:-1], a[0]]),
        ("train_indices", lambda a: a - 1),
        ("train_offsets", lambda a: a[:-1]),
        ("train_offsets", lambda a: np.r_[a[0], a[2], a[1], a[3:]]),
        ("test_indices", lambda a: np.sort(a)),
        ("held_out", lambda a: a + 100),
    ],
)
def test_edited_content_is_noticed(tmp_path: Path, array: str, values) -> None:
    path = tmp_path / "split.npz"
    example().save(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays[array] = values(arrays[array])
    np.savez(path, **arrays)
    with pytest.raises(PartitionError, match=r"split\.npz"):
        Partition.load(path)


def edited(path: Path, change) -> None:
    """Rewrites the file with `change(arrays, meta)` applied."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    meta = json.loads(arrays["meta"].tobytes())
    change(arrays, meta)
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    np.savez(path, **arrays)


def reversed_labels(arrays: dict, meta: dict) -> None:
    arrays["histogram_labels"] = arrays["histogram_labels"][::-1]


def other_hashes(arrays: dict, meta: dict) -> None:
    arrays["train_hashes"] = arrays["train_hashes"] ^ np.uint64(1)


@pytest.mark.parametrize(
    "change",
    [
        reversed_labels,
        other_hashes,
        lambda arrays, meta: meta["provenance"].update(seed=42),
        lambda arrays, meta: meta["label_names"].reverse(),
        lambda arrays, meta: meta.update(seal="0" * 64),
    ],
)
def test_the_seal_covers_what_the_checksum_does_not(tmp_path: Path, change) -> None:
    path = tmp_path / "split.npz"
    made = example()
    splits = {
        name: Split(split.indices, split.offsets, split.indices.astype(np.uint64))
        for name, split in made.splits.items()
    }
    Partition(splits, made.provenance, made.held_out, made.histogram).save(path)
    edited(path, lambda arrays, meta: None)
    assert Partition.load(path).checksum == made.checksum
    edited(path, change)
    with pytest.raises(PartitionError, match="does not match its seal"):
        Partition.load(path)


def test_a_file_of_before_the_seal_is_read(tmp_path: Path) -> None:
    path = tmp_path / "split.npz"
    example().save(path)
    edited(path, lambda arrays, meta: meta.pop("seal"))
    assert Partition.load(path).provenance == example().provenance


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "split.npz"
    example().save(path)
    before = path.read_bytes()

    def broken(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", broken)
    with pytest.raises(OSError, match="disk full"):
        example(seed=9).save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["split.npz"]


def test_provenance_is_plain_json_inside_the_file(tmp_path: Path) -> None:
    example().save(tmp_path / "split.npz")
    assert zipfile.is_zipfile(tmp_path / "split.npz")
    with np.load(tmp_path / "split.npz") as file:
        meta = json.loads(file["meta"].tobytes())
    assert meta["provenance"]["parameters"] == {"alpha": 0.1}
