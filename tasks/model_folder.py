"""A folder in the layout of `save_pretrained`, looked at before any library opens it.

What could make a library read another file, unpickle one, or fill the memory is refused here:
links out of the folder, adapters, weights that are no safetensors, sizes that no model has.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from tasks.errors import DataError
from tasks.library_errors import told
from tasks.plain_files import kind_of, read_plain, unreadable

LARGEST_CONFIG = 2**20  # bytes of a config.json
_SIZES = (
    *("vocab_size", "hidden_size", "intermediate_size", "embedding_size", "dim", "hidden_dim"),
    *("d_model", "d_ff", "d_kv", "encoder_ffn_dim", "decoder_ffn_dim", "max_position_embeddings"),
    *("num_attention_heads", "n_heads", "num_heads"),
    *("encoder_attention_heads", "decoder_attention_heads"),
)
_LAYERS = (
    *("num_hidden_layers", "n_layers", "num_layers", "num_decoder_layers", "encoder_layers"),
    *("decoder_layers", "num_hidden_groups", "inner_group_num"),
)
_REFUSED = ("transformers_weights", "quantization_config")  # other files, other weights
_SHARES = ("dropout", "_prob", "layerdrop")  # how the names of probabilities end


def check_folder(folder: Path, where: str, fix: str) -> dict[str, tuple[int, ...]]:
    """The shape of every weight in the folder's safetensors files.

    Raises:
        DataError: a file is missing or damaged, or may not be read.
    """
    if kind_of(folder / "config.json", where, fix) != "file":
        raise DataError(where, "no config.json", "a save_pretrained folder", fix)
    check_before_reading(folder, where, fix)
    if os.path.lexists(folder / "adapter_config.json"):
        found = "adapter_config.json, which names other weights"
        raise DataError(where, found, "a whole model", "merge the adapter into the model first")
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        expected = "weights in model.safetensors (pickled weights are never read)"
        raise DataError(where, "no safetensors file", expected, fix)
    shapes: dict[str, tuple[int, ...]] = {}
    for file in files:
        shapes |= _shapes(file, where, fix)
    return shapes


def check_before_reading(folder: Path, where: str, fix: str) -> None:
    """Refuses what no library may open: links out of the folder, a senseless config.json.

    Raises:
        DataError: names the folder, and the file or key.
    """
    _check_links(folder, where, fix)
    if kind_of(folder / "config.json", where, fix) == "file":
        _check_config(folder / "config.json", where, fix)


def _check_links(folder: Path, where: str, fix: str) -> None:
    """Refuses links out of a folder.

    A folder of the hub's cache, whose files all are links into `blobs`, is one as a whole.
    """
    inside = [folder.resolve()]
    if folder.resolve().parent.name == "snapshots":
        inside.append(folder.resolve().parents[1] / "blobs")
    try:
        entries = [(path, path.is_symlink()) for path in folder.rglob("*")]
    except OSError as error:
        raise unreadable(folder, error, where, fix) from None
    for path, is_link in entries:
        if is_link:
            try:
                target = path.resolve()
            except (OSError, RuntimeError):  # a circle
                target = Path("/")
            if not any(target.is_relative_to(place) for place in inside):
                found = f"{path.name} is a link out of the folder"
                raise DataError(where, found, "files in the folder itself", fix)
        if kind_of(path, where, fix) == "pipe or device":  # a library would wait for it
            raise DataError(where, f"{path.name} is a pipe or a device", "plain files", fix)


def _check_config(path: Path, where: str, fix: str) -> None:
    where = f"{where}/config.json"
    try:
        data = read_plain(path, LARGEST_CONFIG + 1)
    except OSError as error:
        raise DataError(where, f"cannot be read ({error.strerror})", fix=fix) from None
    if len(data) > LARGEST_CONFIG:
        raise DataError(where, "is larger than 1 MiB", "a model's configuration", fix)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DataError(where, f"not readable as JSON ({reason})", fix=fix) from None
    if not isinstance(content, dict):
        found = f"holds a {type(content).__name__}"
        raise DataError(where, found, "a mapping of keys to values", fix)
    _check_values(content, where, fix)


def _check_values(content: dict[str, Any], where: str, fix: str) -> None:
    for key, value in content.items():
        place = f"{where}: {key}"
        if isinstance(value, dict):
            _check_values(value, where, fix)
        if key in _REFUSED and value is not None:
            raise DataError(place, repr(value)[:80], "plain float weights", "remove the key")
        if key in _SIZES or key in _LAYERS:
            most = 1000 if key in _LAYERS else 10**7
            if not (type(value) is int and 1 <= value <= most):
                raise DataError(place, repr(value)[:80], f"a whole number from 1 to {most}", fix)
        elif key.endswith(_SHARES) and value is not None:
            if type(value) not in (int, float) or not 0 <= value <= 1:
                raise DataError(place, repr(value)[:80], "a number from 0 to 1", fix)
        elif isinstance(value, float) and not math.isfinite(value):
            raise DataError(place, repr(value), "a finite number", fix)


def _shapes(file: Path, where: str, fix: str) -> dict[str, tuple[int, ...]]:
    from safetensors import safe_open

    with (
        told(f"{where}/{file.name}", "a whole safetensors file", fix),
        safe_open(str(file), "pt") as weights,
    ):
        return {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
