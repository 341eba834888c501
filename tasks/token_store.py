"""A split as token arrays, made once and cached on disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.cache_warning import not_cached
from tasks.errors import DataError
from tasks.fingerprint import code_hash

# What turns examples into tokens. The rows themselves are named by the data's fingerprint.
_CODE = (
    "token_store.py", "task.py", "schema.py", "text_encoder.py", "ragged.py", "answer_windows.py",
    "text_classification.py", "sequence_tagging.py", "question_answering.py", "seq2seq.py",
)  # fmt: skip
_ARRAYS = ("tokens", "row_offsets", "example_rows", "row_weight")
_VALUES = ("pad_id", "end_id", "max_length", "max_target_length", "segments", "text_decoder")


@dataclass(frozen=True, eq=False)
class Grid:
    """Where rows [B] int64 lie in a flat array: index [B, L], 0 where mask [B, L] is False."""

    rows: Tensor
    index: Tensor
    mask: Tensor

    def take(self, values: Tensor, fill: int) -> Tensor:
        """values [T] at the index, `fill` where the mask is False: [B, L] int64."""
        return values[self.index].long().masked_fill_(~self.mask, fill)


@dataclass(frozen=True, eq=False)
class TokenStore:
    """All examples of a split as rows of tokens; a long example has several rows (windows).

    Attributes:
        tokens: [T] int32, all rows' input ids one after the other, special tokens included.
        row_offsets: [rows + 1] int64; row r is tokens[row_offsets[r]:row_offsets[r + 1]].
        example_rows: [examples + 1] int64; example e owns rows example_rows[e]:example_rows[e + 1].
        row_weight: [rows] float32; the loss of an example is the sum of weight * loss of its rows.
        columns: further tensors of the task; `name` goes with `name_offsets` where it is ragged in
            another way than the tokens.
        pad_id, end_id: token ids; `end_id` is what a generated text ends with.
        max_length, max_target_length: tokens, the cap of padded lengths.
        segments: whether pairs of texts are told apart by token types.
        text_decoder: tokenizer as JSON that turns generated ids into text ("" if none is needed).
        folder: where it was opened, for other processes to open it too; None: in memory only.
    """

    tokens: Tensor
    row_offsets: Tensor
    example_rows: Tensor
    row_weight: Tensor
    columns: dict[str, Tensor] = field(default_factory=dict)
    pad_id: int = 0
    end_id: int = 0
    max_length: int = 0
    max_target_length: int = 0
    segments: bool = False
    text_decoder: str = ""
    folder: Path | None = None

    @property
    def examples(self) -> int:
        return len(self.example_rows) - 1

    @property
    def rows(self) -> int:
        return len(self.row_offsets) - 1

    @property
    def device(self) -> torch.device:
        return self.tokens.device

    # Sizes stay on the host, wherever the store lies: plans are made there.

    @cached_property
    def row_lengths(self) -> np.ndarray:
        """[rows] int64: tokens of each row."""
        return np.diff(self.row_offsets.numpy(force=True))

    @cached_property
    def target_lengths(self) -> np.ndarray | None:
        """[rows] int64: target tokens of each row; None where the task generates nothing."""
        offsets = self.columns.get("targets_offsets")
        return None if offsets is None else np.diff(offsets.numpy(force=True))

    @cached_property
    def first_rows(self) -> np.ndarray:
        """[examples + 1] int64: `example_rows` on the host."""
        return self.example_rows.numpy(force=True)

    @cached_property
    def example_lengths(self) -> np.ndarray:
        """[examples] int64: input tokens of each example's longest row."""
        if self.rows == self.examples:
            return self.row_lengths
        return np.maximum.reduceat(self.row_lengths, self.first_rows[:-1])

    def to(self, device: torch.device | str) -> TokenStore:
        """The store on a device; itself where it lies there already."""
        device = torch.device(device)
        if device.type == self.device.type and device.index in (None, self.device.index):
            return self
        arrays = {name: getattr(self, name).to(device) for name in _ARRAYS}
        columns = {name: column.to(device) for name, column in self.columns.items()}
        moved = replace(self, columns=columns, **arrays)
        for name in ("row_lengths", "target_lengths", "first_rows", "example_lengths"):
            moved.__dict__[name] = getattr(self, name)
        return moved

    def grid(self, rows: Tensor, length: int, offsets: Tensor | None = None) -> Grid:
        """The places of rows [B] int64, padded on the right to `length`.

        offsets: of another ragged column than the tokens. No loop, no synchronisation.
        """
        offsets = self.row_offsets if offsets is None else offsets
        index = offsets[rows].unsqueeze(1) + torch.arange(length, device=rows.device)
        mask = index < offsets[rows + 1].unsqueeze(1)
        return Grid(rows, index.mul_(mask), mask)

    def padded(self, column: str, rows: Tensor, length: int, fill: int) -> Tensor:
        """Rows [B] int64 of a ragged column, padded on the right: [B, length] int64."""
        values = self.tokens if column == "tokens" else self.columns[column]
        return self.grid(rows, length, self.columns.get(f"{column}_offsets")).take(values, fill)

    def save(self, folder: Path) -> None:
        """Writes .npy files and meta.json; the folder appears complete or not at all.

        A folder that is already there (another writer was first) is kept.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            tensors = {name: getattr(self, name) for name in _ARRAYS}
            tensors |= {f"column.{name}": column for name, column in self.columns.items()}
            described = {}
            for name, tensor in tensors.items():
                array = tensor.numpy(force=True)
                np.save(temporary / f"{name}.npy", array, allow_pickle=False)
                described[name] = _described(array)
            meta = {"arrays": described, **{name: getattr(self, name) for name in _VALUES}}
            (temporary / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
            os.chmod(temporary, 0o755)  # mkdtemp's folders are private, a cache may be shared
            try:
                os.rename(temporary, folder)
            except OSError:
                if not (folder / "meta.json").is_file():
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    @classmethod
    def load(cls, folder: Path) -> TokenStore:
        """Opens a saved store; arrays are mapped, so that processes share the memory.

        Raises:
            DataError: a file is missing or damaged.
        """
        try:
            meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            arrays: dict[str, Any] = {}
            for name, described in meta.pop("arrays").items():
                # Copy on write: torch wants writable memory. An empty array cannot be mapped.
                mode: Any = "c" if all(described["shape"]) else None
                array = np.load(folder / f"{name}.npy", mmap_mode=mode, allow_pickle=False)
                if _described(array) != described:
                    raise ValueError(f"{name}.npy is not what meta.json describes")
                arrays[name] = torch.from_numpy(np.asarray(array))
            columns = {
                name.removeprefix("column."): arrays.pop(name)
                for name in list(arrays)
                if name.startswith("column.")
            }
            return cls(**arrays, columns=columns, **meta, folder=folder)
        except (OSError, ValueError, TypeError, KeyError, EOFError) as error:
            fix = "delete the folder; it is made again"
            raise DataError(str(folder), f"damaged: {error}", "a token store", fix) from None


def send(array: np.ndarray, device: torch.device) -> Tensor:
    """An array on a device, without waiting for it."""
    values = torch.from_numpy(array)
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def _described(array: np.ndarray) -> dict[str, Any]:
    """Type, shape and sha256 of an array's values."""
    digest = hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "sha256": digest}


def cached_store(
    key_parts: Mapping[str, Any], build: Callable[[], TokenStore], cache_dir: Path
) -> TokenStore:
    """The store of `key_parts` (JSON values: data, split, tokenizer, task, settings) from a cache.

    This package's encoding code and the version of the tokenizer library are part of the key.
    Made by `build` where it is missing or damaged. Several processes may ask at once. Where the
    cache cannot be written, the store lives in memory.
    """
    made_by = {"code": code_hash(*_CODE), "tokenizers": version("tokenizers")}
    key = json.dumps({**key_parts, **made_by}, sort_keys=True)
    folder = Path(cache_dir) / "token_stores" / hashlib.sha256(key.encode()).hexdigest()
    if os.path.isfile(folder / "meta.json"):
        try:
            return TokenStore.load(folder)
        except DataError:
            shutil.rmtree(folder, ignore_errors=True)
    store = build()
    try:
        store.save(folder)
        return TokenStore.load(folder)  # mapped, so that processes share the memory
    except (OSError, DataError) as error:
        not_cached(folder.parent, error)
        return store
