"""Token stores: gathering, files, caches under several writers."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks import TASKS, token_store
from tasks.errors import DataError
from tasks.token_store import TokenStore, cached_store

ROWS = [[5, 6, 7], [], [8], [9, 10, 11, 12]]


def a_store(rows=ROWS, **changes):
    lengths = [len(row) for row in rows]
    store = TokenStore(
        tokens=torch.tensor([token for row in rows for token in row], dtype=torch.int32),
        row_offsets=torch.tensor(np.cumsum([0, *lengths])),
        example_rows=torch.arange(len(rows) + 1),
        row_weight=torch.ones(len(rows)),
        columns={
            "label": torch.arange(len(rows)),
            "targets": torch.tensor([1, 2, 3, 4, 5], dtype=torch.int32),
            "targets_offsets": torch.tensor([0, 2, 2, 4, 5]),
        },
        pad_id=0,
        end_id=3,
        max_length=16,
        max_target_length=8,
        segments=True,
        text_decoder='{"é": 1}',
    )
    return replace(store, **changes)


def same(a, b):
    assert a.columns.keys() == b.columns.keys()
    pairs = [(getattr(a, n), getattr(b, n)) for n in token_store._ARRAYS]
    pairs += [(a.columns[name], b.columns[name]) for name in a.columns]
    for x, y in pairs:
        assert x.dtype == y.dtype and torch.equal(x, y)
    for name in token_store._VALUES:
        assert getattr(a, name) == getattr(b, name)


def test_padded_is_the_plain_loop():
    store = a_store()
    found = store.padded("tokens", torch.tensor([3, 1, 0, 3]), 5, fill=-1)
    assert found.dtype == torch.int64
    assert found.tolist() == [
        [9, 10, 11, 12, -1], [-1] * 5, [5, 6, 7, -1, -1], [9, 10, 11, 12, -1]
    ]  # fmt: skip


def test_padded_takes_a_column_with_its_own_offsets():
    found = a_store().padded("targets", torch.tensor([0, 1, 2]), 3, fill=-100)
    assert found.tolist() == [[1, 2, -100], [-100] * 3, [3, 4, -100]]


def test_lengths_lie_on_the_host():
    store = a_store(example_rows=torch.tensor([0, 1, 4]))
    assert store.row_lengths.tolist() == [3, 0, 1, 4]
    assert store.target_lengths.tolist() == [2, 0, 2, 1]
    assert store.example_lengths.tolist() == [3, 4]
    assert (store.examples, store.rows) == (2, 4)
    assert store.to("cpu") is store


def test_saved_and_loaded_again(tmp_path):
    store = a_store()
    store.save(tmp_path / "store")
    loaded = TokenStore.load(tmp_path / "store")
    same(store, loaded)
    assert [p.name for p in tmp_path.iterdir()] == ["store"]


def test_a_loaded_store_never_changes_the_file(tmp_path):
    a_store().save(tmp_path / "store")
    TokenStore.load(tmp_path / "store").tokens.zero_()
    same(TokenStore.load(tmp_path / "store"), a_store())


def test_a_store_without_examples(tmp_path):
    store = a_store(rows=[], columns={})
    store.save(tmp_path / "store")
    same(store, TokenStore.load(tmp_path / "store"))


def test_the_first_writer_wins(tmp_path):
    a_store().save(tmp_path / "store")
    a_store(pad_id=9).save(tmp_path / "store")
    assert TokenStore.load(tmp_path / "store").pad_id == 0


def test_a_failed_save_leaves_nothing(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="disk full"):
        a_store().save(tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def truncate(folder):
    path = folder / "tokens.npy"
    path.write_bytes(path.read_bytes()[:-4])


def swap(folder):
    (folder / "tokens.npy").write_bytes((folder / "row_weight.npy").read_bytes())


def flip(folder):
    path = folder / "tokens.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "one bit": flip,
    "truncated": truncate,
    "swapped": swap,
    "missing": lambda folder: (folder / "column.label.npy").unlink(),
    "not json": lambda folder: (folder / "meta.json").write_text("{"),
    "foreign json": lambda folder: (folder / "meta.json").write_text('{"arrays": {}}'),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_store_is_told_and_the_cache_makes_it_again(tmp_path, damage):
    cached_store({"split": "train"}, a_store, tmp_path)
    (folder,) = (tmp_path / "token_stores").iterdir()
    damage(folder)
    with pytest.raises(DataError, match="damaged") as caught:
        TokenStore.load(folder)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    same(cached_store({"split": "train"}, a_store, tmp_path), a_store())


def test_the_cache_builds_once_per_key(tmp_path, monkeypatch):
    built = []

    def build():
        built.append(1)
        return a_store()

    key = {"data": "abc", "settings": {"max_length": 16}}
    for _ in range(3):
        same(cached_store(key, build, tmp_path), a_store())
    assert len(built) == 1
    cached_store({**key, "settings": {"max_length": 17}}, build, tmp_path)
    assert len(built) == 2
    monkeypatch.setattr(token_store, "code_hash", lambda *patterns: "an edited encoder")
    cached_store(key, build, tmp_path)
    assert len(built) == 3
    monkeypatch.setattr(token_store, "version", lambda package: "99")
    cached_store(key, build, tmp_path)
    assert len(built) == 4


def test_every_encoding_module_is_in_the_key():
    """Modules of `tasks` that an encoder imports to make a store, whatever is added later."""
    package = Path(token_store.__file__).parent
    evaluation = {"batches", "best_span", "metrics_classification", "metrics_entities"}
    evaluation |= {"metrics_rouge", "metrics_squad", "errors", "fingerprint", "cache_warning"}
    found, waiting = set(), {f"{name}.py" for name in TASKS}
    while waiting:
        file = waiting.pop()
        found.add(file)
        imported = re.findall(r"from tasks(?:\.(\w+))? import (\w+)", (package / file).read_text())
        names = {module or name for module, name in imported} - evaluation
        waiting |= {f"{name}.py" for name in names} - found
    assert found == set(token_store._CODE)


def test_several_writers_at_once(tmp_path):
    barrier, found = threading.Barrier(6), []

    def build():
        barrier.wait()  # every thread sees an empty cache
        return a_store()

    threads = [
        threading.Thread(target=lambda: found.append(cached_store({}, build, tmp_path)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    for store in found:
        same(store, a_store())
    assert len(list((tmp_path / "token_stores").iterdir())) == 1
